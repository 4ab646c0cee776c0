#include "estimate/pooling.h"

#include <map>

namespace advisor {

Pooled pool(std::span<const Sample> samples, const PoolPrior& prior) {
  struct Study {
    double weight = 0, sum = 0;
  };
  std::map<std::string, Study> studies;
  for (const auto& sample : samples) {
    auto& study = studies[sample.source];
    study.weight += 1 / sample.variance;
    study.sum += sample.value / sample.variance;
  }
  double precision = 1 / prior.variance, sum = prior.mean / prior.variance;
  Pooled result;
  for (const auto& [source, study] : studies) {
    const double weight = 1 / (prior.between + 1 / study.weight);
    precision += weight;
    sum += weight * study.sum / study.weight;
    result.sources.push_back(source);
  }
  result.mean = sum / precision;
  result.variance = 1 / precision;
  result.rows = static_cast<std::int64_t>(samples.size());
  return result;
}

}  // namespace advisor
