// What a compressed model keeps. Works on the change against the uncompressed model of the same table, never across
// tables: recovery above chance for accuracies, (value - chance) / (baseline - chance); baseline / value for
// perplexities. Measurements of the very model and treatment decide where there are any; else the model that was fitted
// to all (quality_fit.h), and the estimate says which.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/variant.h"
#include "estimate/baseline.h"
#include "estimate/distribution.h"
#include "estimate/prediction.h"
#include "estimate/quality_prepared.h"

namespace advisor {

/// What is asked: a benchmark, or when that is empty a whole family.
struct Yardstick {
  std::string task;     ///< canonical benchmark id or empty
  std::string family;   ///< data/families.csv
  double chance = 0;    ///< accuracy of guessing
  double baseline = 0;  ///< score of the uncompressed model where it is known; the lower, the more is lost
};

struct Retention {
  Distribution recovery;  ///< of (value - chance) / (baseline - chance)
  Basis basis = Basis::transferred;
  std::int64_t rows = 0;
  std::vector<std::string> sources;
  std::string how;  ///< "12 measurements of other models of similar size, same technique and task family"
};

struct QualityCase;

class QualityEstimator {
 public:
  /// Takes fitted terms from the knowledge, or fits its rows when there are none. What is measured of a model, and what
  /// the user recorded, is taken from the rows.
  explicit QualityEstimator(const Knowledge& knowledge);
  ~QualityEstimator();

  /// nullopt: nothing measured speaks for it, not even from afar. An uncompressed variant keeps exactly 1.
  std::optional<Retention> retention(const Model& model, const Variant& variant, const Yardstick& yardstick) const;

  /// The same for a measured case, in the space of its `observed`.
  std::optional<Prediction> predict(const QualityCase& question) const;

  /// The same arithmetic without words: what depends on one of the three alone is looked up once. Prepared parts belong
  /// to the estimator that made them.
  PreparedModel prepare(const Model& model) const;
  PreparedTreatment prepare(const Variant& variant) const;
  PreparedTask prepare(const Yardstick& yardstick) const;
  std::optional<QualityNumbers> numbers(const PreparedModel& model, const PreparedTreatment& treatment,
                                        const PreparedTask& task) const;
  /// retention() of what was prepared; `variant` is what `treatment` was prepared from.
  std::optional<Retention> retention(const PreparedModel& model, const PreparedTreatment& treatment,
                                     const PreparedTask& task, const Variant& variant) const;

 private:
  struct Index;
  std::unique_ptr<const Index> index_;
};

/// value / baseline from the recovery above chance, for a known baseline.
Distribution relative_to_baseline(const Distribution& recovery, double baseline, double chance);

}  // namespace advisor
