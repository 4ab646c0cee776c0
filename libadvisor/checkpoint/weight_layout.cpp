#include "checkpoint/weight_layout.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

constexpr int e8m0_bias = 127, e8m0_nan = 255;

std::byte to_e8m0(float scale) {
  int exponent = 0;
  if (std::frexp(scale, &exponent) != 0.5F || exponent - 1 + e8m0_bias < 0) {
    throw Error(ErrorCode::internal, "a scale of " + std::to_string(scale) + " is no power of two that E8M0 can hold");
  }
  return static_cast<std::byte>(exponent - 1 + e8m0_bias);
}

float from_e8m0(std::byte stored) {
  const int e = std::to_integer<int>(stored);
  return e == e8m0_nan ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0F, e - e8m0_bias);
}

/// [rows, cols] -> [cols, rows]
std::vector<float> transposed(std::span<const float> in, std::int64_t rows, std::int64_t cols) {
  std::vector<float> out(in.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < cols; ++c) {
      out[static_cast<std::size_t>(c * rows + r)] = in[static_cast<std::size_t>(r * cols + c)];
    }
  }
  return out;
}

std::int64_t rows_of(std::size_t count, std::int64_t cols) {
  return cols == 0 ? 0 : static_cast<std::int64_t>(count) / cols;
}

}  // namespace

std::string kv_scale_name(std::int64_t layer, std::string_view name) {
  return "model.layers." + std::to_string(layer) + "." + std::string(name);
}

std::string module_of(std::string_view weight) {
  return std::string(weight.substr(0, weight.size() - std::string_view(".weight").size()));
}

std::int64_t WeightLayout::row_step() const {
  if (scheme.block_rows == 0) return std::max<std::int64_t>(rows, 1);
  std::int64_t step = std::max(codes.matrix.row_step(), scheme.block_rows);  // both are powers of two
  if (!zeros.name.empty()) step = std::max(step, zeros.matrix.row_step());
  return step;
}

std::vector<StoredTensor> WeightLayout::parts() const {
  std::vector<StoredTensor> list{{codes.name, codes.matrix.dtype, codes.matrix.shape()}};
  if (!shape_name.empty()) list.push_back({shape_name, DType::i64, {2}});
  if (!zeros.name.empty()) list.push_back({zeros.name, zeros.matrix.dtype, zeros.matrix.shape()});
  list.push_back({scales.name, scales.dtype, scales.shape});
  if (!column_name.empty()) list.push_back({column_name, DType::i32, {cols}});
  for (const Scalar& scalar : {tensor_scale, input_scale}) {
    if (!scalar.name.empty()) list.push_back({scalar.name, DType::f32, scalar.shape});
  }
  return list;
}

std::vector<std::byte> pack_scales(const WeightLayout& layout, std::span<const float> scales) {
  std::vector<float> turned;
  if (layout.scales.transposed) {
    turned = transposed(scales, rows_of(scales.size(), layout.groups()), layout.groups());
    scales = turned;
  }
  std::vector<std::byte> bytes(scales.size() * static_cast<std::size_t>(size_of(layout.scales.dtype)));
  if (layout.scales.dtype == DType::u8) {
    std::transform(scales.begin(), scales.end(), bytes.begin(), to_e8m0);
  } else if (layout.scales.dtype == DType::f8_e4m3) {
    std::vector<std::int8_t> codes(scales.size());
    kernels::quantize(kernels::FloatCode::e4m3, scales, 1, codes);
    std::transform(codes.begin(), codes.end(), bytes.begin(), [](std::int8_t c) { return static_cast<std::byte>(c); });
  } else {
    kernels::from_f32(layout.scales.dtype, scales, bytes);
  }
  return bytes;
}

std::vector<float> unpack_scales(const WeightLayout& layout, DType dtype, std::span<const std::byte> bytes) {
  std::vector<float> scales(bytes.size() / static_cast<std::size_t>(size_of(dtype)));
  if (dtype == DType::u8) {
    std::transform(bytes.begin(), bytes.end(), scales.begin(), from_e8m0);
  } else if (dtype == DType::f8_e4m3) {
    std::transform(bytes.begin(), bytes.end(), scales.begin(), [](std::byte b) {
      return kernels::value_of(kernels::FloatCode::e4m3, std::to_integer<std::uint8_t>(b));
    });
  } else {
    kernels::to_f32(dtype, bytes, scales);
  }
  if (!layout.scales.transposed) return scales;
  return transposed(scales, layout.groups(), rows_of(scales.size(), layout.groups()));
}

ByteRectangle place_of_scales(const WeightLayout& layout, DType dtype, std::int64_t begin, std::int64_t n) {
  const std::int64_t size = size_of(dtype), groups = layout.groups();
  if (layout.scales.transposed) return {0, groups, begin * size, n * size, layout.blocks() * size};
  return {begin, n, 0, groups * size, groups * size};
}

std::string misfit(const QuantScheme& scheme, std::int64_t in) {
  if (scheme.group == 0 || in % scheme.group == 0) return "";
  const std::string group = std::to_string(scheme.group);
  const bool blocks = scheme.block_rows > 1;
  return "has " + std::to_string(in) + " inputs, which is not a multiple of the " +
         (blocks ? "block size " : "group size ") + group + "; choose " +
         (scheme.code && !blocks ? "integers, whose group size is free"
          : blocks               ? "-channel"
                                 : "a smaller group or -channel");
}

}  // namespace advisor
