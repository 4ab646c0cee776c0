// Whether a candidate keeps the accuracy that was asked for: what compression leaves of its uncompressed model, times
// what that model scores, against the limits of the profile. Once as numbers, once in words; one arithmetic.
#pragma once

#include <optional>
#include <string>

#include "core/recommendation.h"
#include "recommend/question.h"

namespace advisor {

struct Accuracy {
  Missing missing = Missing::nothing;    ///< what the limits need and nobody knows
  std::optional<double> probability;     ///< that they are met
  std::optional<Distribution> value;     ///< absolute score
  std::optional<Distribution> relative;  ///< to the model in use: for the same model its own noise cancels
};
/// Share of its own uncompressed score that a model keeps.
Distribution kept_of_own(const Question& question, int model, const Distribution& recovery);
Accuracy judge_accuracy(const Question& question, int model, const Distribution& recovery);

/// What a treatment leaves of the score above chance: the product of what each of its parts leaves. Mixed precision of
/// `bits` on average: damage adds up over layers to first order (Dong et al., HAWQ-V2, NeurIPS 2020), so that
/// layers of average sensitivity lose in proportion to their share; a solver that picks the least sensitive loses less.
/// nullopt: nothing measured speaks for it.
std::optional<Distribution> recovery_of(const Toolbox& tools, const Question& question, int model, int treatment,
                                        double mixed_bits);

/// What the cache of a treatment leaves of a score; nullptr: nothing measured speaks for it.
const Retention* cache_of(const Toolbox& tools, const Question& question, const CatalogTreatment& treatment);

struct QualityWords {
  std::optional<QualityEstimate> estimate;
  std::string how;       ///< what the estimate of the treatment rests on
  std::string baseline;  ///< how the score of the uncompressed model was come by, when it is predicted
};
QualityWords quality_words(const Toolbox& tools, const Question& question, const Cell& cell);

/// What to measure, in words: Cell::missing spelled out.
Gap gap_of(const Toolbox& tools, const Question& question, const Cell& cell);

/// "predicted 61 % (48 to 72 %)" or "61 %".
std::string describe(const Baseline& baseline);

/// 0.123 -> "12.3 %"
std::string percent(double value);

}  // namespace advisor
