// Scores of uncompressed models as the fit of abilities reads them (scores_fit.h): the published scores, and the
// baselines that tables of compressed models state beside them, one row per model, task, harness and mode.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"

namespace advisor {

struct ScoreRow {
  std::string model, task, family, harness, mode;
  double value = 0;   ///< fraction of 1
  double chance = 0;  ///< of guessing
  bool closed = false;
  std::string recorded;  ///< date of the user's own
  std::vector<std::string> sources;
};

enum class ScoreRows { shipped, recorded };

/// Sorted by content, so that the order of the knowledge cannot matter. Of several values of one cell (numbers of
/// shots, metrics) the middle one. Measures that are no share of 1, suspect rows and, for `shipped`, the user's own are
/// left out.
std::vector<ScoreRow> score_rows(const Knowledge& knowledge, ScoreRows which);

/// Compares with others of its task, harness and mode: an open model's share of 1, nothing against it.
bool comparable(const Score& score);

/// Logit of (value - chance) / (1 - chance), kept off the ends where it means nothing any more: two points above
/// guessing, half a point above nothing, half a point below everything.
double score_to_logit(double value, double chance);
double logit_to_score(double logit, double chance);

/// What is known of a model before any score of it.
struct Traits {
  /// Regressors; a missing one is 0 with its own flag.
  static constexpr std::size_t count = 9;
  static const std::array<const char*, count> names;
  std::array<double, count> x{};
  std::string developer, lineage, kind, specialty;
  std::optional<double> params;
};

/// `model` may state no more than its id and size.
Traits traits_of(const Model& model, bool closed);

}  // namespace advisor
