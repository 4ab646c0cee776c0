#include "checkpoint/modelopt.h"

namespace advisor::modelopt {
namespace {

using kernels::FloatCode;

constexpr std::string_view fp8 = "FP8", fp8_channel = "FP8_PER_CHANNEL_PER_TOKEN", int4 = "W4A16_AWQ", nvfp4 = "NVFP4",
                           nvfp4_weights = "W4A16_NVFP4";

QuantScheme fp8_scheme(bool per_tensor) {
  return {.bits = 8,
          .activation_bits = 8,
          .code = FloatCode::e4m3,
          .block_rows = per_tensor ? 0 : 1,
          .static_activations = per_tensor};
}

QuantScheme nvfp4_scheme(int activation_bits) {
  return {
      .bits = 4, .group = 16, .activation_bits = activation_bits, .code = FloatCode::e2m1, .scale = ScaleType::e4m3};
}

}  // namespace

std::optional<std::string_view> algorithm_of(const QuantScheme& scheme) {
  if (scheme == fp8_scheme(true)) return fp8;
  if (scheme == fp8_scheme(false)) return fp8_channel;
  if (scheme == nvfp4_scheme(4)) return nvfp4;
  if (scheme == nvfp4_scheme(16)) return nvfp4_weights;
  if (scheme.group > 0 && scheme == QuantScheme{.bits = 4, .group = scheme.group}) return int4;
  return std::nullopt;
}

std::optional<QuantScheme> scheme_of(std::string_view algorithm, std::int64_t group) {
  if (algorithm == fp8) return fp8_scheme(true);
  if (algorithm == fp8_channel) return fp8_scheme(false);
  if (algorithm == nvfp4) return nvfp4_scheme(4);
  if (algorithm == nvfp4_weights) return nvfp4_scheme(16);
  if (algorithm == int4 && group > 0) return QuantScheme{.bits = 4, .group = group};
  return std::nullopt;
}

WeightLayout layout(const std::string& module, const QuantScheme& scheme, std::int64_t out, std::int64_t in,
                    DType dense) {
  const std::int64_t groups = scheme.groups(in), blocks = scheme.blocks(out);
  WeightLayout w{.weight = module + ".weight", .scheme = scheme, .rows = out, .cols = in};
  w.codes.name = module + ".weight";
  w.scales = {module + ".weight_scale", DType::f32, false, {blocks, groups}};
  if (scheme.code == FloatCode::e4m3) {
    w.codes.matrix = {Packing::bytes, DType::f8_e4m3, 8, 0, false, out, in};
    w.scales.shape = scheme.block_rows == 0 ? std::vector<std::int64_t>{} : std::vector<std::int64_t>{out};
  } else if (scheme.code == FloatCode::e2m1) {
    w.codes.matrix = {Packing::row_streams, DType::u8, 4, 0, false, out, in};
    w.scales.dtype = DType::f8_e4m3;
    w.tensor_scale = {module + ".weight_scale_2", {}, false};
  } else {
    w.codes.matrix = {Packing::row_pairs, DType::u8, 4, 0, false, out, in};
    w.scales.dtype = dense;
  }
  if (scheme.activation_bits == 4 || scheme.static_activations) w.input_scale = {module + ".input_scale", {}, false};
  return w;
}

}  // namespace advisor::modelopt
