// The one door to an estimate: quality, memory, speed and cost of one deployable state. `advisor estimate`, the
// decision and the backtest all ask the same objects, so that no two commands can disagree.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/point.h"
#include "estimate/cost.h"
#include "estimate/quality.h"
#include "estimate/scores.h"
#include "estimate/throughput.h"

namespace advisor {

/// Names resolved, defaults applied.
struct Point {
  Model model;
  Variant variant;
  Hardware hardware;  ///< device.memory 0: no machine was named
  std::vector<Task> tasks;
  std::int64_t context = 4096;
  Load load;
  std::optional<double> usd_per_hour;
  double utilisation = assumed_utilisation;
  double level = 0.9;
};

class Estimator {
 public:
  /// `knowledge` must outlive the estimator. One model's estimates need only that model's rows and the fitted terms.
  explicit Estimator(const Knowledge& knowledge);

  /// Everything that can be said about the point, in a fixed order; what cannot is there with the reason.
  std::vector<NamedEstimate> at(const Point& point) const;

  const QualityEstimator& quality() const { return quality_; }
  const SpeedEstimator& speed() const { return speed_; }
  const ScoreTables& scores() const { return scores_; }

 private:
  void add_quality(const Point& point, const Task& task, std::vector<NamedEstimate>& out) const;
  void add_memory(const Point& point, std::vector<NamedEstimate>& out) const;
  void add_speed(const Point& point, std::vector<NamedEstimate>& out) const;

  const Knowledge& knowledge_;
  QualityEstimator quality_;
  ScoreTables scores_;
  SpeedEstimator speed_;
};

}  // namespace advisor
