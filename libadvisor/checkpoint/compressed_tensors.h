// compressed-tensors as vLLM and transformers read it: what writer and reader share. One module's weight becomes
//   pack-quantized   weight_packed I32 [out, ceil(in*b/32)], weight_scale [out, G], weight_shape I64 [2],
//                    weight_zero_point I32 [ceil(out*b/32), G] when asymmetric
//   int-quantized    weight I8 [out, in], weight_scale [out, G], weight_zero_point I8 [out, G] when asymmetric
// Packed values are a little-endian bit stream of q + 2^(b-1): codes along `in`, zero points along `out`.
// Private to checkpoint/.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "tensor/quantized.h"

namespace advisor {
namespace compressed_tensors {

inline constexpr std::string_view pack_format = "pack-quantized", int_format = "int-quantized";

/// Weight-only schemes are packed; with int8 activations engines want plain int8.
inline std::string_view format_of(const QuantScheme& scheme) {
  return scheme.activation_bits == 16 ? pack_format : int_format;
}

/// 32-bit words that `n` values of `bits` fill.
inline std::int64_t words(std::int64_t n, int bits) { return (n * bits + 31) / 32; }

/// "model.layers.0.mlp.up_proj" of "model.layers.0.mlp.up_proj.weight".
inline std::string module_of(std::string_view weight) {
  return std::string(weight.substr(0, weight.size() - std::string_view(".weight").size()));
}

}  // namespace compressed_tensors

/// `quantization_config` is the JSON text of that key in config.json.
std::unique_ptr<Checkpoint> open_compressed_tensors(const std::filesystem::path& folder, ModelConfig config,
                                                    const std::string& quantization_config);

}  // namespace advisor
