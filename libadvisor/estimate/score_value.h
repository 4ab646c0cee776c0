// What a recovery means in points: the score of a compressed model from that of the uncompressed one. A prediction of
// the uncompressed score is skewed towards the middle of the scale, so each side has a spread of its own.
#pragma once

#include <optional>

#include "estimate/baseline.h"
#include "estimate/quality.h"

namespace advisor {

/// Standard deviation of the baseline on the side that hurts: below for a candidate, above for what it is compared
/// with.
double sd_below(const Baseline& baseline);
double sd_above(const Baseline& baseline);

/// chance + recovery · (baseline - chance), the two independent to first order; `sd` is that of the baseline.
Distribution value_of(const Distribution& recovery, const Baseline& baseline, double sd, double chance);
Distribution value_of(const Distribution& recovery, double baseline, double sd, double chance);

/// The same as an interval within 0 .. 1. Its basis is the weaker of both.
Estimate value_estimate(const Retention& kept, const Baseline& own, double chance, double level = 0.9);

/// Share of its own uncompressed score that is kept. Guessing is not lost, and is the larger share the less the model
/// knows: where that is only predicted, the score at the upper end; unknown counts as no guessing at all.
Distribution own_share(const Distribution& recovery, const std::optional<Baseline>& own, double chance);

}  // namespace advisor
