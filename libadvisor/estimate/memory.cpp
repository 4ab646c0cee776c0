#include "estimate/memory.h"

#include <algorithm>
#include <cmath>

#include "estimate/weights.h"

namespace advisor {

namespace {

/// sd of the weights as a share of them, by what they were counted from: alignment in the file; biases and norms that
/// the geometry leaves out, and what an engine pads; a stated size is rounded to two digits.
double weights_spread(const std::string& basis) {
  return basis == "checkpoint" ? 0.002 : basis == "geometry" ? 0.01 : 0.04;
}

}  // namespace

double usable_memory(const std::string& engine, const Hardware& hardware) {
  return engine_memory(engine, hardware).bytes;
}

std::optional<MemoryEstimate> estimate_memory(const Model& model, const Variant& variant, const Hardware& hardware,
                                              std::int64_t context, std::int64_t concurrency) {
  const auto weights = estimate_weights(model, variant);
  const auto layout = kv_layout(model);
  if (!weights || !layout) return std::nullopt;
  const auto tokens = prefill_tokens(variant.engine, hardware.device);
  const auto overhead =
      engine_overhead(variant.engine, model, hardware.device, {context, concurrency, hardware.count, tokens});
  const auto usable = engine_memory(variant.engine, hardware);
  const auto devices = static_cast<double>(hardware.count);

  MemoryEstimate estimate;
  estimate.weights = weights->bytes;
  estimate.weights_sd = weights_spread(weights->basis) * weights->bytes;
  estimate.kv_cache = kv_bytes(*layout, kv_value_bytes(variant.kv), static_cast<double>(context),
                               static_cast<double>(concurrency), kv_paging(variant.engine, model)) *
                      kv_copies(variant.engine, model, hardware.count);
  estimate.kv_cache_sd = layout->spread * estimate.kv_cache;
  estimate.activations = devices * overhead.activations;
  estimate.overhead = estimate.activations + devices * overhead.other;
  estimate.overhead_sd = devices * overhead.sd;
  // Of a share of the memory the rest stays idle, or holds the buffers: whichever needs more.
  const double held = estimate.weights + estimate.kv_cache;
  estimate.overhead = std::max(estimate.overhead, held * (1 / usable.static_share - 1));
  estimate.overhead += estimate.kv_cache * (1 / usable.cache_share - 1);
  estimate.total = held + estimate.overhead;
  estimate.available = usable.bytes;
  estimate.available_sd = usable.sd;
  estimate.basis = layout->basis == "geometry" ? weights->basis : "parameters";
  estimate.context = context;
  estimate.concurrency = concurrency;
  estimate.assumed = overhead.assumed;
  estimate.sources = overhead.sources;
  return estimate;
}

Distribution memory_distribution(const MemoryEstimate& memory) {
  return {memory.total,
          std::hypot(std::hypot(memory.weights_sd, memory.kv_cache_sd), memory.overhead_sd, memory.available_sd), 30};
}

}  // namespace advisor
