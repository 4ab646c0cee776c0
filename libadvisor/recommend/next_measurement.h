// Which single measurement would most probably change the decision: of what is turned away, or cannot be decided, for
// nothing but the width of its quality estimate.
#pragma once

#include <cstddef>
#include <vector>

#include "recommend/decide.h"

namespace advisor {

inline constexpr std::size_t most_measurements = 5;

/// Most telling first: by the chance, in whole percent, that the result admits an option, then by the place that the
/// option would have. Of a recommendation only what would stand before its first option. What can be ruled out at the
/// confidence asked for is not worth a measurement.
std::vector<NextMeasurement> next_measurements(const Toolbox& tools, const Question& question, const CellJudge& judge,
                                               const Decision& decision);

/// Whether a score of an uncompressed model, which is only predicted, could admit something that nothing else stands
/// against: then the evidence does not suffice to call it infeasible.
bool hangs_on_scores(const Toolbox& tools, const Question& question, const CellJudge& judge, const Decision& decision);

}  // namespace advisor
