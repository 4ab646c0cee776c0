// A machine as the decision sees it: memory, bandwidth and peak rates. Unknown rates are nullopt, never zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace advisor {

/// One accelerator (or CPU with its memory). Bytes, bytes/s and operations/s, without prefixes.
struct Device {
  std::string id;  ///< catalog id; empty for explicit numbers
  std::string name;
  std::string vendor;
  std::string kind;        ///< datacenter-gpu, consumer-gpu, apple-soc, cpu ... as in data/hardware.csv
  std::string generation;  ///< Ampere, Ada, Hopper, ... used by the engine matrix
  std::optional<double> compute_capability;
  double memory = 0;                                             ///< bytes
  std::optional<double> bandwidth;                               ///< bytes per second
  std::optional<double> fp32, fp16, bf16, fp8, int8, fp4, int4;  ///< dense peak, operations per second
  std::optional<bool> sparse_2_4;
  bool unified_memory = false;
  std::optional<double> interconnect;  ///< bytes per second per direction
};

struct Hardware {
  Device device;
  std::int64_t count = 1;
  std::string source;  ///< "catalog", "profile", "probe"
};

}  // namespace advisor
