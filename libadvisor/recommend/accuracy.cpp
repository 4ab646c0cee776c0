#include "recommend/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/units.h"
#include "estimate/score_value.h"

namespace advisor {

namespace {

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

/// Share of its own uncompressed score (own_share, on numbers).
Distribution own_share(const Distribution& recovery, const Standing& own, double chance) {
  if (!own.known) return recovery;
  return relative_to_baseline(recovery, own.predicted ? own.high : own.value, chance);
}

std::optional<Distribution> relative_to_current(const Question& q, int model, const Distribution& recovery,
                                                const std::optional<Distribution>& value) {
  if (model == q.current) return own_share(recovery, q.own_standing, q.yardstick.chance);
  const auto& base = q.own_standing;
  if (!value || !base.known || base.value <= 0) return std::nullopt;
  const double spread = value->mean / base.value * base.above / base.value;
  const double own = value->sd / base.value;
  return Distribution{value->mean / base.value, std::sqrt(own * own + spread * spread), value->df};
}

/// A prediction may be sure enough to accept or to refuse; in between it is the score of the model in use that is
/// missing. Another model is then simply not certain enough to switch to.
bool doubts_prediction(const Question& q, int model, double probability) {
  const auto& base = q.own_standing;
  const double confidence = q.profile.confidence;
  if (!base.known || !base.predicted || probability >= confidence || probability <= 1 - confidence) return false;
  const bool absolute = q.profile.accuracy.min && model == q.current;
  const auto& own = q.standing(model);
  return absolute || (!q.default_limit && model != q.current && own.known && !own.predicted);
}

}  // namespace

std::string percent(double value) { return format_number(std::round(value * 1000) / 10) + " %"; }

std::string describe(const Baseline& baseline) {
  if (!baseline.predicted()) return percent(baseline.value);
  return "predicted " + percent(baseline.value) + " (" + percent(baseline.low) + " to " + percent(baseline.high) + ")";
}

Distribution kept_of_own(const Question& q, int model, const Distribution& recovery) {
  return own_share(recovery, q.standing(model), q.yardstick.chance);
}

Accuracy judge_accuracy(const Question& q, int model, const Distribution& recovery) {
  Accuracy result;
  const auto& own = q.standing(model);
  const auto& limit = q.profile.accuracy;
  const double chance = q.yardstick.chance;
  if (own.known) result.value = value_of(recovery, own.value, own.below, chance);
  result.relative = relative_to_current(q, model, recovery, result.value);
  double probability = 1;
  if (limit.min) {
    if (!result.value) {
      result.missing = Missing::score;
    } else {
      probability = result.value->probability_above(*limit.min);
    }
  }
  if (limit.retain && result.missing == Missing::nothing) {
    auto compared = result.relative;
    // Nobody set this limit: no doubt about the model in use may stand in the way of a switch that the task demands.
    if (q.default_limit && (!q.own_standing.known || q.own_standing.predicted))
      compared = own_share(recovery, own, chance);
    if (!compared) {
      result.missing = Missing::comparison;
    } else {
      // A copy keeps exactly what it has: no rounding may turn 1 >= 1 into a miss.
      const bool same = compared->sd <= 0 && compared->mean >= *limit.retain - 1e-12;
      probability = std::min(probability, same ? 1.0 : compared->probability_above(*limit.retain));
    }
  }
  if (result.missing == Missing::nothing && doubts_prediction(q, model, probability)) result.missing = Missing::in_use;
  if (result.missing == Missing::nothing) result.probability = probability;
  return result;
}

namespace {

/// Share of the weights at the smaller scheme, for an average of `bits`.
double lower_share(const CatalogTreatment& treatment, double bits) {
  const double low = treatment.scheme.bits_per_weight, high = treatment.upper_bits;
  return std::clamp((high - bits) / (high - low), 0.0, 1.0);
}

Distribution mixture(const Distribution& low, const Distribution& high, double share) {
  return {share * low.mean + (1 - share) * high.mean, share * low.sd + (1 - share) * high.sd,
          std::min(low.df, high.df)};
}

}  // namespace

const Retention* cache_of(const Toolbox& tools, const Question& q, const CatalogTreatment& treatment) {
  return treatment.kv_bits == 8 ? q.standings->cache : tools.pooled.cache(treatment.kv_bits, q.yardstick.family);
}

std::optional<Distribution> recovery_of(const Toolbox& tools, const Question& q, int model, int treatment,
                                        double mixed_bits) {
  const auto& entry = q.at(tools, model);
  const auto& what = tools.catalog.treatments()[static_cast<std::size_t>(treatment)];
  const auto& standing = q.standing(model);
  Distribution recovery{1, 0, 30};
  if (what.choice.origin == Origin::found) {
    const auto* kept = tools.pooled.retrained(what.scheme.weight_bits, entry.model->id, q.task.family);
    if (kept == nullptr) return std::nullopt;
    recovery = kept->recovery;
  } else if (!what.choice.upper.empty()) {
    const auto low = tools.estimator.quality().numbers(entry.quality, what.parts[0], standing.task);
    const auto high = tools.estimator.quality().numbers(entry.quality, what.parts[1], standing.task);
    if (!low || !high) return std::nullopt;
    recovery = mixture(low->distribution, high->distribution, lower_share(what, mixed_bits));
  } else {
    const auto kept = model != own_model && !what.asked()
                          ? tools.kept(*q.standings, model)[static_cast<std::size_t>(what.weights_kept_as)]
                          : weights_kept(tools.estimator, entry, what, standing.task);
    if (!kept) return std::nullopt;
    recovery = *kept;
  }
  if (!what.choice.quantized_kv) return recovery;
  const auto* cache = cache_of(tools, q, what);
  if (cache == nullptr) return std::nullopt;
  return recovery.sd <= 0 && recovery.mean == 1 ? cache->recovery : recovery.times(cache->recovery);
}

namespace {

void add(Retention& all, const Retention& part) {
  all.basis = std::max(all.basis, part.basis);
  all.rows += part.rows;
  all.sources.insert(all.sources.end(), part.sources.begin(), part.sources.end());
  all.how += (all.how.empty() ? "" : "; times what is left by ") + part.how;
}

/// What the cell's recovery rests on.
Retention evidence_of(const Toolbox& tools, const Question& q, const Cell& cell) {
  const auto& entry = q.at(tools, cell.model);
  const auto& what = tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)];
  const auto& standing = q.standing(cell.model);
  Retention all{cell.recovery, Basis::measured, 0, {}, ""};
  if (what.choice.origin == Origin::found) {
    if (const auto* kept = tools.pooled.retrained(what.scheme.weight_bits, entry.model->id, q.task.family))
      add(all, *kept);
  }
  if (what.choice.origin == Origin::made) {
    const auto& quality = tools.estimator.quality();
    for (std::size_t i = 0; i < what.parts.size(); ++i)
      if (const auto kept = quality.retention(entry.quality, what.parts[i], standing.task, what.choice.parts[i]))
        add(all, *kept);
  }
  if (!what.choice.upper.empty())
    all.how += "; between the two in proportion to the bits, which a solver that knows the sensitive layers beats";
  if (const auto* cache = what.choice.quantized_kv ? cache_of(tools, q, what) : nullptr) add(all, *cache);
  if (all.how.empty()) {
    all.how = "not compressed";
    all.sources = {entry.model->url.empty() ? entry.model->id : entry.model->url};
  }
  return all;
}

