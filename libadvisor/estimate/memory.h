// Memory of a variant on a machine: weights, KV cache per kind of layer, and what the engine needs beside them. Nearly
// exact, so never "measured": every term is counted with its spread, and the context that was assumed is part of the
// answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/recommendation.h"
#include "estimate/distribution.h"
#include "estimate/engine_memory.h"
#include "estimate/kv_cache.h"
#include "estimate/offload.h"

namespace advisor {

/// Bytes that `engine` may fill, over all devices.
double usable_memory(const std::string& engine, const Hardware& hardware);

/// What a variant's need is made of, as plain numbers.
struct MemoryTerms {
  double weights = 0, weights_spread = 0;     ///< bytes; sd as a share
  double kv_cache = 0, kv_spread = 0;         ///< of all sequences and copies
  double activations = 0, other = 0, sd = 0;  ///< of one device
  UsableMemory usable;
  double devices = 1;
};
struct MemoryNumbers {
  double total = 0, overhead = 0, activations = 0, available = 0;  ///< bytes over all devices
  double weights_sd = 0, kv_cache_sd = 0, overhead_sd = 0, available_sd = 0;
  double weights = 0, kv_cache = 0;
  Distribution need() const;  ///< with the spread of what is available
};
MemoryNumbers add_up(const MemoryTerms& terms);
/// The terms of the devices when a part lies with the host.
MemoryTerms with_host(MemoryTerms terms, const Placement& placed);
/// What the host then needs: weights, cache and buffers like those of a device.
Distribution host_need(const MemoryTerms& terms, const Placement& placed);
HostShare host_share(const MemoryTerms& terms, const Placement& placed, const Hardware& hardware);
/// Only llama.cpp computes with weights in the host's memory as this library describes it.
bool can_offload(const std::string& engine, const Hardware& hardware);
/// sd of the weights as a share of them, by what they were counted from.
double weights_spread(std::string_view basis);

/// nullopt when the size of the model is unknown. Where the devices have no room with a chance of `confidence`, the
/// host has memory and the engine offloads, as much as has to lie there does (MemoryEstimate::host).
std::optional<MemoryEstimate> estimate_memory(const Model& model, const Variant& variant, const Hardware& hardware,
                                              std::int64_t context, std::int64_t concurrency, double confidence = 0.9);
/// Need less what is available, as a total around `available` that carries both spreads.
Distribution memory_distribution(const MemoryEstimate& memory);

}  // namespace advisor
