#include "estimate/pooling.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace advisor {

namespace {

struct Study {
  double weight = 0, mean = 0, squares = 0, effective = 0;
};

std::vector<Study> studies_of(std::span<const Sample> samples) {
  std::map<std::string, std::vector<const Sample*>> by_source;
  for (const auto& sample : samples) by_source[sample.source].push_back(&sample);
  std::vector<Study> studies;
  for (const auto& [source, rows] : by_source) {
    Study study;
    double squared_weights = 0;
    for (const auto* row : rows) {
      study.weight += row->weight;
      study.mean += row->weight * row->value;
      squared_weights += row->weight * row->weight;
    }
    study.mean /= study.weight;
    for (const auto* row : rows) study.squares += row->weight * (row->value - study.mean) * (row->value - study.mean);
    study.effective = study.weight * study.weight / squared_weights;  // Kish: rows that the weights are worth
    study.squares *= study.effective / study.weight;
    studies.push_back(study);
  }
  return studies;
}

}  // namespace

std::optional<Pooled> pool(std::span<const Sample> samples, const PoolPrior& prior) {
  if (samples.empty()) return std::nullopt;
  const auto studies = studies_of(samples);
  const double k = static_cast<double>(studies.size());

  double squares = prior.row_count * prior.within * prior.within, freedom = prior.row_count;
  for (const auto& study : studies) squares += study.squares, freedom += std::max(0.0, study.effective - 1);
  const double within2 = squares / freedom;

  // Eq. 8: the moment estimate of the between-study variance, from the fixed-effect weights.
  double sum_w = 0, sum_wy = 0, sum_w2 = 0;
  for (const auto& study : studies) {
    const double w = study.effective / std::max(within2, 1e-12);
    sum_w += w, sum_wy += w * study.mean, sum_w2 += w * w;
  }
  double q = 0;
  for (const auto& study : studies) {
    const double d = study.mean - sum_wy / sum_w;
    q += study.effective / std::max(within2, 1e-12) * d * d;
  }
  const double denominator = sum_w - sum_w2 / sum_w;
  const double moment = denominator > 0 ? std::max(0.0, (q - (k - 1)) / denominator) : 0.0;
  const double tau2 = ((k - 1) * moment + prior.strength * prior.between * prior.between) / ((k - 1) + prior.strength);

  double total = 0, mean = 0;
  for (const auto& study : studies) {
    const double w = 1 / (within2 / study.effective + tau2);
    total += w, mean += w * study.mean;
  }
  mean /= total;
  const double df = std::max(3.0, k - 1 + prior.strength);
  Pooled pooled;
  pooled.mean = {mean, std::sqrt(1 / total), df};
  pooled.prediction = {mean, std::sqrt(1 / total + tau2 + within2), df};
  pooled.tau = std::sqrt(tau2);
  pooled.within = std::sqrt(within2);
  pooled.rows = static_cast<std::int64_t>(samples.size());
  pooled.sources = static_cast<std::int64_t>(studies.size());
  return pooled;
}

}  // namespace advisor
