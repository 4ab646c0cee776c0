// The only header of the kernels: plain functions on spans, dispatched at run time to the widest SIMD target (Highway).
// reference.cpp holds the scalar specification of each under advisor::kernels::reference; both must agree bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.h"

namespace advisor::kernels {

/// Converts elements of a float dtype (f64, f32, f16, bf16) to float32. in.size() == out.size() * size_of(dtype).
void to_f32(DType dtype, std::span<const std::byte> in, std::span<float> out);
/// Rounds float32 to f32, f16 or bf16, half to even; overflow becomes infinity, NaN stays NaN.
void from_f32(DType dtype, std::span<const float> in, std::span<std::byte> out);
/// Rounds values to what `dtype` can hold, as float32, in place.
void round_to(DType dtype, std::span<float> values);

/// Smallest and largest value. NaN is skipped; 0 and 0 when nothing is left; -0 reads +0.
struct Range {
  float min = 0, max = 0;
};
Range min_max(std::span<const float> values);
/// Bits of the largest magnitude as an unsigned integer, which are ordered as magnitudes are: 0x7f800000 and more when
/// a value is infinite or NaN.
std::uint32_t largest_magnitude(std::span<const float> values);
/// min_max of every `group` values in turn; values.size() == group * out.size().
void min_max(std::span<const float> values, std::size_t group, std::span<Range> out);

/// Sums of squares in float64, in an order that does not depend on the SIMD width.
struct SquaredDistance {
  double error = 0;  ///< sum (x - y)^2
  double norm = 0;   ///< sum x^2
};
SquaredDistance squared_distance(std::span<const float> x, std::span<const float> y);

/// q = clamp(round_half_even(x / scale) + zero, qmin, qmax). scale > 0, -128 <= qmin <= qmax <= 127. NaN counts as 0.
void quantize(std::span<const float> x, float scale, int zero, int qmin, int qmax, std::span<std::int8_t> q);
/// x = (q - zero) * scale
void dequantize(std::span<const std::int8_t> q, float scale, int zero, std::span<float> x);
/// sum (x - dequantize(quantize(x)))^2 in a fixed order that does not depend on the SIMD width.
double quantization_error(std::span<const float> x, float scale, int zero, int qmin, int qmax);

/// Number formats of weight codes that are not integers (OCP 8-bit and Microscaling specifications; QLoRA).
enum class FloatCode : std::uint8_t {
  e4m3,  ///< 8 bits: sign, 4 exponent, 3 mantissa bits, bias 7, no infinity; largest 448
  e2m1,  ///< 4 bits: 0 0.5 1 1.5 2 3 4 6 and their negatives; sign in bit 3
  nf4    ///< 4 bits: quantiles of a normal distribution between -1 and 1 (Dettmers et al. 2023, appendix E)
};
/// Largest magnitude of a code.
float largest(FloatCode code);
/// The number a code stands for; an e4m3 NaN is NaN.
float value_of(FloatCode code, std::uint8_t bits);
/// q = the code nearest to x / scale: e4m3 and e2m1 round half to the even code and saturate; nf4 takes the lower of
/// two levels at equal distance. scale > 0. NaN counts as 0; there is no negative zero.
void quantize(FloatCode code, std::span<const float> x, float scale, std::span<std::int8_t> q);
/// x = value_of(q) * scale
void dequantize(FloatCode code, std::span<const std::int8_t> q, float scale, std::span<float> x);
/// As quantization_error of integers.
double quantization_error(FloatCode code, std::span<const float> x, float scale);

/// Little-endian bit stream of `bits`-wide unsigned values in 32-bit words: element i in bits [bits*i, bits*(i+1)).
void pack(std::span<const std::uint8_t> values, int bits, std::span<std::uint32_t> words);
void unpack(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> values);

/// The SIMD targets that this build holds and this machine can run, best first: "AVX3", "AVX2", "SSE4", ...
std::vector<std::string> targets();
/// The target in use.
std::string target();
/// Uses another of targets() from now on, for all threads; "" = the best again. Results do not change, only the speed.
/// Not to be called while kernels run. Throws invalid_argument for a name that is not in targets().
void set_target(std::string_view name);

}  // namespace advisor::kernels
