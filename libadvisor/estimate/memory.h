// Memory of a variant on a machine: weights, KV cache per kind of layer, and what the engine needs beside them. Nearly
// exact, so never "measured": every term is counted with its spread, and the context that was assumed is part of the
// answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/recommendation.h"
#include "estimate/distribution.h"
#include "estimate/engine_memory.h"
#include "estimate/kv_cache.h"

namespace advisor {

/// Bytes that `engine` may fill, over all devices.
double usable_memory(const std::string& engine, const Hardware& hardware);

/// nullopt when the size of the model is unknown.
std::optional<MemoryEstimate> estimate_memory(const Model& model, const Variant& variant, const Hardware& hardware,
                                              std::int64_t context, std::int64_t concurrency);
/// Need less what is available, as a total around `available` that carries both spreads.
Distribution memory_distribution(const MemoryEstimate& memory);

}  // namespace advisor
