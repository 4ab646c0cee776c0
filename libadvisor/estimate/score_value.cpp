#include "estimate/score_value.h"

#include <algorithm>
#include <cmath>

namespace advisor {

namespace {

/// Half of a central interval of 90 % of a normal distribution, in standard deviations.
constexpr double half_of_90 = 1.645;

/// Product of two independent factors, to first order.
Distribution times(const Distribution& a, const Distribution& b) {
  return {a.mean * b.mean, std::sqrt(a.mean * b.sd * a.mean * b.sd + b.mean * a.sd * b.mean * a.sd),
          std::min(a.df, b.df)};
}

}  // namespace

double sd_below(const Baseline& baseline) {
  return baseline.predicted() ? (baseline.value - baseline.low) / half_of_90 : baseline.sd;
}
double sd_above(const Baseline& baseline) {
  return baseline.predicted() ? (baseline.high - baseline.value) / half_of_90 : baseline.sd;
}

Distribution value_of(const Distribution& recovery, const Baseline& baseline, double sd, double chance) {
  return value_of(recovery, baseline.value, sd, chance);
}

Distribution value_of(const Distribution& recovery, double baseline, double sd, double chance) {
  return times(recovery, {baseline - chance, sd, 30}).scaled(chance, 1);
}

Estimate value_estimate(const Retention& kept, const Baseline& own, double chance, double level) {
  auto sources = kept.sources;
  sources.insert(sources.end(), own.sources.begin(), own.sources.end());
  auto estimate = to_estimate(value_of(kept.recovery, own, sd_below(own), chance), std::max(kept.basis, own.basis),
                              kept.rows + own.n, std::move(sources), level);
  const auto upper = value_of(kept.recovery, own, sd_above(own), chance);
  estimate.sd = (estimate.sd + upper.sd) / 2;
  estimate.low = std::clamp(estimate.low, 0.0, 1.0);
  estimate.high = std::clamp(upper.quantile((1 + level) / 2), 0.0, 1.0);
  return estimate;
}

Distribution own_share(const Distribution& recovery, const std::optional<Baseline>& own, double chance) {
  if (!own) return recovery;
  return relative_to_baseline(recovery, own->predicted() ? own->high : own->value, chance);
}

}  // namespace advisor
