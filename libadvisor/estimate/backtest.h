// Predictions scored against measurements that the predictor has not seen: for each row everything of its source (or of
// its model) is left out, the models are fitted anew on the rest, and the interval is compared with what was measured.
// The baselines are fitted to the same remaining rows.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/measurement.h"
#include "estimate/distribution.h"

namespace advisor {

enum class LeftOut { source, model };

struct BacktestRequest {
  std::vector<QualityMeasurement> quality;
  std::vector<SpeedMeasurement> speed;
  LeftOut left_out = LeftOut::source;
  int threads = 0;  ///< 0 = all cores; the result does not depend on it
};

/// What errors of one kind of question are measured in.
enum class ErrorUnit {
  recovery,   ///< differences of recovery above chance
  log_ratio,  ///< differences of ln(value / baseline)
  relative,   ///< |predicted / measured - 1|; observed and predicted are logarithms
};

struct BacktestKind {
  const char* id;
  const char* title;
  const char* measure;  ///< kinds of one measure can be put together: "accuracy", "perplexity", "speed"
  ErrorUnit unit;
};
/// All kinds, in the order in which reports list them.
const std::vector<BacktestKind>& backtest_kinds();

/// A measurement and what was said of it without having seen it.
struct BacktestRow {
  const BacktestKind* kind = nullptr;
  std::string source, model, family, task, technique, format, engine, hardware, quantity, where;
  double observed = 0;      ///< in the space of the case
  bool known = false;       ///< its source (or model) is in the database and was left out
  bool predicted = false;   ///< the estimator gave an answer
  Distribution prediction;  ///< from here on only if `predicted`
  Basis basis = Basis::prior;
  double probability = 0.5;  ///< of a value below the observed one, by the prediction (PIT)
  /// By the baselines of the kind, in the order of baseline_names(); nullopt where one has nothing to say.
  std::vector<std::optional<double>> baselines;
};

/// The first is what a kind is compared with; the others are extra.
std::vector<std::string> baseline_names(const BacktestKind& kind);

struct BacktestReport {
  LeftOut left_out = LeftOut::source;
  std::int64_t rows = 0;                         ///< asked for
  std::int64_t folds = 0;                        ///< sources (models) left out in turn
  std::vector<BacktestRow> scored;               ///< in the order of the request, quality first
  std::map<std::string, std::int64_t> unscored;  ///< why a row is no question that can be scored -> how many
};

/// Called from the threads, one at a time, after each fold; false cancels.
using BacktestProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

/// `knowledge.fits` are used only for rows of which nothing had to be left out. Throws cancelled.
BacktestReport backtest(const Knowledge& knowledge, const BacktestRequest& request,
                        const BacktestProgress& progress = {});

}  // namespace advisor
