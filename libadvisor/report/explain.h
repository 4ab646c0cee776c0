// A recommendation in words: one screen with the verdict and why, all about one option, and what differs between two.
// Adds nothing that is not in the recommendation.
#pragma once

#include <string>

#include "core/recommendation.h"
#include "report/blocks.h"

namespace advisor {

/// Verdict, the best option, the others, what was rejected and why, what would help.
Page overview(const Recommendation& recommendation);
/// Every estimate of the option with its interval and sources, its evidence, routes, recipe and commands. Throws
/// not_found when there is no option of that rank.
Page details(const Recommendation& recommendation, int rank);
/// The same recommendation with that option alone.
Recommendation only_option(const Recommendation& recommendation, int rank);
/// What changed from `before` to `after`: question, outcome, options and their estimates, rejections.
Page difference(const Recommendation& before, const Recommendation& after);

/// overview() as text.
std::string explain(const Recommendation& recommendation);

}  // namespace advisor
