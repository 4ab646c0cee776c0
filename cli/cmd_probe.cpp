#include <iostream>

#include "cli/command.h"
#include "core/json.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

void print_device(const Hardware& hardware) {
  const Device& device = hardware.device;
  std::cout << hardware.count << " x " << device.name;
  if (!device.id.empty()) std::cout << " (" << device.id << ')';
  std::cout << "\n  memory     " << format_quantity(device.memory, Dimension::bytes) << '\n';
  std::cout << "  bandwidth  "
            << (device.bandwidth ? format_quantity(*device.bandwidth, Dimension::bytes_per_second) : "unknown")
            << (device.kind == "cpu" ? " (measured now, all cores reading)" : "") << '\n';
  if (hardware.host_memory) {
    std::cout << "  host       " << format_quantity(*hardware.host_memory, Dimension::bytes);
    if (hardware.host_bandwidth)
      std::cout << ", " << format_quantity(*hardware.host_bandwidth, Dimension::bytes_per_second);
    std::cout << '\n';
  }
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::variables_map values;
  if (!parse_options(self, args, po::options_description("options"), {}, values)) return exit_ok;
  const Probe probe = open_advisor(values).probe();
  if (values.count("json") != 0) {
    std::cout << to_json(probe) << '\n';
    return exit_ok;
  }
  print_device(probe.cpu);
  std::cout << "  cores      " << probe.cores << '\n'
            << "  SIMD       " << (probe.cpu_features.empty() ? "baseline" : probe.cpu_features) << '\n';
  for (const Hardware& gpu : probe.gpus) print_device(gpu);
  for (const std::string& note : probe.notes) std::cout << "note: " << note << '\n';
  return exit_ok;
}

}  // namespace

const Command probe_command = {"probe", "this machine as the advice sees it", "probe [--json]",
                               "Memory this process may use, measured read bandwidth, cores, SIMD, NVIDIA GPUs.\n",
                               run};

}  // namespace advisor::cli
