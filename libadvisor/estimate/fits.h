// All models that are fitted to the measurements. tools/build_db stores the result; an estimator that is given
// knowledge without fitted terms (a backtest that left a source out) calls the same functions.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"

namespace advisor {

/// Terms of every fit, sorted by fit, term, level. Same rows in any order, same bytes out.
std::vector<FittedTerm> fit_all(const Knowledge& knowledge);

/// Those of one fit, of terms sorted as above; empty when it was never stored.
std::span<const FittedTerm> terms_of(const std::vector<FittedTerm>& terms, const std::string& fit);

}  // namespace advisor
