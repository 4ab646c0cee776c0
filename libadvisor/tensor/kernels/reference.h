// The scalar specification of every kernel. Slow, short and portable: the oracle in tests, and what the Highway
// versions call where a wide version does not pay. Signatures and meaning are those of kernels.h.
#pragma once

#include <limits>

#include "tensor/kernels/error_sum.h"
#include "tensor/kernels/kernels.h"

namespace advisor::kernels::reference {

float bf16_to_f32(std::uint16_t bits);
float f16_to_f32(std::uint16_t bits);
std::uint16_t f32_to_bf16(float value);
std::uint16_t f32_to_f16(float value);

void to_f32(DType dtype, std::span<const std::byte> in, std::span<float> out);
void from_f32(DType dtype, std::span<const float> in, std::span<std::byte> out);
void round_to(DType dtype, std::span<float> values);
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
void widen(Range& range, std::span<const float> values);
Range finish(Range range);
void add_errors(std::span<const float> x, float scale, int zero, int qmin, int qmax, ErrorSum::Lanes& lanes);
void add_errors(FloatCode code, std::span<const float> x, float scale, ErrorSum::Lanes& lanes);

}  // namespace advisor::kernels::reference
