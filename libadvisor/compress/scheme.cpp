#include "compress/scheme.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "core/error.h"

namespace advisor {
namespace {

/// The range with 0 inside it, as double so that max - min cannot overflow.
struct Span {
  double low, high;
};

Span with_zero(kernels::Range range, double shrink) {
  return {std::min(0.0, double{range.min}) * shrink, std::max(0.0, double{range.max}) * shrink};
}

double smallest_normal(DType dtype) {
  return dtype == DType::f16 ? 0x1p-14 : double{std::numeric_limits<float>::min()};  // bf16 has float32's exponents
}

double usable(double ideal, DType dtype) {
  if (ideal == 0) return 1;
  const double normal = smallest_normal(dtype);
  if (ideal >= normal) return ideal;
  return dtype == DType::f16 ? std::ceil(ideal * 0x1p24) * 0x1p-24 : normal;  // 2^-24: spacing of float16 subnormals
}

}  // namespace

double ideal_scale(kernels::Range range, double shrink, const QuantScheme& scheme, ScaleRange convention) {
  const Span span = with_zero(range, shrink);
  const double codes = std::ldexp(1.0, scheme.bits) - 1;
  if (!scheme.symmetric) return (span.high - span.low) / codes;
  const double levels = convention == ScaleRange::full ? codes / 2 : double{static_cast<float>(scheme.qmax())};
  return std::max(-span.low, span.high) / levels;
}

std::vector<float> stored_scales(std::span<const double> ideal, DType dtype) {
  std::vector<float> scales(ideal.size());
  std::ranges::transform(ideal, scales.begin(), [&](double s) { return static_cast<float>(usable(s, dtype)); });
  kernels::round_to(dtype, scales);
  for (std::size_t i = 0; i < scales.size(); ++i)
    if (!std::isfinite(scales[i]))
      throw Error(ErrorCode::invalid_argument, "the scale " + std::to_string(ideal[i]) + " does not fit into " +
                                                   std::string(name(dtype)) + "; store scales as bf16 or f32");
  return scales;
}

int zero_point(kernels::Range range, double shrink, float scale, const QuantScheme& scheme) {
  if (scheme.symmetric) return 0;
  const double low = with_zero(range, shrink).low;
  const double zero = std::nearbyint(scheme.qmin() - low / double{scale});
  return static_cast<int>(std::clamp(zero, double(scheme.qmin()), double(scheme.qmax())));
}

double error_bound(kernels::Range range, Grid grid, const QuantScheme& scheme) {
  const Span span = with_zero(range, 1);
  const double step = double{grid.scale};
  const double lowest = (scheme.qmin() - grid.zero - 0.5) * step, highest = (scheme.qmax() - grid.zero + 0.5) * step;
  const double outside = std::max({0.0, lowest - span.low, span.high - highest});
  const double largest = std::max(-span.low, span.high);
  // x / scale is rounded in float32: codes up to 2^8 are then wrong by at most 2^8 * 2^-24 of a step.
  return std::min(step / 2 + outside, largest) * (1 + 1e-4);
}

void check_finite(std::span<const float> rows, std::int64_t in, std::int64_t first_row) {
  constexpr std::uint32_t kExponent = 0x7f800000u;  // all ones: infinity or NaN
  const auto special = [](float x) { return (std::bit_cast<std::uint32_t>(x) & kExponent) == kExponent; };
  if (kernels::largest_magnitude(rows) < kExponent) return;
  const auto at = std::ranges::find_if(rows, special) - rows.begin();
  throw Error(ErrorCode::invalid_argument, "row " + std::to_string(first_row + at / in) + ", column " +
                                               std::to_string(at % in) + " is " +
                                               (std::isnan(rows[static_cast<std::size_t>(at)]) ? "NaN" : "infinite") +
                                               "; weights must be finite, the checkpoint is damaged");
}

}  // namespace advisor
