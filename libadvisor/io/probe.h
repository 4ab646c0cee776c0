// This machine as Hardware: CPU and memory from the kernel, bandwidth by measuring, NVIDIA devices through NVML.
#pragma once

#include "core/hardware.h"

namespace advisor {

/// Memory is what this process may use: the smaller of physical memory and its cgroup limit.
/// GPU rates and bandwidth are left unknown; the facade fills them from the catalog by name.
Probe probe_machine();

}  // namespace advisor
