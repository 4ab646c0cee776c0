// What an engine needs beside weights and cache, and which part of the machine's memory it may fill. Terms that were
// measured are quoted with their source in engine_memory.cpp; the others are counted from the engine's buffers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/variant.h"

namespace advisor {

/// Of one device, bytes.
struct EngineBuffers {
  double activations = 0;
  double other = 0;  ///< CUDA context, communication buffers: what the engine's own allocator does not see
  double sd = 0;     ///< of the sum
};
struct EngineOverhead : EngineBuffers {
  std::string assumed;
  std::vector<std::string> sources;
};

struct EngineLoad {
  std::int64_t context = 0, concurrency = 1;
  std::int64_t devices = 1;
  std::int64_t batch_tokens = 2048;  ///< of a prefill step
};

EngineOverhead engine_overhead(const std::string& engine, const Model& model, const Device& device,
                               const EngineLoad& load);
/// Its numbers alone.
EngineBuffers engine_buffers(const std::string& engine, const Model& model, const Device& device,
                             const EngineLoad& load);

/// Tokens that a prefill step of `engine` takes on `device` unless told otherwise.
std::int64_t prefill_tokens(const std::string& engine, const Device& device);
/// Sequences that the engine prepares for, never fewer than its default.
std::int64_t max_sequences(std::int64_t concurrency);

/// The identity that vLLM prints at start, per GPU: what is left for the KV cache.
constexpr double vllm_kv_pool(double utilisation, double memory, double weights, double activations, double non_torch) {
  return utilisation * memory - weights - activations - non_torch;
}
/// Peak of vLLM's profiling run for a dense text model, bytes per GPU: the larger of the sampler's copies of the logits
/// and one layer's forward pass. 0.17 is the version that took the sampler from 9.5 to 3.5 copies.
double vllm_activations(const Model& model, std::int64_t sequences, std::int64_t batch_tokens,
                        bool before_0_17 = false);

/// Memory that `engine` may fill: its share of what the driver shows, over all devices.
struct UsableMemory {
  double bytes = 0, sd = 0;
  double static_share = 1;  ///< weights and cache may fill only this part (SGLang)
  double cache_share = 1;   ///< the cache may fill only this part of what is free after loading (TensorRT-LLM)
};
UsableMemory engine_memory(const std::string& engine, const Hardware& hardware);

}  // namespace advisor
