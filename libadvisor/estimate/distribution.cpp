#include "estimate/distribution.h"

#include <algorithm>
#include <array>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numbers>

namespace advisor {

namespace {

using Student = boost::math::students_t_distribution<double>;

/// Decisions ask for millions: few whole degrees of freedom have a finite sum (Abramowitz and Stegun, Handbook of
/// Mathematical Functions, 26.7.3 and 26.7.4), a tenth of the time of an incomplete beta function.
constexpr int most_terms = 64;

bool is_small_integer(double df) { return df >= 1 && df <= most_terms && df == std::floor(df); }

/// (k - 1) / k, the ratio of two terms of the sum.
constexpr auto term_ratios = [] {
  std::array<double, most_terms + 1> ratios{};
  for (std::size_t k = 1; k <= most_terms; ++k) ratios[k] = static_cast<double>(k - 1) / static_cast<double>(k);
  return ratios;
}();

double student_cdf(double t, int df) {
  const double n = df, cos2 = n / (n + t * t), sine = t / std::sqrt(n + t * t);
  double sum = 1;  // from the last term inwards
  for (int k = df - 2; k >= 2; k -= 2) sum = 1 + cos2 * term_ratios[static_cast<std::size_t>(k)] * sum;
  const double within =
      df % 2 == 0 ? sine * sum
                  : 2 / std::numbers::pi * (std::atan(t / std::sqrt(n)) + (df == 1 ? 0 : sine * std::sqrt(cos2) * sum));
  return std::clamp((1 + within) / 2, 0.0, 1.0);
}

/// Lower end of a central 90 % interval, by degrees of freedom; the upper one is its mirror image.
double twentieth(int df) {
  static const auto table = [] {
    std::array<double, most_terms + 1> values{};
    for (int n = 1; n <= most_terms; ++n) values[static_cast<std::size_t>(n)] = boost::math::quantile(Student(n), 0.05);
    return values;
  }();
  return table[static_cast<std::size_t>(df)];
}

}  // namespace

double Distribution::quantile(double p) const {
  if (sd <= 0) return mean;
  const double tail = std::min(p, 1 - p);
  if (std::abs(tail - 0.05) < 1e-12 && is_small_integer(df))
    return mean + (p < 0.5 ? sd : -sd) * twentieth(static_cast<int>(df));
  return mean + sd * boost::math::quantile(Student(df), p);
}

double Distribution::probability_below(double x) const {
  if (sd <= 0) return x >= mean ? 1.0 : 0.0;
  const double t = (x - mean) / sd;
  return is_small_integer(df) && std::isfinite(t) ? student_cdf(t, static_cast<int>(df))
                                                  : boost::math::cdf(Student(df), t);
}

Distribution Distribution::scaled(double a, double b) const { return {a + b * mean, std::abs(b) * sd, df}; }

Distribution Distribution::times(const Distribution& other) const {
  return {mean * other.mean, std::sqrt(mean * other.sd * mean * other.sd + other.mean * sd * other.mean * sd),
          std::min(df, other.df)};
}

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
