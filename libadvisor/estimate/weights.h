// Bytes of the stored weights and bytes read to decode a token: tensor by tensor, in the layout that the format gives
// each. From a checkpoint's own tensors, else from geometry, else from the stated size (estimate/layout.h).
#pragma once

#include <optional>
#include <string>

#include "core/catalog.h"
#include "core/variant.h"
#include "estimate/layout.h"

namespace advisor {

/// Where the parameters sit.
struct ParameterCount {
  double linear = 0;     ///< what quantization touches
  double embedding = 0;  ///< vocab · hidden
  double head = 0;       ///< 0 when tied to the embedding
  double norm = 0;       ///< norms, biases, routers, towers: never quantized
  std::string basis;     ///< "checkpoint", "geometry" or "parameters"
  double total() const { return linear + embedding + head + norm; }
};
/// nullopt: size unknown.
std::optional<ParameterCount> count_parameters(const Model& model);

/// How a variant stores matrices, resolved from its names once; plain numbers from here on.
struct WeightFormat {
  std::optional<GgufMix> mix;  ///< of a GGUF file; otherwise a folder of safetensors
  bool imatrix = false;
  double bits = 16;        ///< of a quantized value
  double nominal = 16;     ///< bits per weight with scales: for what has no shape
  std::int64_t group = 0;  ///< inputs per scale; 0: one scale per row
  double scale_bits = 16;
  double zero_bits = 0;        ///< per group; 0 when symmetric
  std::int64_t row_words = 0;  ///< 4-byte words are filled row by row when > 0 (packed integers)
  double matrix_bytes = 0;     ///< per matrix: its shape, its global scale
  double input_bytes = 0;      ///< per input column: GPTQ's group index
  double kept = 1;             ///< share of the values that structured pruning leaves
  bool two_four = false;       ///< 2:4 compressed: half of the values, two bits of position each
  bool routed_only = false;    ///< the experts alone are quantized
};
/// Throws invalid_argument for a scheme that nobody can read.
WeightFormat weight_format(const Variant& variant);
/// The same for a variant of `model`: weights published in mxfp4 are the experts' only.
WeightFormat weight_format(const Variant& variant, const Model& model);

/// Of the tensors of one group.
double stored_bytes(const TensorGroup& group, const Layout& layout, const WeightFormat& format);

struct WeightBytes {
  double stored = 0;
  double read = 0;  ///< for one decode step of one sequence: all but the embedding table, and the experts in use
};
/// The inner arithmetic: no allocation, well below a microsecond.
WeightBytes weight_bytes(const Layout& layout, const WeightFormat& format);

struct WeightEstimate {
  double bytes = 0;          ///< stored
  double read_bytes = 0;     ///< read for one decode step of one sequence (active experts, output head)
  double active_params = 0;  ///< multiplied per token
  std::string basis;
};
std::optional<WeightEstimate> estimate_weights(const Model& model, const Variant& variant);
/// The same for a layout at hand.
WeightEstimate estimate_weights(const Model& model, const Layout& layout, const WeightFormat& format);

/// Share of the routed weights that a step over `sequences` sequences touches: 1 - (1 - used/experts)^sequences.
double touched_share(const Model& model, double sequences);

}  // namespace advisor
