// A machine as the decision sees it: memory, bandwidth and peak rates. Unknown rates are nullopt, never zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
  std::optional<double> interconnect;     ///< bytes per second per direction
  std::optional<double> host_link{};      ///< to the host's memory (PCI Express): bytes per second per direction
  std::string url{}, locator{}, notes{};  ///< of the catalog's row
};

struct Hardware {
  Device device;
  std::int64_t count = 1;
  std::string source;  ///< "catalog", "profile", "probe"
  /// Of the host that the devices stand in, all channels together: bytes, bytes per second. nullopt: nobody says.
  std::optional<double> host_memory{}, host_bandwidth{};
};

/// Whether there is a host memory beside that of the devices: not where both are one.
bool has_host_memory(const Hardware& hardware);

/// What io/probe found on this machine.
struct Probe {
  Hardware cpu;                    ///< always present; bandwidth is measured for about 0.1 s
  std::vector<Hardware> gpus;      ///< one entry per kind of device, count = how many; empty without NVIDIA driver
  std::string cpu_features;        ///< "avx2 avx512f ..." those that matter to the kernels
  int cores = 0;                   ///< usable by this process (affinity mask)
  std::vector<std::string> notes;  ///< what could not be read and why
};

}  // namespace advisor
