// The scalar specification of float codes: every code's value by table, the nearest by search over the table.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tensor/kernels/reference.h"

namespace advisor::kernels {
namespace {

/// bitsandbytes' table, the one that engines decode with.
constexpr std::array<float, 16> nf4_levels{-1.0F,
                                           -0.6961928009986877F,
                                           -0.5250730514526367F,
                                           -0.39491748809814453F,
                                           -0.28444138169288635F,
                                           -0.18477343022823334F,
                                           -0.09105003625154495F,
                                           0.0F,
                                           0.07958029955625534F,
                                           0.16093020141124725F,
                                           0.24611230194568634F,
                                           0.33791524171829224F,
                                           0.44070982933044434F,
                                           0.5626170039176941F,
                                           0.7229568362236023F,
                                           1.0F};

/// Value of the bits of a small float: `mantissa` bits below `exponent` bits, without sign.
float small_float(unsigned bits, int mantissa, int bias) {
  const auto fraction = static_cast<float>(bits & ((1U << mantissa) - 1U));
  const int exponent = static_cast<int>(bits >> mantissa);
  return exponent == 0 ? std::ldexp(fraction, 1 - bias - mantissa)
                       : std::ldexp(std::ldexp(1.0F, mantissa) + fraction, exponent - bias - mantissa);
}

struct Format {
  int mantissa, bias;
  unsigned sign, top;  ///< sign bit; code of the largest value
};

Format format_of(FloatCode code) { return code == FloatCode::e4m3 ? Format{3, 7, 0x80, 0x7e} : Format{1, 1, 0x8, 0x7}; }

/// The code of the magnitude nearest to `a` >= 0, half to the even code.
unsigned nearest(const Format& f, float a) {
  unsigned low = 0, high = f.top;
  if (a >= small_float(high, f.mantissa, f.bias)) return high;
  while (high - low > 1) {
    const unsigned middle = (low + high) / 2;
    (small_float(middle, f.mantissa, f.bias) <= a ? low : high) = middle;
  }
  const float below = a - small_float(low, f.mantissa, f.bias), above = small_float(high, f.mantissa, f.bias) - a;
  if (below != above) return below < above ? low : high;
  return low % 2 == 0 ? low : high;
}

std::uint8_t code_of(FloatCode code, float x, float scale) {
  float r = x / scale;
  if (std::isnan(r)) r = 0;
  if (code == FloatCode::nf4) {
    unsigned bits = 0;
    for (std::size_t i = 0; i + 1 < nf4_levels.size(); ++i) bits += r > (nf4_levels[i] + nf4_levels[i + 1]) / 2;
    return static_cast<std::uint8_t>(bits);
  }
  const Format f = format_of(code);
  const unsigned magnitude = nearest(f, std::fabs(r));
  return static_cast<std::uint8_t>(magnitude | (r < 0 && magnitude != 0 ? f.sign : 0U));
}

}  // namespace

float largest(FloatCode code) { return code == FloatCode::e4m3 ? 448.0F : code == FloatCode::e2m1 ? 6.0F : 1.0F; }

float value_of(FloatCode code, std::uint8_t bits) {
  if (code == FloatCode::nf4) return nf4_levels[bits % nf4_levels.size()];
  const Format f = format_of(code);
  const unsigned magnitude = bits & (f.sign - 1);
  if (magnitude > f.top) return std::numeric_limits<float>::quiet_NaN();
  const float value = small_float(magnitude, f.mantissa, f.bias);
  return (bits & f.sign) != 0 ? -value : value;
}

namespace reference {

void quantize(FloatCode code, std::span<const float> x, float scale, std::span<std::int8_t> q) {
  for (std::size_t i = 0; i < x.size(); ++i) q[i] = static_cast<std::int8_t>(code_of(code, x[i], scale));
}

void dequantize(FloatCode code, std::span<const std::int8_t> q, float scale, std::span<float> x) {
  for (std::size_t i = 0; i < q.size(); ++i) x[i] = value_of(code, static_cast<std::uint8_t>(q[i])) * scale;
}

void add_errors(FloatCode code, std::span<const float> x, float scale, ErrorSum::Lanes& lanes) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float e = x[i] - value_of(code, code_of(code, x[i], scale)) * scale;
    lanes[i % ErrorSum::width] += e * e;
  }
}

double quantization_error(FloatCode code, std::span<const float> x, float scale) {
  ErrorSum total;
  for (std::size_t begin = 0; begin < x.size(); begin += ErrorSum::block) {
    ErrorSum::Lanes lanes{};
    add_errors(code, x.subspan(begin, std::min(ErrorSum::block, x.size() - begin)), scale, lanes);
    total.add(lanes);
  }
  return total.value();
}

}  // namespace reference
}  // namespace advisor::kernels
