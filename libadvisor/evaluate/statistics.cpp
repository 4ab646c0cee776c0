#include "evaluate/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace advisor {

namespace {
constexpr double normal_quantile = 1.959963984540054;  // 97.5 %
}

Interval wilson_interval(std::int64_t correct, std::int64_t n) {
  double z2 = normal_quantile * normal_quantile;
  auto count = static_cast<double>(n);
  double p = static_cast<double>(correct) / count;
  double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
  double half = normal_quantile / (1 + z2 / count) * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double student_quantile(std::int64_t degrees) {
  if (degrees < 1) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (degrees == 1) {
    return 12.706204736;
  }
  if (degrees == 2) {
    return 4.302652730;
  }
  // Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5): within 0.2 % from three degrees on.
  double z = normal_quantile, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z, z9 = z7 * z * z;
  auto v = static_cast<double>(degrees);
  return z + (z3 + z) / (4 * v) + (5 * z5 + 16 * z3 + 3 * z) / (96 * v * v) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * v * v * v) +
         (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / (92160 * v * v * v * v);
}

Interval mean_nll_interval(std::span<const WindowLoss> windows) {
  double nll = 0, tokens = 0;
  for (const WindowLoss& window : windows) {
    nll += window.nll;
    tokens += static_cast<double>(window.tokens);
  }
  double mean = nll / tokens;
  double squares = 0;
  for (const WindowLoss& window : windows) {
    double residual = window.nll - mean * static_cast<double>(window.tokens);
    squares += residual * residual;
  }
  auto count = static_cast<double>(windows.size());
  double error = std::sqrt(squares * count / (count - 1)) / tokens;
  double half = student_quantile(static_cast<std::int64_t>(windows.size()) - 1) * error;
  return {mean - half, mean + half};
}

}  // namespace advisor
