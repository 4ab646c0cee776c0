// The fitted model of quality_fit.h as a calculator: sums of coefficients that are looked up once per model, per
// treatment and per task, and the arithmetic that puts three such sums together.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/fit.h"
#include "estimate/distribution.h"
#include "estimate/quality_fit.h"
#include "estimate/quality_levels.h"
#include "estimate/quality_prepared.h"

namespace advisor {

/// The proportional scatter of the fit, half of it of a cell of model, treatment and task, half of a single row in it.
/// The rows cannot tell the halves apart: hardly a cell was measured by two sources.
inline constexpr double cell_variance = scatter * scatter / 2, row_variance = scatter * scatter / 2;
/// How far a model's own response to a treatment lies from what both are known for, variance. Likewise not identified;
/// as large as that of a task's response to pruning or quantization.
inline constexpr double model_treatment_variance = 0.2 * 0.2;

class QualityModel {
 public:
  QualityModel(QualityModel&&) = default;  // the index points into terms_: moving keeps it, copying would not
  explicit QualityModel(std::vector<FittedTerm> terms);

  PreparedModel model(const Model& model) const;
  PreparedTreatment treatment(const Treatment& treatment) const;
  /// `baseline` 0 = not known: the typical one of the task, else of the family.
  PreparedTask task(const Yardstick& yardstick, double baseline, bool perplexity) const;
  /// Only perplexities of the task were measured.
  bool is_perplexity(const Yardstick& yardstick) const;

  /// Of eta in this cell of model, treatment and task, before any measurement of the very model is looked at.
  TermSum log_damage(const PreparedModel& m, const PreparedTreatment& t, const PreparedTask& y) const;
  /// Of a new source's measurement: recovery, or ln(value / baseline) of perplexities when `as_log`.
  Distribution outcome(const TermSum& log_damage, const PreparedTask& y, std::int64_t sources, bool as_log) const;

  /// Of one measured value, by the length of the test and rounding alone.
  static double noise_variance(const PreparedTask& y, double log_damage, double variance = 0);

  const FittedTerm* find(const std::string& term, const std::string& level) const;
  double source_variance() const { return source_variance_; }

 private:
  TermSum sum(const Levels& levels) const;
  double treatment_variance(const Treatment& treatment) const;
  double typical_headroom(const Yardstick& yardstick) const;
  double noise_of(const Yardstick& yardstick) const;

  std::vector<FittedTerm> terms_;
  std::map<std::pair<std::string, std::string>, const FittedTerm*> index_;
  double source_variance_ = 0;  ///< of a source that the fit has not seen
};

}  // namespace advisor
