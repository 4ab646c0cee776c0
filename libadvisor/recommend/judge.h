// One candidate against rules and estimates: an option, a rejection, or a question that cannot be decided.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rank/rank.h"
#include "recommend/candidates.h"
#include "recommend/question.h"
#include "recommend/toolbox.h"

namespace advisor {

struct Judgement {
  std::optional<Judged> option;
  std::optional<Rejection> rejection;
  std::optional<Gap> undecided;  ///< meets all that is known, but a limit cannot be judged
  std::vector<Gap> gaps;         ///< facts that rules or estimates miss
  double miss = 0;               ///< how far a rejected one is off: needed / available memory, or improbability
};

/// Facts of a candidate, before anything is estimated.
FactSheet facts_of(const Toolbox& tools, const Question& question, const Candidate& candidate);

Judgement judge(const Toolbox& tools, const Question& question, const Candidate& candidate);

/// The scored models worth switching to: admissible by licence, modality and permission, good enough by score, the best
/// three of every doubling of size, so that more memory never displaces a smaller one. Others are rejected here.
std::vector<const Model*> models_to_switch_to(const Toolbox& tools, const Question& question,
                                              const std::vector<std::string>& engines,
                                              std::vector<Rejection>& rejections);

}  // namespace advisor
