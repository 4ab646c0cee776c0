// One decision, without looking for counterfactuals: candidates -> judged -> ranked, rejections grouped.
#pragma once

#include "core/recommendation.h"
#include "recommend/question.h"
#include "recommend/toolbox.h"

namespace advisor {

struct JudgedDecision {
  Outcome outcome = Outcome::infeasible;
  std::optional<Verdict> verdict;
  std::vector<Option> options;
  std::vector<Rejection> rejections;
  std::vector<Gap> gaps;
  bool memory_killed = false;  ///< something failed by memory alone, so that other memory may save it
};

JudgedDecision decide_judged(const Toolbox& tools, const Question& question);

std::optional<Verdict> verdict_of(const std::string& action);

}  // namespace advisor
