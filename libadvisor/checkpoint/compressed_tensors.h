// compressed-tensors as vLLM and transformers read it: what writer and reader share. One module's weight becomes
//   pack-quantized        weight_packed I32 [out, words(in)], weight_scale [out, G], weight_shape I64 [2],
//                         weight_zero_point I32 [words(out), G] when asymmetric
//   int-quantized         weight I8 [out, in], weight_scale [out, G], weight_zero_point I8 [out, G] when asymmetric
//   float-quantized       weight F8_E4M3 [out, in]; weight_scale [1], [out, 1] or [out / 128, in / 128]; static
//                         activations: input_scale [1]
//   nvfp4-pack-quantized  weight_packed U8 [out, in / 2], weight_scale F8_E4M3 [out, in / 16],
//                         weight_global_scale F32 [1] = 1 / tensor scale; 4-bit activations: input_global_scale F32 [1]
//   mxfp4-pack-quantized  weight_packed U8 [out, in / 2], weight_scale U8 (E8M0) [out, in / 32]
// Packed values are a little-endian bit stream; integers as q + 2^(b-1): codes along `in`, zero points along `out`.
// Private to checkpoint/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/json.h"
#include "checkpoint/weight_layout.h"
#include "tensor/quantized.h"

namespace advisor::compressed_tensors {

inline constexpr std::string_view pack_format = "pack-quantized", int_format = "int-quantized",
                                  float_format = "float-quantized", naive_format = "naive-quantized",
                                  nvfp4_format = "nvfp4-pack-quantized", mxfp4_format = "mxfp4-pack-quantized",
                                  mixed_format = "mixed-precision";

/// The storage that compressed-tensors chooses for a scheme.
std::string_view format_of(const QuantScheme& scheme);

/// Why the format has no place for a scheme, or nullopt.
std::optional<std::string> refuses(const QuantScheme& scheme);

/// Parts of weight "module.weight"; `dense` is the dtype of scales that are stored as floats.
WeightLayout layout(const std::string& module, const QuantScheme& scheme, std::int64_t out, std::int64_t in,
                    DType dense);

/// One group of "config_groups": weights and activations, without targets and format.
json::OrderedJson scheme_to_json(const QuantScheme& scheme);
/// The other way; throws parse_error or unsupported.
QuantScheme scheme_from_json(const json::Json& group, const std::string& where);

}  // namespace advisor::compressed_tensors
