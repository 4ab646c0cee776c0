// A quality measurement as a question to the estimator and the answer that was measured: what the fit learns from and
// what a backtest scores.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>

#include "core/knowledge.h"
#include "core/variant.h"
#include "estimate/quality.h"

namespace advisor {

/// What was done to the weights, in numbers: what a measurement states, or what a scheme means. A measurement may state
/// bits that no scheme is spelled for (2.28 with additive codebooks).
struct Treatment {
  std::string technique;  ///< data/techniques.csv, those that do the same arithmetic under one name
  std::string scheme;     ///< as published; only compared with other schemes
  std::string grid;       ///< "", "fp8", "nvfp4", "mxfp4"
  double weight_bits = 16, activation_bits = 16, kv_bits = 16;  ///< nominal
  double bits_per_weight = 16;                                  ///< scales and zero points included
  double group = 0;     ///< inputs per scale; -1 = one scale per row or tensor, 0 = not said or not applicable
  double sparsity = 0;  ///< 0..1
  std::string pattern;  ///< "", "unstructured", "2:4", "structured-depth" ...
  bool pruned() const { return sparsity > 0; }
  auto operator<=>(const Treatment&) const = default;
};

/// Throws invalid_argument for a scheme that cannot be read.
Treatment treatment_of(const Variant& variant);

struct QualityCase {
  Model model;  ///< the catalog's row, or just the id and the size that the table states
  Variant variant;
  Treatment treatment;
  Yardstick yardstick;
  std::string measure;  ///< "accuracy": observed = recovery above chance; "perplexity": observed = ln(value / baseline)
  double observed = 0;
  double baseline = 0;  ///< of the same table, a fraction of 1 or a perplexity
  /// What tools with one figure per format would look up: "W4A16", "W8A8-fp8"; pruning: "sparsegpt 2:4".
  std::string format;
  std::string format_class;  ///< what they would fall back to: "W4", "pruned 2:4"
  bool pruning = false;
  std::string source, where;
  std::string recorded;  ///< date of a user's own row
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
