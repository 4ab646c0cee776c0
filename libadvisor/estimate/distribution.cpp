#include "estimate/distribution.h"

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <utility>

namespace advisor {

namespace {
using Student = boost::math::students_t_distribution<double>;
}

double Distribution::quantile(double p) const {
  if (sd <= 0) return mean;
  return mean + sd * boost::math::quantile(Student(df), p);
}

double Distribution::probability_below(double x) const {
  if (sd <= 0) return x >= mean ? 1.0 : 0.0;
  return boost::math::cdf(Student(df), (x - mean) / sd);
}

Distribution Distribution::scaled(double a, double b) const { return {a + b * mean, std::abs(b) * sd, df}; }

namespace {
Estimate finish(Estimate estimate, std::vector<std::string> sources) {
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  estimate.sources = std::move(sources);
  return estimate;
}
}  // namespace

Estimate to_estimate(const Distribution& distribution, Basis basis, std::int64_t n, std::vector<std::string> sources,
                     double level) {
  const double tail = (1 - level) / 2;
  return finish({.mean = distribution.mean,
                 .sd = distribution.sd,
                 .low = distribution.quantile(tail),
                 .high = distribution.quantile(1 - tail),
                 .level = level,
                 .basis = basis,
                 .n = n,
                 .sources = {}},
                std::move(sources));
}

Estimate to_log_estimate(const Distribution& log, Basis basis, std::int64_t n, std::vector<std::string> sources,
                         double level) {
  const double tail = (1 - level) / 2;
  const double median = std::exp(log.mean);
  return finish({.mean = median,
                 .sd = log.sd * median,
                 .low = std::exp(log.quantile(tail)),
                 .high = std::exp(log.quantile(1 - tail)),
                 .level = level,
                 .basis = basis,
                 .n = n,
                 .sources = {}},
                std::move(sources));
}

}  // namespace advisor
