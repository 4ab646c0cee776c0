// What to do to get a variant: readable steps, the recipe for what libadvisor executes, the launch settings.
#pragma once

#include "recommend/candidates.h"
#include "recommend/question.h"
#include "recommend/toolbox.h"

namespace advisor {

void add_plan(const Toolbox& tools, const Question& question, const Candidate& candidate, Option& option);

}  // namespace advisor
