// Weights that the devices have no room for, in the host's memory, as llama.cpp shares them out: of a mixture of
// experts the routed experts of the first layers (--n-cpu-moe N; attention, shared parts, output head and the KV cache
// stay on the device), of a dense model the first layers whole, with their cache (-ngl: the rest). The embedding table
// is looked up in the host's memory in either case. Facts after llama.cpp's src/llama-model.cpp and common/arg.cpp
// (2026).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/hardware.h"
#include "core/recommendation.h"
#include "estimate/distribution.h"
#include "estimate/weights.h"

namespace advisor {

enum class OffloadKind : std::uint8_t { none, experts, layers };
std::string_view name(OffloadKind kind);  ///< "none", "experts", "layers"

/// What moves to the host with each layer of a model under one format.
struct LayerBytes {
  OffloadKind kind = OffloadKind::none;
  std::vector<double> moved;  ///< [n]: bytes of the first n layers; [0] is 0
  double embedding = 0;       ///< leaves the device with the first layer: 0 where it is the output head as well
  double copy = 0;            ///< of it, held by the host beside the device's
  double largest = 0;         ///< of one layer: a device makes room for it while it computes a prompt
  double used = 1;            ///< share of `moved` that one token reads
  std::int64_t layers() const { return static_cast<std::int64_t>(moved.size()) - 1; }
};
/// nullopt: no layers are known, or the experts cannot be told from the rest.
std::optional<LayerBytes> layer_bytes(const Layout& layout, const WeightFormat& format);

/// Where what lies with `layers` of them in the host's memory.
struct Placement {
  OffloadKind kind = OffloadKind::none;
  std::int64_t layers = 0, of = 0;
  double host_weights = 0;  ///< bytes
  double left = 0;          ///< bytes that left the device
  double host_read = 0;     ///< of them read for one decode step of one sequence
  double host_rest = 0;     ///< of them read only for other sequences: other experts
  double cache_share = 0;   ///< of the KV cache that lies with the host; layers count alike
  double staging = 0;       ///< bytes of the device that hold a layer's weights on their way through
};
Placement place(const LayerBytes& bytes, std::int64_t layers);

/// Where it puts what an estimate of memory says.
std::optional<Placement> placement(const Model& model, const Variant& variant, const HostShare& host);

/// The fewest layers with which `fits` holds, where it holds for all layers beyond; 0: not even with all of them.
template <typename Fits>
std::int64_t fewest_layers(std::int64_t of, Fits&& fits) {
  if (of < 1 || !fits(of)) return 0;
  std::int64_t too_few = 0, enough = of;
  while (enough - too_few > 1) {
    const auto middle = (too_few + enough) / 2;
    (fits(middle) ? enough : too_few) = middle;
  }
  return enough;
}

/// What the host leaves to a model. The operating system lives there too.
double usable_host_memory(const Hardware& hardware);

/// Bytes per second that the host's memory has where nobody says: two channels of DDR4-3200 (JEDEC JESD79-4: 25.6 GB/s
/// each), between two of DDR4-2133 (34.1) and two of DDR5-6400 (102.4), which are one standard deviation away.
inline constexpr double assumed_host_bandwidth = 51.2e9, assumed_host_spread = 0.55;

/// How fast weights in the host's memory are computed with, and come to the device: what was fitted (offload_fit.h),
/// for one machine. As ln of bytes per second.
struct HostRates {
  Distribution log_read, log_link;
};

}  // namespace advisor
