// From scored rows to figures: errors, coverage, sharpness and skill, per kind of question and per group.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "estimate/backtest.h"

namespace advisor {

struct BacktestScore {
  std::int64_t n = 0;          ///< questions
  std::int64_t predicted = 0;  ///< of these, answered; all figures below are over them
  double mae = 0, median_ae = 0;
  double bias = 0;  ///< mean of predicted less observed; relative errors: exp of that of logarithms, less 1
  double coverage50 = 0, coverage80 = 0, coverage90 = 0;  ///< shares of 1
  double width90 = 0;    ///< mean width of the 90 % interval, in the space of `observed`
  double log_score = 0;  ///< mean log density at the observed value, same space; higher is better
  struct Baseline {
    std::string name;
    std::int64_t n = 0;  ///< predicted rows on which it has something to say
    double mae = 0, median_ae = 0;
    double skill_mean = 0, skill_median = 0;  ///< our error / its error, on those rows; below 1 is better
  };
  std::vector<Baseline> baselines;  ///< the first is the one to beat
};

/// Rows of one measure.
BacktestScore score(const std::vector<const BacktestRow*>& rows);

struct BacktestGroup {
  std::string kind;       ///< BacktestKind::id, or BacktestKind::measure for several kinds together
  std::string by, value;  ///< "task_family", "knowledge"; both empty for a whole kind
  BacktestScore score;
};

/// All kinds that have rows, whole.
std::vector<BacktestGroup> score_kinds(const BacktestReport& report);
/// Each kind by one property of its rows, sorted by value. Throws invalid_argument for an unknown property.
std::vector<BacktestGroup> score_by(const BacktestReport& report, const std::string& property);
/// "task_family", "task", "technique", "format", "engine", "hardware", "quantity", "basis", "source", "model".
const std::vector<std::string>& backtest_properties();
/// All rows of the first measure that has any (accuracy, else perplexity, else speed), so that units do not mix.
BacktestGroup score_overall(const BacktestReport& report);

/// Rows that have more than their share of a kind's error: where a model fails.
struct ErrorShare {
  std::string kind, by, value;
  std::int64_t rows = 0;
  double share_of_rows = 0, share_of_error = 0;  ///< of the predicted rows and of the sum of their errors
};
/// Of each kind the groups (by family, technique, format, engine, hardware and source) of at least five rows with at
/// least twice their share of the error, at most `most`, those first that lose most.
std::vector<ErrorShare> error_shares(const BacktestReport& report, std::size_t most = 5);

/// Error of a prediction in the unit of the kind.
double absolute_error(const BacktestKind& kind, double predicted, double observed);

}  // namespace advisor
