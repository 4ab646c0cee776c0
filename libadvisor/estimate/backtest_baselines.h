// What a prediction must beat: one figure per format, as calculators use it, and the roofline with one factor. Fitted
// to the same rows as the prediction.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "estimate/quality_case.h"
#include "estimate/speed_case.h"

namespace advisor {

/// Observations by nested keys; the figure of the innermost key that has any.
class GroupedFigures {
 public:
  /// `keys` from the innermost to the outermost.
  void add(const std::vector<std::string>& keys, double value);
  void finish();  ///< before the first question
  std::optional<double> mean(const std::vector<std::string>& keys) const;
  std::optional<double> median(const std::vector<std::string>& keys) const;

 private:
  struct Figures {
    std::vector<double> values;
    double mean = 0, median = 0;
  };
  const Figures* find(const std::vector<std::string>& keys) const;
  std::map<std::string, Figures> groups_;
};

/// Flat loss: the mean (or median) of all rows with the same format, else of the same class of formats, else all.
std::vector<std::string> flat_keys(const QualityCase& question);

/// One-factor roofline: a step over `tokens` (of all sequences when decoding, of the prompt in prefill) takes
/// t = max(bytes of the active weights / bandwidth, 2 · active parameters · tokens / peak) / (η · devices),
/// devices being those that work at once (one where layers are split).
/// η is the median per kind of question, engine and kind of hardware, else per engine, else per kind of question.
std::vector<std::string> roofline_keys(const SpeedCase& question, const std::string& kind);
/// ln of the asked quantity at η = 1; nullopt when size or bandwidth are unknown. Without a peak rate it only moves.
std::optional<double> ideal_speed(const SpeedCase& question);

/// Middle value, of an even number the mean of the two in the middle. `values` must not be empty.
double median_of(std::vector<double> values);

}  // namespace advisor
