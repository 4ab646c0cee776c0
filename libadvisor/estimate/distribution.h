// A location-scale Student t: what every estimate is until it is printed. Few measurements -> few degrees of
// freedom -> heavy tails, so that weak evidence loses by its width and never by a penalty constant.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/measurement.h"

namespace advisor {

struct Distribution {
  double mean = 0;
  double sd = 0;   ///< scale; 0 = known exactly
  double df = 30;  ///< degrees of freedom

  double quantile(double p) const;           ///< 0 < p < 1
  double probability_below(double x) const;  ///< P(X <= x)
  double probability_above(double x) const { return 1 - probability_below(x); }

  /// a + b X; b may be negative.
  Distribution scaled(double a, double b) const;
  /// The product with an independent one, to first order.
  Distribution times(const Distribution& other) const;
};

/// Central interval at `level`. `sources` are sorted and made unique.
Estimate to_estimate(const Distribution& distribution, Basis basis, std::int64_t n, std::vector<std::string> sources,
                     double level = 0.9);
/// The same for a quantity whose logarithm is distributed so: mean is the median, sd that of the logarithm times it.
Estimate to_log_estimate(const Distribution& log, Basis basis, std::int64_t n, std::vector<std::string> sources,
                         double level = 0.9);

}  // namespace advisor
