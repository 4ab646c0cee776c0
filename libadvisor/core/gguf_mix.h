// Which type llama-quantize gives each tensor of a GGUF file, and what it then weighs; the estimator counts with this
// table and the writer of GGUF files follows it. A "file type" such as Q4_K_M is a mix: it keeps the tensors that
// suffer most at more bits, by their role and by the place of their layer. Facts after llama.cpp src/llama-quant.cpp
// (2026) and ggml's block sizes; the mixes were unchanged since 2024.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/catalog.h"

namespace advisor {

enum class GgufType : std::uint8_t {
  f32,
  f16,
  bf16,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq3_xxs,
  iq3_s,
  iq4_xs,
  iq4_nl,
  tq1_0,
  tq2_0,
  mxfp4
};

/// A block of `elements` consecutive values of a row takes `bytes`.
struct GgufBlock {
  std::string_view name;
  int elements, bytes;
};
const GgufBlock& gguf_block(GgufType type);

enum class GgufMix : std::uint8_t {
  f32,
  f16,
  bf16,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q2_k_s,
  q3_k_s,
  q3_k_m,
  q3_k_l,
  q4_k_s,
  q4_k_m,
  q5_k_s,
  q5_k_m,
  q6_k,
  iq1_s,
  iq1_m,
  iq2_xxs,
  iq2_xs,
  iq2_s,
  iq2_m,
  iq3_xxs,
  iq3_xs,
  iq3_s,
  iq3_m,
  iq4_xs,
  iq4_nl,
  tq1_0,
  tq2_0,
  mxfp4_moe
};
/// "Q4_K_M", "IQ4_XS" ..., in any letter case; a K-quant without suffix is the mix of the same name in llama-quantize
/// (Q4_K = Q4_K_M).
std::optional<GgufMix> gguf_mix_named(std::string_view name);
std::string_view gguf_mix_name(GgufMix mix);  ///< "Q4_K_M"
std::vector<std::string_view> gguf_mix_names();
/// Type of tensors that no rule speaks of: q4_k for Q4_K_M.
GgufType gguf_base_type(GgufMix mix);
/// Value of general.file_type in a file of this mix.
int gguf_file_type(GgufMix mix);

/// What of a model decides the types of its tensors.
struct GgufModel {
  std::int64_t layers = 0;
  double queries_per_kv = 1;  ///< query heads per key-value head
  std::int64_t experts = 0;
  bool tied = false;  ///< no output tensor of its own: the embedding is stored as the output would be
  bool falcon = false;
};

/// Type of one tensor of the group (layer `layer`). `imatrix`: quantized with an importance matrix, which a few mixes
/// take into account. Rows that are no multiple of the block get a type that fits.
GgufType gguf_tensor_type(const TensorGroup& group, std::int64_t layer, GgufMix mix, bool imatrix,
                          const GgufModel& model);

/// Bytes of a group of tensors in the data section of the file.
double gguf_bytes(const TensorGroup& group, GgufMix mix, bool imatrix, const GgufModel& model);

}  // namespace advisor
