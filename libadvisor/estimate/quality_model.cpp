#include "estimate/quality_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "estimate/quality_fit.h"
#include "estimate/quality_link.h"
#include "estimate/quality_noise.h"

namespace advisor {

namespace {

double variance_of(const std::string& term) {
  const auto prior = level_prior(term);
  return prior.sd * prior.sd;
}

/// Student t with three degrees of freedom: 80 % and 90 % of it lie within so many scales.
constexpr double within_80 = 1.6377, within_90 = 2.3534;

/// Tails of a new source's rows, heavier still where a single source stands behind a technique: nobody knows how far
/// another one lies. Those of the fit's residuals, 2.5, and what covers half, 80 and 90 % of sources left out.
double freedom(std::int64_t sources) { return sources > 1 ? 3 : residual_df; }

}  // namespace

QualityModel::QualityModel(std::vector<FittedTerm> terms) : terms_(std::move(terms)) {
  for (const auto& term : terms_) index_[{term.term, term.level}] = &term;
  source_variance_ = variance_of("source") + variance_of("source_technique");
}

const FittedTerm* QualityModel::find(const std::string& term, const std::string& level) const {
  const auto found = index_.find({term, level});
  return found == index_.end() ? nullptr : found->second;
}

TermSum QualityModel::sum(const Levels& levels) const {
  TermSum total;
  for (const auto& level : levels) {
    const auto* term = find(level.term, level.level);
    const auto prior = level_prior(level.term);
    const double mean = term ? term->value : prior.mean, sd = term ? term->sd : prior.sd;
    total.mean += level.value * mean;
    total.variance += level.value * level.value * sd * sd;
  }
  return total;
}

PreparedModel QualityModel::model(const Model& model) const {
  PreparedModel result;
  for (const bool pruned : {false, true}) result.sum[pruned] = sum(model_levels(model, pruned));
  if (model.params.value_or(0) <= 0)  // a size that nobody states: from 1 to 50 billion, two sd either way
    for (auto& part : result.sum) part.variance += std::pow(level_prior("size").sd * 2, 2);
  result.low = sum({{"model_low", model.id}});
  if (const auto* own = find("model", model.id)) result.rows = own->rows;
  return result;
}

/// Of the whole treatment where its recipe was measured; else that of its bits, or pattern, and of each further term.
double QualityModel::treatment_variance(const Treatment& t) const {
  const auto sparsity = [&] {
    double variance = 0;
    for (const auto& level : treatment_levels(t))
      if (level.term == "sparsity") variance += sum({level}).variance;
    return variance;
  };
  if (const auto* recipe = find("treatment_at", recipe_name(t))) return recipe->sd * recipe->sd + sparsity();
  const auto* step = find("treatment_at", step_name(t));
  if (!step) return sum(treatment_levels(t)).variance;
  double variance = step->sd * step->sd;
  for (const auto& level : treatment_levels(t))
    if (level.term != "intercept" && level.term != "bits" && level.term != "pattern") variance += sum({level}).variance;
  return variance;
}

PreparedTreatment QualityModel::treatment(const Treatment& t) const {
  PreparedTreatment result;
  result.pruned = t.pruned();
  result.uncompressed = !t.pruned() && t.weight_bits >= 16 && t.activation_bits >= 16;
  result.low = bits_below_four(t);
  result.known = true;
  for (const auto& level : treatment_levels(t)) {
    const auto* term = find(level.term, level.level);
    // A technique that nobody measured may be judged by others at the same bits; a number format, a pattern or bits
    // below all that was measured may not.
    if (level.term == "activation" || level.term == "pattern" || level.term == "bits" || level.term == "intercept")
      result.known &= term != nullptr;
    if (!term) continue;
    if (level.term == "technique" || level.term == "pruning_technique") {
      result.sources = static_cast<std::int64_t>(term->sources.size());
      result.technique_rows = term->rows;
    }
    if (level.term == "recipe") result.rows = term->rows;
    if (level.term == "intercept" || level.term == "bits" || level.term == "pattern") result.kind_rows = term->rows;
  }
  if (result.pruned) result.rows = result.technique_rows;
  result.sum = {sum(treatment_levels(t)).mean, treatment_variance(t)};
  // More bits of the same technique never lose more, whatever their own few rows say.
  if (!t.pruned() && t.activation_bits >= 16)
    for (const double bits : {3.0, 4.0, 5.0, 6.0, 8.0}) {
      Treatment more = t;
      more.weight_bits = bits, more.bits_per_weight = bits + (t.bits_per_weight - t.weight_bits);
      if (value_bits(more) > value_bits(t))
        result.sum.mean = std::max(result.sum.mean, sum(treatment_levels(more)).mean);
    }
  for (auto& level : perplexity_levels("", t))
    if (level.term != "task") result.perplexity += sum({level});
  return result;
}

double QualityModel::typical_headroom(const Yardstick& y) const {
  for (const auto& level : {"task " + y.task, "family " + y.family, std::string("all")})
    if (const auto* term = find("headroom_of", level)) return term->value;
  return 0;
}

double QualityModel::noise_of(const Yardstick& y) const {
  for (const auto& level : {"task " + y.task, "family " + y.family, std::string("all")})
    if (const auto* term = find("noise", level)) return term->value;
  return 0;
}

bool QualityModel::is_perplexity(const Yardstick& y) const {
  if (y.task.empty()) return y.family == "language_modelling";
  return !find("task", y.task) && find("task", "perplexity of " + y.task);
}

PreparedTask QualityModel::task(const Yardstick& y, double baseline, bool perplexity) const {
  PreparedTask result;
  result.perplexity = perplexity;
  if (perplexity) {
    const TermSum same = sum({{"task", "perplexity of " + y.task}});
    result.sum[0] = result.sum[1] = same;
    result.known = find("measured", "perplexity") && find("measured", "perplexity")->rows > 0;
    return result;
  }
  const double above = baseline > 0 ? headroom(baseline, y.chance) : typical_headroom(y);
  for (const bool pruned : {false, true}) result.sum[pruned] = sum(task_levels(y, pruned, above));
  const double head = 0.5 * std::exp(above);
  if (guess_is_fitted(y))
    result.guessed = sum({{"guess_family", y.family}, {"guess_task", y.task}}).mean / (head + y.chance);
  result.noise = noise_of(y) * answers_in_doubt(head + y.chance) / head;
  for (const auto& level : {y.family, std::string("all")})
    if (const auto* factor = find("calibration", level)) {
      result.calibration = factor->value;
      break;
    }
  if (y.task.empty() || !find("task", y.task))  // which task of the family is not known
    for (auto& part : result.sum)
      part.variance += y.task.empty() ? variance_of("task") + variance_of("task_pruned") : 0;
  const auto* measured = find("measured", "accuracy");
  result.known = measured && measured->rows > 0;
  return result;
}

TermSum QualityModel::log_damage(const PreparedModel& m, const PreparedTreatment& t, const PreparedTask& y) const {
  TermSum eta = t.sum;
  eta += m.sum[t.pruned];
  eta += y.sum[t.pruned];
  eta.mean += t.low * m.low.mean, eta.variance += t.low * t.low * m.low.variance;
  if (y.perplexity) eta += t.perplexity;
  eta.variance += cell_variance;
  return eta;
}

double QualityModel::noise_variance(const PreparedTask& y, double log_damage, double variance) {
  if (y.perplexity) return perplexity_noise * perplexity_noise;
  return rounding * rounding + y.noise * y.noise * mean_squared_noise_share(log_damage, variance);
}

Distribution QualityModel::outcome(const TermSum& eta, const PreparedTask& y, std::int64_t sources, bool as_log) const {
  const double spread = std::sqrt(eta.variance + source_variance_ + row_variance);
  const double middle = std::exp(std::clamp(eta.mean, least_log_damage, greatest_log_damage));
  const double share = std::clamp(y.guessed, 0.0, 0.95);
  const auto value = [&](double damage) { return as_log ? damage : share + (1 - share) * std::exp(-damage); };
  const double centre = value(middle);
  // The value is far from symmetric in eta: where little is lost an error one way costs e times what it gains the
  // other. Each side reaches as far as one of ten errors goes. Where one side is short the other is 90 % of the whole
  // then, and where both are alike the hypotenuse is, as within_90 is nearly sqrt(2) within_80.
  const double reach = std::exp(within_80 * spread);
  const double less = value(middle / reach) - centre, more = value(middle * reach) - centre;
  const double by_eta = std::hypot(less, more) / within_90;
  const double variance = by_eta * by_eta + noise_variance(y, eta.mean, spread * spread);
  return {centre, y.calibration * std::sqrt(variance), freedom(sources)};
}

}  // namespace advisor
