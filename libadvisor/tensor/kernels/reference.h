// The scalar specification of every kernel. Slow, short and portable: the oracle in tests, and what the Highway
// versions call where a wide version does not pay. Signatures and meaning are those of kernels.h.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "tensor/kernels/error_sum.h"
#include "tensor/kernels/kernels.h"

namespace advisor::kernels::reference {

// In the header, because the scalar code of the block types calls them for every group.
inline float f16_to_f32(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16;
  const std::uint32_t magnitude = bits & 0x7fffU;
  // Read as float32, the shifted bits are too small by 2^(127-15), subnormals included; infinity and NaN need their
  // exponent back.
  std::uint32_t u = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112F);
  if (magnitude >= 0x7c00U) u = (magnitude << 13) | 0x7f800000U;
  return std::bit_cast<float>(u | sign);
}

inline std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t u = bits & 0x7fffffffU;
  std::uint32_t half = 0;
  if (u > 0x7f800000U) {
    half = 0x7e00U;
  } else if (u >= 0x47800000U) {  // 65536 and more
    half = 0x7c00U;
  } else if (u < 0x38800000U) {  // below 2^-14: adding 1/2 moves the subnormal's bits to the end, rounded by the adder
    half = std::bit_cast<std::uint32_t>(std::bit_cast<float>(u) + 0.5F) - 0x3f000000U;
  } else {
    half = (u - 0x38000000U + 0xfffU + ((u >> 13) & 1U)) >> 13;  // 65520 and more carry into infinity
  }
  return static_cast<std::uint16_t>(half | sign);
}

float bf16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_bf16(float value);

void to_f32(DType dtype, std::span<const std::byte> in, std::span<float> out);
void from_f32(DType dtype, std::span<const float> in, std::span<std::byte> out);
void round_to(DType dtype, std::span<float> values);
std::uint32_t largest_magnitude(std::span<const float> values);
Range min_max(std::span<const float> values);
void min_max(std::span<const float> values, std::size_t group, std::span<Range> out);
SquaredDistance squared_distance(std::span<const float> x, std::span<const float> y);
void quantize(std::span<const float> x, float scale, int zero, int qmin, int qmax, std::span<std::int8_t> q);
void dequantize(std::span<const std::int8_t> q, float scale, int zero, std::span<float> x);
double quantization_error(std::span<const float> x, float scale, int zero, int qmin, int qmax);
void quantize(FloatCode code, std::span<const float> x, float scale, std::span<std::int8_t> q);
void dequantize(FloatCode code, std::span<const std::int8_t> q, float scale, std::span<float> x);
double quantization_error(FloatCode code, std::span<const float> x, float scale);
void pack(std::span<const std::uint8_t> values, int bits, std::span<std::uint32_t> words);
void unpack(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> values);

// The parts of two reductions, so that a wide version can leave its last few elements to them. An empty range is
// {inf, -inf}; the elements given to add_errors are the last, fewer than a row of lanes, or begin a row.
inline constexpr Range nothing{std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()};
inline void widen(Range& range, std::span<const float> values) {
  for (const float v : values) {
    if (std::isnan(v)) continue;
    range.min = std::min(range.min, v);
    range.max = std::max(range.max, v);
  }
}

inline Range finish(Range range) {
  if (range.min > range.max) return {};         // nothing, or nothing but NaN
  return {range.min + 0.0F, range.max + 0.0F};  // -0 becomes +0: which of the two zeros came first must not show
}

void add_errors(std::span<const float> x, float scale, int zero, int qmin, int qmax, ErrorSum::Lanes& lanes);
void add_errors(FloatCode code, std::span<const float> x, float scale, ErrorSum::Lanes& lanes);

}  // namespace advisor::kernels::reference
