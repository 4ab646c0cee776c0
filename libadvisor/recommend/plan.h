// What to do to get a variant: the routes through the graph of variants, the recipe for what libadvisor executes, the
// settings to serve it and the commands.
#pragma once

#include "core/recommendation.h"
#include "recommend/cell_judge.h"

namespace advisor {

/// Fills route, other_routes, steps, recipe, launch and commands of an option whose rank is set.
void add_plan(const Toolbox& tools, const Question& question, CellJudge& judge, const Cell& cell, Option& option);

}  // namespace advisor
