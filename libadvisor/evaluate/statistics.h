// Intervals around what was measured: how far the figure could be off because the sample is finite.
#pragma once

#include <cstdint>
#include <span>

namespace advisor {

struct Interval {
  double low = 0, high = 0;
};

/// 95 % interval of a proportion (Wilson 1927): keeps inside [0, 1] and is honest at 0 and at 1. n > 0.
Interval wilson_interval(std::int64_t correct, std::int64_t n);

/// 97.5 % quantile of Student's t. NaN for no degree of freedom.
double student_quantile(std::int64_t degrees);

/// One window of a text: what it cost and how many tokens it scored.
struct WindowLoss {
  double nll = 0;
  std::int64_t tokens = 0;
};

/// 95 % interval of sum(nll) / sum(tokens) over windows as clusters (ratio estimator, Cochran 1977, eq. 6.9; tokens of
/// one window are not independent). NaN for a single window.
Interval mean_nll_interval(std::span<const WindowLoss> windows);

}  // namespace advisor
