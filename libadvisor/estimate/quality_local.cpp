#include "estimate/quality_local.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "estimate/quality_link.h"

namespace advisor {

namespace {

/// A row in the space of eta.
struct Residual {
  double value = 0, variance = 0;
  const LocalRow* row = nullptr;
};

/// Beyond this the inverse of the link says only "none" or "all": a residual of e^3 is twenty times the damage.
constexpr double largest_residual = 3;

Residual residual_of(const QualityModel& fit, const LocalRow& row) {
  const auto& y = row.task;
  const double eta = fit.log_damage(row.model, row.treatment, y).mean;
  const auto expected = y.perplexity ? expected_log_perplexity(eta) : expected_recovery(eta, y.guessed);
  const double share = std::clamp(y.guessed, 0.0, 0.95), difference = row.observed - expected.value;
  const double damage = y.perplexity ? row.observed : -std::log((row.observed - share) / (1 - share));
  double slope = expected.slope, change = difference / slope;
  // Where the link can be inverted its curvature is taken in: the slope is that of the chord.
  if (std::isfinite(damage) && damage > 0 && std::abs(difference) > 1e-9) {
    change = std::log(damage) - eta;
    slope = difference / change;
  }
  if (!std::isfinite(change) || slope == 0) change = 0, slope = 1e-9;
  return {std::clamp(change, -largest_residual, largest_residual), y.noise * y.noise / (slope * slope) + row_variance,
          &row};
}

template <typename Use, typename Extra>
LocalEvidence update(const std::vector<Residual>& all, double prior_mean, double prior_variance, double source_variance,
                     const Use& use, const Extra& extra_variance) {
  struct Study {
    double weight = 0, sum = 0;
  };
  std::map<std::string, Study> studies;
  LocalEvidence result;
  for (const auto& r : all) {
    if (!use(r)) continue;
    const double w = 1 / (r.variance + extra_variance(r));
    auto& study = studies[r.row->source];
    study.weight += w, study.sum += w * r.value;
    ++result.rows;
    result.recorded = std::max(result.recorded, r.row->recorded);
  }
  double precision = 1 / prior_variance, sum = prior_mean / prior_variance;
  for (const auto& [source, study] : studies) {
    const double p = 1 / (source_variance + 1 / study.weight);
    precision += p, sum += p * study.sum / study.weight;
    result.sources.push_back(source);
  }
  result.shift = sum / precision;
  result.variance = 1 / precision;
  return result;
}

double model_variance(const LocalRow& row) {
  const auto& t = row.treatment;
  return row.model.sum[t.pruned].variance + t.low * t.low * row.model.low.variance;
}

}  // namespace

LocalQuality::LocalQuality(const QualityModel& fit, const std::vector<LocalRow>& rows) {
  std::vector<Residual> all;
  for (const auto& row : rows) all.push_back(residual_of(fit, row));
  std::sort(all.begin(), all.end(), [](const Residual& a, const Residual& b) {
    const auto content = [](const Residual& r) {
      return std::tie(r.row->source, r.row->treatment.key, r.row->task.key, r.value, r.variance, r.row->recorded);
    };
    return content(a) < content(b);
  });
  const double between = fit.source_variance();
  const auto task_part = [](const Residual& r) {
    return cell_variance + r.row->task.sum[r.row->treatment.pruned].variance;
  };
  for (const auto& first : all) {
    const int treatment = first.row->treatment.key, task = first.row->task.key;
    if (cells_.contains({treatment, task})) continue;
    const double prior = first.row->treatment.sum.variance + model_variance(*first.row) + model_treatment_variance;
    const auto same = [&](const Residual& r) { return r.row->treatment.key == treatment; };
    treated_[treatment] = update(all, 0, prior, between, same, task_part);
    const auto others = update(
        all, 0, prior, between, [&](const Residual& r) { return same(r) && r.row->task.key != task; }, task_part);
    cells_[{treatment, task}] = update(
        all, others.shift, others.variance + task_part(first), between,
        [&](const Residual& r) { return same(r) && r.row->task.key == task; }, [](const Residual&) { return 0.0; });
  }
  const auto recorded = [](const Residual& r) { return !r.row->recorded.empty(); };
  const auto first = std::find_if(all.begin(), all.end(), recorded);
  if (first != all.end())
    own_ = update(all, 0, model_variance(*first->row), between, recorded, [&](const Residual& r) {
      return task_part(r) + r.row->treatment.sum.variance + model_treatment_variance;
    });
}

}  // namespace advisor
