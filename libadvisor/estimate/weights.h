// Bytes of the stored weights and bytes read to decode a token, from geometry where the catalog has it.
#pragma once

#include <optional>
#include <string>

#include "core/catalog.h"
#include "core/variant.h"

namespace advisor {

/// Where the parameters sit. For a decoder with gated MLP (Llama-like):
///   linear = layers · hidden · (2 · heads · head_dim + 2 · kv_heads · head_dim + 3 · intermediate)
struct ParameterCount {
  double linear = 0;     ///< what quantization touches
  double embedding = 0;  ///< vocab · hidden
  double head = 0;       ///< 0 when tied to the embedding
  double norm = 0;
  std::string basis;  ///< "geometry" or "parameters"
  double total() const { return linear + embedding + head + norm; }
};
/// Counted from geometry when that agrees with the stated size within 3 % (other block layouts, vision towers and
/// mixtures of experts do not; their linears are the stated size less the embeddings). nullopt: size unknown.
std::optional<ParameterCount> count_parameters(const Model& model);

struct WeightEstimate {
  double bytes = 0;          ///< stored
  double read_bytes = 0;     ///< read for one decode step of one sequence (active experts, output head)
  double active_params = 0;  ///< multiplied per token
  std::string basis;
};
/// Linears at the bits of the scheme, scales included; embeddings and head stay at 16 bits except in GGUF files.
std::optional<WeightEstimate> estimate_weights(const Model& model, const Variant& variant);

/// Share of the routed weights that a step over `sequences` sequences touches: 1 - (1 - used/experts)^sequences.
double touched_share(const Model& model, double sequences);

}  // namespace advisor
