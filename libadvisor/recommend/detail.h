// A cell in words: the option that a user reads, with estimates and their sources, evidence and warnings.
#pragma once

#include <string>

#include "core/recommendation.h"
#include "recommend/cell_judge.h"

namespace advisor {

/// Everything but rank, decided_by and the plan. `judge` is of the same question.
/// `undecided` collects what rules that might forbid it would have to know.
Option describe(const Toolbox& tools, const Question& question, CellJudge& judge, const Cell& cell,
                std::vector<Gap>* undecided = nullptr);

/// The variant with its model.
Variant variant_of(const Toolbox& tools, const Question& question, const Cell& cell);

std::string id_of(const Toolbox& tools, const Question& question, const Cell& cell);

/// "1 x NVIDIA A100 80GB"
std::string device_name(const Hardware& hardware);

/// The words of memory_numbers: what a cell's mixed precision weighs is not in its variant.
MemoryEstimate memory_words(const Toolbox& tools, const Question& question, CellJudge& judge, const Cell& cell);

}  // namespace advisor
