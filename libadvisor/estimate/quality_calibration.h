// By what the intervals of the fitted model must be wider or narrower to hold for a source that it has not seen. Within
// the fit, groups of sources are left out in turn, the rest is solved again, and the left-out accuracies are predicted
// as a query would predict them. Of the ratios of errors to predicted scales, by source j and task family f,
//
//     ln scale(j, f) ~ normal(common + family(f), between^2)     family(f) ~ normal(0, families^2)
//
// where an error is Student t with that scale. The spreads are estimated with it (empirical Bayes), so that a family is
// trusted by its number of sources, not of rows: one with a single source is hardly more than the common value. The
// factor of a family is what makes 90 % of the errors of a further source lie in 90 % intervals, its unknown scale
// included; that is more than the mean scale where sources differ much or are few.
#pragma once

#include <string>
#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"
#include "estimate/quality_solve.h"

namespace advisor {

/// An error of a prediction that its source had no part in.
struct HeldOutError {
  std::string family, source;
  double ratio = 0;  ///< |measured - predicted| / predicted scale
  double df = 3;     ///< of the prediction
};

/// Leaves sources out of `solver` and does not put them back.
std::vector<HeldOutError> held_out_errors(const Knowledge& knowledge, QualitySolver& solver);

/// Terms "calibration" by family, and "all" for a family without rows: factor, sd of the logarithm of the scale of a
/// further source, rows, sources. Whatever the order of the errors.
std::vector<FittedTerm> calibrate_widths(std::vector<HeldOutError> errors);

}  // namespace advisor
