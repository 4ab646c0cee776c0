// The hierarchical model of what compression costs, fitted to all quality measurements at once.
//
//   damage D = exp(eta) >= 0
//   recovery above chance = a + (1 - a) exp(-D)       a: share of the score that is guessed, see below
//   ln(perplexity / baseline) = D
//
//   eta of a quantized model = intercept + sum over the bits given up (piecewise linear between 8 6 5 4 3 2 1, steps >=
//   0)
//       + technique + technique_low * max(0, 4 - bits) + activation format
//       + per channel | group * ln(group size / 128) | ungrouped          (plain integer grids)
//       + recipe(format x technique)
//       + size * ln(parameters / 7e9) + lineage + model + model_low * max(0, 4 - bits)
//       + family + task + headroom * ln((baseline - chance) / 0.5)
//       + source + source_technique
//   eta of a pruned model = intercept + technique + pattern + sparsity(pattern) * ln(-ln(1 - share) / 0.3), slope >= 0
//       + size' * ln(parameters / 7e9) + lineage + model + task_pruned + family + ... as above
//   of a perplexity: perplexity(kind) + task + technique_perplexity in place of family + task + headroom
//
// Perplexity and accuracy share what technique, bits and size do: that is the only way in which perplexities speak for
// knowledge, and technique_perplexity is how far the two may part. a = guess_family + guess_task over the baseline
// where a task has no single chance level; else 0, as recovery is above chance already.
//
// Every coefficient is a random effect: normal around quality_levels.h's prior. Residuals are Student t with
// `residual_df` and scale s^2 = rounding^2 + (noise(task, D) / (baseline - chance))^2 + (scatter * d value / d eta)^2,
// where noise(task, D) is that of quality_noise.h, and damage scatters in proportion to itself. The fit is Gauss-Newton
// on the observed scale with weights of the t distribution (Lange, Little and Taylor, JASA 84, 1989), so a row at 100 %
// says "little damage" without pretending to know how little. The noise is estimated with it, by task, shrunk to its
// family and that to all tasks. Standard deviations of the coefficients are those of the posterior at the solution.
#pragma once

#include <string>
#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"

namespace advisor {

/// Chosen like the priors, by sources left out: tails and proportional scatter.
inline constexpr double residual_df = 2.5, scatter = 0.4;
/// Tables print tenths of points: the difference of two such figures is off by 0.1 * sqrt(2 / 12) points.
inline constexpr double rounding = 0.0004;
/// Perplexities of one table repeat to a few tenths of a percent (windows, attention kernels).
inline constexpr double perplexity_noise = 0.005;

/// Terms of fit "quality": each term of quality_levels.h by its levels (the sd of a level of family, lineage, model,
/// task or technique is that of its difference from the average row); "treatment_at", the sum of all terms of a
/// treatment for the average model and task, with the sd of that sum, by recipe, and by bits or pattern for the average
/// technique; "noise" by task, family and "all" (where the damage is 1, as fractions of 1); "headroom_of" by task and
/// family (mean, for questions that state no baseline); "prior" by term (mean and sd); "measured" by measure (number of
/// rows); "calibration" by family and "all", a factor on the widths of intervals (quality_calibration.h). The user's
/// own rows are not in it.
std::vector<FittedTerm> fit_quality(const Knowledge& knowledge);

}  // namespace advisor
