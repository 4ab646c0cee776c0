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

MemoryTerms with_host(MemoryTerms terms, const Placement& placed) {
  // A layer on its way through is a buffer that nobody measured: a third of it is uncertain.
  terms.weights -= placed.left;
  terms.kv_cache *= 1 - placed.cache_share;
  terms.activations += placed.staging;
  terms.sd = std::hypot(terms.sd, placed.staging / 3);
  return terms;
}

Distribution host_need(const MemoryTerms& terms, const Placement& placed) {
  const double cache = terms.kv_cache * placed.cache_share;
  return {placed.host_weights + cache + terms.activations,
          std::hypot(terms.weights_spread * placed.host_weights, terms.kv_spread * cache, terms.sd), 30};
}

HostShare host_share(const MemoryTerms& terms, const Placement& placed, const Hardware& hardware) {
  return {std::string(name(placed.kind)),
          placed.layers,
          placed.of,
          placed.host_weights,
          terms.kv_cache * placed.cache_share,
          terms.activations,
          usable_host_memory(hardware)};
}

bool can_offload(const std::string& engine, const Hardware& hardware) {
  return engine == "llama.cpp" && usable_host_memory(hardware) > 0;
}

namespace {

/// The fewest layers with the host that make room; nullopt: no number of them does, or the host has no room.
std::optional<Placement> make_room(const Model& model, const Variant& variant, const Hardware& hardware,
                                   const MemoryTerms& terms, double confidence) {
  const auto layout = layout_of(model);
  const auto bytes = layout ? layer_bytes(*layout, weight_format(variant, model)) : std::nullopt;
  if (!bytes) return std::nullopt;
  const auto layers = fewest_layers(bytes->layers(), [&](std::int64_t count) {
    const auto sum = add_up(with_host(terms, place(*bytes, count)));
    return sum.need().probability_below(sum.available) >= confidence;
  });
  if (layers == 0) return std::nullopt;
  const auto placed = place(*bytes, layers);
  if (host_need(terms, placed).probability_below(usable_host_memory(hardware)) < confidence) return std::nullopt;
  return placed;
}

}  // namespace

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
                                              std::int64_t context, std::int64_t concurrency, double confidence) {
  const auto weights = estimate_weights(model, variant);
  const auto layout = kv_layout(model);
  if (!weights || !layout) return std::nullopt;
  const auto tokens = prefill_tokens(variant.engine, hardware.device);
  const auto overhead =
      engine_overhead(variant.engine, model, hardware.device, {context, concurrency, hardware.count, tokens});
  const auto usable = engine_memory(variant.engine, hardware);
  const MemoryTerms terms{weights->bytes,
                          weights_spread(weights->basis),
                          kv_bytes(*layout, kv_value_bytes(variant.kv), static_cast<double>(context),
                                   static_cast<double>(concurrency), kv_paging(variant.engine, model)) *
                              kv_copies(variant.engine, model, hardware.count),
                          layout->spread,
                          overhead.activations,
                          overhead.other,
                          overhead.sd,
                          usable,
                          static_cast<double>(hardware.count)};
  auto sum = add_up(terms);
  MemoryEstimate estimate;
  if (can_offload(variant.engine, hardware) && sum.need().probability_below(sum.available) < confidence)
    if (const auto placed = make_room(model, variant, hardware, terms, confidence)) {
      sum = add_up(with_host(terms, *placed));
      estimate.host = host_share(terms, *placed, hardware);
    }
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
