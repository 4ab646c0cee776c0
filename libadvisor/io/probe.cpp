#include "io/probe.h"

#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <sstream>
#include <thread>

namespace advisor {
namespace {

std::string trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t");
  const auto end = text.find_last_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

/// First value of `key` in a "key : value" file such as /proc/cpuinfo.
std::string value_of(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const auto colon = line.find(':');
    if (colon != std::string::npos && trimmed(line.substr(0, colon)) == key) return trimmed(line.substr(colon + 1));
  }
  return "";
}

/// A cgroup limit in bytes, or nullopt when there is none ("max", or the huge number of cgroup v1).
std::optional<double> cgroup_limit() {
  for (const char* file : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream in(file);
    double bytes = 0;
    if (in >> bytes && bytes > 0 && bytes < 1e15) return bytes;
  }
  return std::nullopt;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// Bytes per second that all cores together read from memory: the floor under CPU decoding.
/// Best of a few passes over a buffer several times larger than a last-level cache share.
double measure_read_bandwidth(int cores) {
  constexpr std::size_t words_per_thread = std::size_t{8} << 20;  // 64 MiB of uint64 per thread
  const auto threads = static_cast<std::size_t>(std::min(cores, 16));
  std::vector<std::vector<std::uint64_t>> buffers(threads);
  std::vector<std::uint64_t> sums(threads);
  const auto each = [&](auto&& body) {
    std::vector<std::thread> workers;
    for (std::size_t t = 0; t < threads; ++t) workers.emplace_back([&body, t] { body(t); });
    for (auto& worker : workers) worker.join();
  };
  each([&](std::size_t t) { buffers[t].assign(words_per_thread, t + 1); });
  double best = 0;
  for (int pass = 0; pass < 4; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    each([&](std::size_t t) { sums[t] += std::accumulate(buffers[t].begin(), buffers[t].end(), std::uint64_t{0}); });
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(threads * words_per_thread * sizeof(std::uint64_t)) / elapsed.count());
  }
  // the sums are used so that the reads cannot be optimised away
  return std::accumulate(sums.begin(), sums.end(), std::uint64_t{0}) == 0 ? 0 : best;
}

std::string kernel_features() {
  std::istringstream flags(value_of("/proc/cpuinfo", "flags"));
  std::string found;
  for (std::string flag; flags >> flag;) {
    for (const char* wanted : {"sse4_2", "avx2", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile"}) {
      if (flag == wanted) found += (found.empty() ? "" : " ") + flag;
    }
  }
  return found;
}

/// The part of NVML's C interface that is needed, bound at run time: a build machine needs no driver.
struct Nvml {
  struct Memory {
    unsigned long long total, free, used;
  };
  using Handle = void*;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*by_index)(unsigned, Handle*) = nullptr;
  int (*name)(Handle, char*, unsigned) = nullptr;
  int (*memory)(Handle, Memory*) = nullptr;
  int (*capability)(Handle, int*, int*) = nullptr;

  bool bind(void* library) {
    const auto load = [library](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, symbol));
      return function != nullptr;
    };
    return load(init, "nvmlInit_v2") && load(shutdown, "nvmlShutdown") && load(count, "nvmlDeviceGetCount_v2") &&
           load(by_index, "nvmlDeviceGetHandleByIndex_v2") && load(name, "nvmlDeviceGetName") &&
           load(memory, "nvmlDeviceGetMemoryInfo") && load(capability, "nvmlDeviceGetCudaComputeCapability");
  }
};

std::optional<Device> nvidia_device(const Nvml& nvml, unsigned index) {
  Nvml::Handle handle = nullptr;
  std::array<char, 96> name{};
  Nvml::Memory memory{};
  int major = 0, minor = 0;
  if (nvml.by_index(index, &handle) != 0 || nvml.name(handle, name.data(), name.size()) != 0 ||
      nvml.memory(handle, &memory) != 0) {
    return std::nullopt;
  }
  Device device;
  device.name = name.data();
  device.vendor = "NVIDIA";
  device.kind = "gpu";
  device.memory = static_cast<double>(memory.total);
  if (nvml.capability(handle, &major, &minor) == 0) device.compute_capability = major + minor / 10.0;
  return device;
}

std::vector<Hardware> nvidia_devices(std::vector<std::string>& notes) {
  std::vector<Hardware> found;
  const std::unique_ptr<void, int (*)(void*)> library(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL), dlclose);
  if (!library) {
    notes.emplace_back("no NVIDIA driver library (libnvidia-ml.so.1); GPUs were not looked for");
    return found;
  }
  Nvml nvml;
  if (!nvml.bind(library.get()) || nvml.init() != 0) {
    notes.emplace_back("NVML is there but did not start; GPUs were not looked for");
    return found;
  }
  unsigned count = 0;
  if (nvml.count(&count) != 0) count = 0;
  for (unsigned i = 0; i < count; ++i) {
    const auto device = nvidia_device(nvml, i);
    if (!device) {
      notes.push_back("NVML would not describe device " + std::to_string(i));
      continue;
    }
    const auto same = std::find_if(found.begin(), found.end(), [&](const Hardware& h) {
      return h.device.name == device->name && h.device.memory == device->memory;
    });
    if (same != found.end()) {
      ++same->count;
    } else {
      found.push_back({*device, 1, "probe"});
    }
  }
  nvml.shutdown();
  return found;
}

}  // namespace

Probe probe_machine() {
  Probe result;
  result.cores = usable_cores();
  result.cpu_features = kernel_features();
  Device& cpu = result.cpu.device;
  cpu.name = value_of("/proc/cpuinfo", "model name");
  if (cpu.name.empty()) cpu.name = "this CPU";
  cpu.vendor = value_of("/proc/cpuinfo", "vendor_id");
  cpu.kind = "cpu";
  cpu.generation = "CPU";
  cpu.unified_memory = true;
  std::istringstream total(value_of("/proc/meminfo", "MemTotal"));
  double kib = 0;
  if (total >> kib) cpu.memory = kib * 1024;
  if (const auto limit = cgroup_limit(); limit && *limit < cpu.memory) {
    cpu.memory = *limit;
    result.notes.emplace_back("memory is limited by this process's cgroup");
  }
  cpu.bandwidth = measure_read_bandwidth(result.cores);
  result.cpu.source = "probe";
  result.gpus = nvidia_devices(result.notes);
  for (Hardware& gpu : result.gpus) gpu.host_memory = cpu.memory, gpu.host_bandwidth = cpu.bandwidth;
  return result;
}

}  // namespace advisor
