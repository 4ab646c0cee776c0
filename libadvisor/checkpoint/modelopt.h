// Unified Hugging Face checkpoints of NVIDIA ModelOpt: what writer and reader share. One module's weight becomes
//   FP8                        weight F8_E4M3 [out, in], weight_scale F32 [], input_scale F32 []
//   FP8_PER_CHANNEL_PER_TOKEN  weight F8_E4M3 [out, in], weight_scale F32 [out]
//   W4A16_AWQ                  weight U8 [out / 2, in]: two rows a byte, the even one low, two's complement;
//                              weight_scale [out, in / g]
//   NVFP4, W4A16_NVFP4         weight U8 [out, in / 2]: two columns a byte, the even one low;
//                              weight_scale F8_E4M3 [out, in / 16], weight_scale_2 F32 [] (the tensor scale itself);
//                              NVFP4: input_scale F32 []
// Private to checkpoint/.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "checkpoint/weight_layout.h"

namespace advisor::modelopt {

inline constexpr std::string_view config_name = "hf_quant_config.json";

/// "FP8" ...; nullopt: ModelOpt has no name for the scheme.
std::optional<std::string_view> algorithm_of(const QuantScheme& scheme);
/// The other way; `group` is group_size of the config.
std::optional<QuantScheme> scheme_of(std::string_view algorithm, std::int64_t group);

/// `dense`: of the scales of W4A16_AWQ.
WeightLayout layout(const std::string& module, const QuantScheme& scheme, std::int64_t out, std::int64_t in,
                    DType dense);

}  // namespace advisor::modelopt
