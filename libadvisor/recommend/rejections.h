// What was turned away, grouped by cause: one reason for all variants that fail alike, told of the one that came
// closest. And what could not be decided, as gaps.
#pragma once

#include <vector>

#include "core/recommendation.h"
#include "recommend/decide.h"

namespace advisor {

class CellJudge;

/// The model in use first, then models by id; causes in the order in which they were met.
std::vector<Rejection> rejections_of(const Toolbox& tools, const Question& question, CellJudge& judge,
                                     const Decision& decision);

/// One cell that a rule forbids or that fails a limit.
Rejection reject(const Toolbox& tools, const Question& question, CellJudge& judge, const Cell& cell);

/// The profile asked about it: it is told by itself.
bool was_asked(const Toolbox& tools, const Cell& cell);

/// What would decide the undecided cells; and how many models nobody knows enough of to look at.
std::vector<Gap> gaps_of(const Toolbox& tools, const Question& question, const Decision& decision);
/// Sorted, each once.
void sort_gaps(std::vector<Gap>& gaps);

}  // namespace advisor
