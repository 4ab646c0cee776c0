// One candidate - a model under a treatment - as plain numbers: no strings, so that hundreds of thousands can be looked
// at. Words are made of the few that are shown (detail.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/rule.h"
#include "estimate/distribution.h"
#include "rank/rank.h"

namespace advisor {

enum class Action : std::uint8_t { keep, compress, switch_model, compress_and_switch };
std::string_view name(Action action);  ///< "keep", "compress", "switch", "compress_and_switch"

enum class Fate : std::uint8_t {
  feasible,
  forbidden,  ///< by Cell::rule
  limit,      ///< Cell::failed holds with less than the confidence asked for
  undecided   ///< meets all that is known, but something that a limit needs is not known (Cell::missing)
};

/// Why a cell cannot be decided. The order is that in which it is said.
enum class Missing : std::uint8_t {
  nothing,
  size,        ///< parameters or geometry of the model
  retention,   ///< what the treatment leaves of a model
  score,       ///< of the uncompressed model
  comparison,  ///< scores of this model and of the one in use in one table
  in_use,      ///< a score of the model in use: its prediction does not tell
  speed,
  effort
};

/// A distribution in two thirds of its size, for what is kept of every candidate: seven digits of its spread are
/// enough.
struct Kept {
  double mean = 0;
  float sd = 0, df = 30;

  Kept() = default;
  Kept(const Distribution& d)  // NOLINT: kept and taken out again without a word
      : mean(d.mean), sd(static_cast<float>(d.sd)), df(static_cast<float>(d.df)) {}
  operator Distribution() const { return {mean, sd, df}; }  // NOLINT
  double quantile(double p) const { return Distribution(*this).quantile(p); }
  double probability_below(double x) const { return Distribution(*this).probability_below(x); }
  double probability_above(double x) const { return Distribution(*this).probability_above(x); }
};

/// What every candidate is sorted by stands first: ten thousand are scanned again and again, a line of the cache each.
struct alignas(64) Cell {
  int model = -1;      ///< into Catalog::models; own_model: the checkpoint that the question brought along
  int treatment = -1;  ///< into Catalog::treatments
  Action action = Action::keep;
  Fate fate = Fate::undecided;
  Missing missing = Missing::nothing;
  Limit failed = Limit::memory;      ///< Fate::limit
  std::int32_t offloaded = 0;        ///< layers in the host's memory; of what kind the model decides
  const RuleSource* rule = nullptr;  ///< Fate::forbidden
  Objectives objectives;
  Chances chances;
  double memory_total = 0, memory_available = 0;  ///< bytes over all devices
  double mixed_bits = 0;                          ///< of mixed precision: the average that just fits
  bool has_recovery : 1 = false, has_value : 1 = false, has_relative : 1 = false, has_speed : 1 = false,
                      has_ttft : 1 = false,
                      has_effort : 1 = false;  ///< has_effort: something has to be made, and its work is known
  bool by_tool : 1 = false;             ///< other tools make it in the hours that there are, libadvisor would not
  Kept recovery;                        ///< of the score above chance, by its own uncompressed model
  Kept value;                           ///< absolute score, fraction of 1
  Kept relative;                        ///< to the model in use
  Kept log_decode, log_ttft, log_tpot;  ///< ln of tokens per second, seconds, seconds
  Kept log_hours;                       ///< ln of the hours of compression work
};
inline constexpr int own_model = -1;

}  // namespace advisor
