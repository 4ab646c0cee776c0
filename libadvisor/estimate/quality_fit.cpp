#include "estimate/quality_fit.h"

#include <algorithm>
#include <iterator>

#include "estimate/quality_calibration.h"
#include "estimate/quality_solve.h"
#include "estimate/quality_terms.h"

namespace advisor {

std::vector<FittedTerm> fit_quality(const Knowledge& knowledge) {
  QualitySolver solver(knowledge);
  solver.solve();
  auto terms = quality_terms(solver, knowledge);
  auto widths = calibrate_widths(held_out_errors(knowledge, solver));
  std::move(widths.begin(), widths.end(), std::back_inserter(terms));
  return terms;
}

}  // namespace advisor