/// An absolute value that nobody knows: JSON writes null.
Estimate unknown_value(const Retention& kept) {
  Estimate estimate = to_estimate({1, 0, 30}, kept.basis, kept.rows, kept.sources);
  estimate.mean = estimate.sd = estimate.low = estimate.high = not_known;
  return estimate;
}

}  // namespace

QualityWords quality_words(const Toolbox& tools, const Question& q, const Cell& cell) {
  QualityWords words;
  if (!cell.has_recovery) return words;
  const auto& model = *q.at(tools, cell.model).model;
  const auto& own = q.standing(cell.model).baseline;
  const auto kept = evidence_of(tools, q, cell);
  const double chance = q.yardstick.chance;
  words.how = kept.how;
  if (own && own->predicted())
    words.baseline =
        "no score of " + model.id + " on " + q.table->task + " is known: " + describe(*own) + ", " + own->how;
  QualityEstimate estimate;
  estimate.task = own ? q.table->task : q.task.id;
  estimate.retention = to_estimate(own_share(kept.recovery, own, chance), kept.basis, kept.rows, kept.sources);
  estimate.value = own ? value_estimate(kept, *own, chance) : unknown_value(kept);
  estimate.probability = cell.chances.accuracy;
  words.estimate = std::move(estimate);
  return words;
}

Gap gap_of(const Toolbox& tools, const Question& q, const Cell& cell) {
  const auto& id = q.at(tools, cell.model).model->id;
  const auto& treatment = tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)];
  const auto& variant = treatment.choice.variant;
  const std::string task = q.table ? q.table->task : q.task.id;
  switch (cell.missing) {
    case Missing::size: return {"memory of " + id, "its number of parameters or its geometry"};
    case Missing::retention:
      if (treatment.choice.quantized_kv && cache_of(tools, q, treatment) == nullptr)
        return {"quality with a KV cache in " + variant.kv, "measurements of two models with a KV cache of " +
                                                                format_number(treatment.kv_bits) +
                                                                " bits and whole weights"};
      return {"quality of " + variant.technique + " " + variant.scheme,
              "a measurement of " + variant.technique + " " + variant.scheme + " on " + q.task.family + " tasks"};
    case Missing::score:
      return {"quality of " + id, "a score of " + id + " on " + q.task.id + " (accuracy.min is absolute)"};
    case Missing::comparison:
      return {"quality of " + id, "scores of " + id + " and " + q.model->id + " in one table on " + q.task.family};
    case Missing::in_use: {
      const bool absolute = q.profile.accuracy.min && cell.model == q.current;
      return {"quality of " + id,
              "a score of " + q.model->id + " on " + task + ": " + describe(*q.baseline) + " does not tell whether " +
                  (absolute ? percent(*q.profile.accuracy.min) : percent(*q.profile.accuracy.retain) + " of it") +
                  " is reached"};
    }
    case Missing::speed:
      return {"speed of " + id,
              "bandwidth and rates of the hardware, and a measured run of " + variant.engine + " on its kind (slo)"};
    case Missing::effort:
      return {"time to make " + variant.technique + " " + variant.scheme,
              "rates of the hardware that makes it, and the "
              "work of the technique (budget.hours_to_compress)"};
    case Missing::nothing: break;
  }
  return {};
}

}  // namespace advisor
