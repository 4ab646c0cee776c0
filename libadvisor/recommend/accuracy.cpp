#include "recommend/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/units.h"
#include "estimate/score_value.h"

namespace advisor {

namespace {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();
/// An absolute value that nobody knows: JSON writes null.
Estimate unknown_value(const Retention& kept) {
  Estimate estimate = to_estimate({1, 0, 30}, kept.basis, kept.rows, kept.sources);
  estimate.mean = estimate.sd = estimate.low = estimate.high = not_known;
  return estimate;
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
  const auto own = q.table ? tools.scores.baseline(*candidate.model, *q.table) : std::nullopt;
  Yardstick yardstick = q.yardstick;
  if (own) yardstick.baseline = own->value;
  const auto kept = tools.quality.retention(*candidate.model, candidate.variant, yardstick);
  if (!kept) {
    result.missing = "a measurement of " + candidate.variant.technique + " " + candidate.variant.scheme + " on " +
                     q.task.family + " tasks";
    return result;
  }
  result.how = kept->how;
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
