// Memory of a variant on a machine: weights, KV cache per kind of layer, and what the engine needs beside them. Nearly
// exact, so never "measured": every term is counted, and the context that was assumed is part of the answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/recommendation.h"
#include "estimate/distribution.h"

namespace advisor {

struct KvCache {
  double bytes = 0;   ///< of all sequences
  std::string basis;  ///< "geometry" or "parameters"
};
/// Full attention: 2 · kv_heads · head_dim · bytes per token and layer; sliding-window layers cap the tokens; MLA
/// stores the latent and the rope key. Without geometry an upper figure by model size. nullopt: nothing is known.
std::optional<KvCache> estimate_kv_cache(const Model& model, const std::string& kv, std::int64_t context,
                                         std::int64_t concurrency);

/// Tokens that the engine may hold at once in a step, and the settings that make it so (printed with the launch).
std::map<std::string, std::string> launch_settings(const Variant& variant, const Hardware& hardware,
                                                   std::int64_t context, std::int64_t concurrency);

/// Bytes that `engine` may fill, over all devices.
double usable_memory(const std::string& engine, const Hardware& hardware);

/// nullopt when the size of the model is unknown.
std::optional<MemoryEstimate> estimate_memory(const Model& model, const Variant& variant, const Hardware& hardware,
                                              std::int64_t context, std::int64_t concurrency);
/// The total as a distribution: weights from geometry are exact to 1 %, by stated size to 4 %, buffers to 10 %.
Distribution memory_distribution(const MemoryEstimate& memory);

}  // namespace advisor
