// How to start an engine so that the estimates hold: the context, the number of sequences, the share of memory and the
// number format of the cache that memory and speed were estimated with.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/hardware.h"
#include "core/recommendation.h"
#include "core/variant.h"

namespace advisor {

struct Launch {
  std::map<std::string, std::string> settings;  ///< flag without dashes -> value
  std::string command;                          ///< one line for a shell; empty where the engine has no server
};

/// `weights` is the checkpoint folder, file or repository to load; `host` what lies in the host's memory.
Launch launch(const Variant& variant, const Hardware& hardware, std::int64_t context, std::int64_t concurrency,
              const std::string& weights, const HostShare* host = nullptr);

/// The settings alone.
std::map<std::string, std::string> launch_settings(const Variant& variant, const Hardware& hardware,
                                                   std::int64_t context, std::int64_t concurrency,
                                                   const HostShare* host = nullptr);

}  // namespace advisor
