#include "estimate/memory.h"

#include <algorithm>
#include <cmath>

#include "estimate/weights.h"

namespace advisor {

/// Alignment in the file; biases and norms that the geometry leaves out, and what an engine pads; a stated size is
/// rounded to two digits.
double weights_spread(std::string_view basis) {
  return basis == "checkpoint" ? 0.002 : basis == "geometry" ? 0.01 : 0.04;
}

MemoryNumbers add_up(const MemoryTerms& terms) {
  MemoryNumbers sum;
  sum.weights = terms.weights;
  sum.weights_sd = terms.weights_spread * terms.weights;
  sum.kv_cache = terms.kv_cache;
  sum.kv_cache_sd = terms.kv_spread * terms.kv_cache;
  sum.activations = terms.devices * terms.activations;
  sum.overhead = sum.activations + terms.devices * terms.other;
  sum.overhead_sd = terms.devices * terms.sd;
  // Of a share of the memory the rest stays idle, or holds the buffers: whichever needs more.
  const double held = sum.weights + sum.kv_cache;
  sum.overhead = std::max(sum.overhead, held * (1 / terms.usable.static_share - 1));
  sum.overhead += sum.kv_cache * (1 / terms.usable.cache_share - 1);
  sum.total = held + sum.overhead;
  sum.available = terms.usable.bytes;
  sum.available_sd = terms.usable.sd;
  return sum;
}

Distribution MemoryNumbers::need() const {
  return {total,
          std::sqrt(weights_sd * weights_sd + kv_cache_sd * kv_cache_sd + overhead_sd * overhead_sd +
                    available_sd * available_sd),
          30};
}

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
  const auto sum = add_up({weights->bytes, weights_spread(weights->basis),
                           kv_bytes(*layout, kv_value_bytes(variant.kv), static_cast<double>(context),
                                    static_cast<double>(concurrency), kv_paging(variant.engine, model)) *
                               kv_copies(variant.engine, model, hardware.count),
                           layout->spread, overhead.activations, overhead.other, overhead.sd, usable,
                           static_cast<double>(hardware.count)});
  MemoryEstimate estimate;
  estimate.total = sum.total, estimate.available = sum.available, estimate.available_sd = sum.available_sd;
  estimate.weights = sum.weights, estimate.weights_sd = sum.weights_sd;
  estimate.kv_cache = sum.kv_cache, estimate.kv_cache_sd = sum.kv_cache_sd;
  estimate.activations = sum.activations, estimate.overhead = sum.overhead, estimate.overhead_sd = sum.overhead_sd;
  estimate.basis = layout->basis == "geometry" ? weights->basis : "parameters";
  estimate.context = context;
  estimate.concurrency = concurrency;
  estimate.assumed = overhead.assumed;
  estimate.sources = overhead.sources;
  return estimate;
}

Distribution memory_distribution(const MemoryEstimate& memory) {
  MemoryNumbers sum;
  sum.total = memory.total;
  sum.weights_sd = memory.weights_sd, sum.kv_cache_sd = memory.kv_cache_sd;
  sum.overhead_sd = memory.overhead_sd, sum.available_sd = memory.available_sd;
  return sum.need();
}

}  // namespace advisor
