// Abilities of models and difficulties of tasks, fitted together to all published scores: an item-response model on the
// logit scale (Birnbaum, in Lord and Novick, Statistical Theories of Mental Test Scores, 1968) with crossed random
// effects.
//
//   logit((score - chance) / (1 - chance)) = intercept + family + task + harness + task|harness + mode + mode|family
//       + model|family + specialty|family + discrimination(task) * ability(model) + residual
//   ability(model) = regression on size, active share, release date and what is unknown of them
//       + developer + lineage + kind + specialty + the model's own
//
// Residuals are Student t with 4 degrees of freedom; the noise of a test of finite length is known and added.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"
#include "estimate/score_rows.h"

namespace advisor {

/// Random effects of a score, in the order of `score_levels`.
inline constexpr std::array score_effects{"family", "task",        "harness",      "table",
                                          "mode",   "mode_family", "model_family", "specialty_family"};
/// Random effects of an ability, in the order of `trait_levels`.
inline constexpr std::array ability_effects{"developer", "lineage", "kind", "specialty"};

std::array<std::string, score_effects.size()> score_levels(const ScoreRow& row, const std::string& specialty);
std::array<std::string, ability_effects.size()> trait_levels(const Traits& traits);

/// Noise of one run of a test, in fractions of 1: 1000 questions at 65 % give 0.015, and so do repeated runs of one
/// harness with other versions, seeds and prompts.
inline constexpr double test_noise = 0.015;
/// Two runs of one harness on one model differ by about a point.
inline constexpr double repeat_sd = 0.01;
inline constexpr double score_residual_df = 4;

/// Terms of fit "scores": "intercept"; each effect above by its level; "discrimination" by task; "slope" by
/// Traits::names; "ability" by model; "spread" (standard deviation) by effect, "ability", "discrimination", "residual";
/// "ln_params" "least" and "most" of the scored models; "scored" by "task|harness|mode" with the number of models in
/// that table as rows. The user's own rows are not in it.
std::vector<FittedTerm> fit_scores(const Knowledge& knowledge);

}  // namespace advisor
