// A quality measurement as a question to the estimator and the answer that was measured: what the fit learns from and
// what a backtest scores.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "core/knowledge.h"
#include "core/variant.h"
#include "estimate/quality.h"

namespace advisor {

struct QualityCase {
  Model model;  ///< the catalog's row, or just the id and the size that the table states
  Variant variant;
  Yardstick yardstick;
  std::string measure;  ///< "accuracy": observed = recovery above chance; "perplexity": observed = ln(value / baseline)
  double observed = 0;
  std::string
      format;  ///< what tools with one figure per format would look up: "W4A16", "W8A8-fp8", "2:4", "unstructured 50 %"
  bool pruning = false;
  std::string source, where;
};

/// Turns rows into cases. Holds the vocabulary of tasks and the catalog by id; `knowledge` must outlive it.
class QualityCases {
 public:
  explicit QualityCases(const Knowledge& knowledge);
  /// nullopt: the row cannot be scored; `why_not`, when given, says why in a few words ("marked as suspect").
  std::optional<QualityCase> read(const QualityMeasurement& row, std::string* why_not = nullptr) const;

 private:
  std::map<std::string, const Task*> tasks_;
  std::map<std::string, const Model*> models_;
};

}  // namespace advisor
