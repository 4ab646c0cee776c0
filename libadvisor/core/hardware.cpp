#include "core/hardware.h"

namespace advisor {

bool has_host_memory(const Hardware& hardware) {
  const auto& device = hardware.device;
  const bool card = device.kind.find("gpu") != std::string::npos || device.kind.empty() || device.kind == "explicit";
  return card && !device.unified_memory;
}

}  // namespace advisor
