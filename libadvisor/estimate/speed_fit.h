// The terms of the speed model (formula: speed_model.h; levels: speed_levels.h), fitted to all speed rows at once.
//
//   ln seconds(row) = F(work; u) + offset(source, engine, kind of load) + noise
//   u_term = mean + sum of the effects of its blocks,   effect ~ Normal(0, sd of the block)
//   offset ~ Normal(0, 0.03²) of single streams, Normal(0, 0.3²) of prompts and loaded servers
//   noise ~ Student t with 2 degrees of freedom, scale by kind of row
//
// Maximum a posteriori by Gauss-Newton on the slopes of F, weights by Huber's iteration for Student t (Lange, Little
// and Taylor, J. Am. Stat. Assoc. 84, 1989). The prior spreads are the partial pooling: an engine on a class of
// hardware with few rows stays near the engine and the class. Rows of one table are no independent witnesses: n of them
// of one kind count as √(10 n), so that a table of hundreds does not outvote ten others.
//
// First tokens of open loops and bursts fit nothing: the wait of the median request turns on whether the machine keeps
// up, which no gradient tells.
//
// Stored: for each block the sum of its effects on every combination of levels that occurs, and on its leading levels
// alone for questions that no row has met; sd from the posterior covariance, plus the prior spread of effects that
// are left out. And per kind of question and engine a `spread` to be added to the spread of parameters and noise, or
// the share of that which is enough (`spread share`), so that 80 % intervals of rows whose whole publisher is left out
// hold 80 % of them. Leaving a publisher out is one Newton step from the fit, at most
// a factor of e in any effect; `advisor backtest` refits, and fits the spreads without the publisher that it scores.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"
#include "estimate/speed_case.h"
#include "estimate/speed_levels.h"

namespace advisor {

/// Questions whose errors have one size: "single" stream, "single mixture", "batch" (closed loop), "rate" of arrivals,
/// "burst"; and of first tokens "prompt" (alone), "turn" (closed loop), "queue" (rate), "burst queue".
std::string speed_kind(const SpeedWork& work, SpeedQuantity quantity, bool mixture);
/// The same as an index into speed_kinds.
inline constexpr std::array<std::string_view, 9> speed_kinds{
    "queue", "prompt", "rate", "batch", "single mixture", "single", "turn", "burst queue", "burst"};
std::size_t speed_kind_index(const SpeedWork& work, SpeedQuantity quantity, bool mixture);

/// A case as the model sees it.
struct SpeedRow {
  SpeedWork work;
  SpeedQuantity quantity = SpeedQuantity::decode;
  SpeedLevels levels;
  double log_seconds = 0;  ///< observed
  std::string source, publisher, kind, engine_version;
};
/// nullopt: the model cannot predict it (size unknown, engine that does not compare).
std::optional<SpeedRow> speed_row(const SpeedCase& question);
std::optional<SpeedQuantity> speed_quantity(const std::string& name);
/// -1 for rates (tokens per second), 1 for times.
double speed_sign(SpeedQuantity quantity);

/// What a new row scatters around the truth of its setup: repeated runs (6 %) of one more source (8 %).
inline constexpr double speed_noise = 0.1;
inline constexpr double speed_df = 4;

std::vector<FittedTerm> fit_speed(const Knowledge& knowledge);

}  // namespace advisor
