// A solved fit as the terms that quality_fit.h describes, with the sources and the number of rows behind each.
#pragma once

#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"
#include "estimate/quality_solve.h"

namespace advisor {

/// All but the widths of intervals (quality_calibration.h). Rows that the solver left out count nowhere.
std::vector<FittedTerm> quality_terms(const QualitySolver& solver, const Knowledge& knowledge);

}  // namespace advisor
