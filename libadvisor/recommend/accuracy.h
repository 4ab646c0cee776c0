// Whether a candidate keeps the accuracy that was asked for: what compression leaves of its uncompressed model, times
// what that model scores, against the limits of the profile.
#pragma once

#include <optional>
#include <string>

#include "core/recommendation.h"
#include "recommend/candidates.h"
#include "recommend/question.h"
#include "recommend/toolbox.h"

namespace advisor {

struct QualityJudgement {
  std::optional<QualityEstimate> estimate;
  double key = 0;  ///< lower bound relative to the model in use
  std::string how;
  std::string baseline;  ///< how the score of the uncompressed model was come by, when it is predicted
  std::string missing;   ///< why the limit cannot be judged
};

QualityJudgement judge_quality(const Toolbox& tools, const Question& q, const Candidate& candidate);

/// "predicted 61 % (48 to 72 %)" or "61 %".
std::string describe(const Baseline& baseline);

/// 0.123 -> "12.3 %"
std::string percent(double value);

}  // namespace advisor
