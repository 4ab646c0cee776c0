#include "recommend/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/units.h"

namespace advisor {

namespace {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();
/// Central 90 % of a normal distribution, in standard deviations.
constexpr double half_of_90 = 1.645;

/// A prediction is skewed towards the middle of the scale. Its standard deviation on the side that hurts: below for the
/// candidate, above for what it is compared with.
double sd_below(const Baseline& baseline) {
  return baseline.predicted() ? (baseline.value - baseline.low) / half_of_90 : baseline.sd;
}
double sd_above(const Baseline& baseline) {
  return baseline.predicted() ? (baseline.high - baseline.value) / half_of_90 : baseline.sd;
}

/// An absolute value that nobody knows: JSON writes null.
Estimate unknown_value(const Retention& kept) {
  Estimate estimate = to_estimate({1, 0, 30}, kept.basis, kept.rows, kept.sources);
  estimate.mean = estimate.sd = estimate.low = estimate.high = not_known;
  return estimate;
}

/// Product of two independent factors, to first order.
Distribution times(const Distribution& a, const Distribution& b) {
  return {a.mean * b.mean, std::hypot(a.mean * b.sd, b.mean * a.sd), std::min(a.df, b.df)};
}

Distribution value_of(const Distribution& recovery, const Baseline& baseline, double sd, double chance) {
  return times(recovery, {baseline.value - chance, sd, 30}).scaled(chance, 1);
}

Estimate value_estimate(const Retention& kept, const Baseline& own, double chance) {
  auto sources = kept.sources;
  sources.insert(sources.end(), own.sources.begin(), own.sources.end());
  auto estimate = to_estimate(value_of(kept.recovery, own, sd_below(own), chance), std::max(kept.basis, own.basis),
                              kept.rows + own.n, std::move(sources));
  const auto upper = value_of(kept.recovery, own, sd_above(own), chance);
  estimate.sd = (estimate.sd + upper.sd) / 2;
  estimate.low = std::clamp(estimate.low, 0.0, 1.0);
  estimate.high = std::clamp(upper.quantile(0.95), 0.0, 1.0);
  return estimate;
}

/// Relative to its own uncompressed model. Guessing is not lost, and is the larger share the less the model knows:
/// where that is only predicted, the score at the upper end.
Distribution own_share(const Distribution& recovery, const std::optional<Baseline>& own, double chance) {
  if (!own) return recovery;
  return relative_to_baseline(recovery, own->predicted() ? own->high : own->value, chance);
}

/// Score relative to the model in use: for the same model its own noise cancels.
std::optional<Distribution> relative_of(const Question& q, const Candidate& candidate, const Distribution& recovery,
                                        const std::optional<Baseline>& own) {
  if (candidate.model == q.model) return own_share(recovery, own, q.yardstick.chance);
  if (!own || !q.baseline || q.baseline->value <= 0) return std::nullopt;
  const auto value = value_of(recovery, *own, sd_below(*own), q.yardstick.chance);
  const double base = q.baseline->value, relative_sd = sd_above(*q.baseline) / base;
  return Distribution{value.mean / base, std::hypot(value.sd / base, value.mean / base * relative_sd), value.df};
}

/// Chance of meeting the limits; fills in what is missing to tell.
double probability(const Question& q, const Candidate& candidate, const Retention& kept,
                   const std::optional<Baseline>& own, QualityJudgement& result) {
  const auto& limit = q.profile.accuracy;
  double probability = 1;
  if (limit.min) {
    if (own) {
      probability = value_of(kept.recovery, *own, sd_below(*own), q.yardstick.chance).probability_above(*limit.min);
    } else {
      result.missing = "a score of " + candidate.model->id + " on " + q.task.id + " (accuracy.min is absolute)";
    }
  }
  if (!limit.retain) return probability;
  auto compared = relative_of(q, candidate, kept.recovery, own);
  // Nobody set this limit: no doubt about the model in use may stand in the way of a switch that the task demands.
  if (q.default_limit && (!q.baseline || q.baseline->predicted()))
    compared = own_share(kept.recovery, own, q.yardstick.chance);
  if (!compared) {
    result.missing = "scores of " + candidate.model->id + " and " + q.model->id + " in one table on " + q.task.family;
    return probability;
  }
  // A copy keeps exactly what it has: no rounding may turn 1 >= 1 into a miss.
  const bool same = compared->sd <= 0 && compared->mean >= *limit.retain - 1e-12;
  return std::min(probability, same ? 1.0 : compared->probability_above(*limit.retain));
}

/// A prediction may be sure enough to accept or to refuse; in between it is the score of the model in use that is
/// missing. Another model is then simply not certain enough to switch to.
void doubt_predictions(const Question& q, const Candidate& candidate, const std::optional<Baseline>& own,
                       double probability, QualityJudgement& result) {
  const double confidence = q.profile.confidence;
  if (!q.baseline || !q.baseline->predicted() || probability >= confidence || probability <= 1 - confidence) return;
  const bool absolute = q.profile.accuracy.min && candidate.model == q.model;
  const bool against = !q.default_limit && candidate.model != q.model && own && !own->predicted();
  if (!absolute && !against) return;
  result.missing =
      "a score of " + q.model->id + " on " + q.table->task + ": " + describe(*q.baseline) + " does not tell whether " +
      (absolute ? percent(*q.profile.accuracy.min) : percent(*q.profile.accuracy.retain) + " of it") + " is reached";
}

}  // namespace

std::string percent(double value) { return format_number(std::round(value * 1000) / 10) + " %"; }

std::string describe(const Baseline& baseline) {
  if (!baseline.predicted()) return percent(baseline.value);
  return "predicted " + percent(baseline.value) + " (" + percent(baseline.low) + " to " + percent(baseline.high) + ")";
}

QualityJudgement judge_quality(const Toolbox& tools, const Question& q, const Candidate& candidate) {
  QualityJudgement result;
  const auto kept = tools.quality.retention(*candidate.model, candidate.variant, q.yardstick);
  if (!kept) {
    result.missing = "a measurement of " + candidate.variant.technique + " " + candidate.variant.scheme + " on " +
                     q.task.family + " tasks";
    return result;
  }
  result.how = kept->how;
  const auto own = q.table ? tools.scores.baseline(*candidate.model, *q.table) : std::nullopt;
  const double chance = q.yardstick.chance;
  if (own && own->predicted())
    result.baseline = "no score of " + candidate.model->id + " on " + q.table->task + " is known: " + describe(*own) +
                      ", " + own->how;
  QualityEstimate estimate;
  estimate.task = own ? q.table->task : q.task.id;
  estimate.retention = to_estimate(own_share(kept->recovery, own, chance), kept->basis, kept->rows, kept->sources);
  estimate.value = own ? value_estimate(*kept, *own, chance) : unknown_value(*kept);
  const double likely = probability(q, candidate, *kept, own, result);
  if (result.missing.empty()) doubt_predictions(q, candidate, own, likely, result);
  if (result.missing.empty()) estimate.probability = likely;
  if (const auto relative = relative_of(q, candidate, kept->recovery, own))
    result.key = relative->quantile(0.05);
  else if (own)
    result.key = value_of(kept->recovery, *own, sd_below(*own), chance).quantile(0.05);
  result.estimate = std::move(estimate);
  return result;
}

}  // namespace advisor
