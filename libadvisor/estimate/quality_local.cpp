#include "estimate/quality_local.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "estimate/pooling.h"
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
  return {std::clamp(change, -largest_residual, largest_residual),
          QualityModel::noise_variance(y, eta) / (slope * slope) + row_variance, &row};
}

/// `use` picks the rows; `extra_variance` is what they vary by beside their own noise.
template <typename Use, typename Extra>
LocalEvidence update(const std::vector<Residual>& all, const PoolPrior& prior, const Use& use,
                     const Extra& extra_variance) {
  std::vector<Sample> samples;
  LocalEvidence result;
  for (const auto& r : all) {
    if (!use(r)) continue;
    samples.push_back({r.value, r.variance + extra_variance(r), r.row->source});
    result.recorded = std::max(result.recorded, r.row->recorded);
  }
  auto pooled = pool(samples, prior);
  result.shift = pooled.mean, result.variance = pooled.variance;
  result.rows = pooled.rows, result.sources = std::move(pooled.sources);
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
    treated_[treatment] = update(all, {0, prior, between}, same, task_part);
    const auto others = update(
        all, {0, prior, between}, [&](const Residual& r) { return same(r) && r.row->task.key != task; }, task_part);
    cells_[{treatment, task}] = update(
        all, {others.shift, others.variance + task_part(first), between},
        [&](const Residual& r) { return same(r) && r.row->task.key == task; }, [](const Residual&) { return 0.0; });
  }
  const auto recorded = [](const Residual& r) { return !r.row->recorded.empty(); };
  const auto first = std::find_if(all.begin(), all.end(), recorded);
  if (first != all.end())
    own_ = update(all, {0, model_variance(*first->row), between}, recorded, [&](const Residual& r) {
      return task_part(r) + r.row->treatment.sum.variance + model_treatment_variance;
    });
}

}  // namespace advisor
