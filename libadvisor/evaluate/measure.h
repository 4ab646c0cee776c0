// The two measurements, each over a loaded model.
#pragma once

#include "evaluate/evaluate.h"
#include "evaluate/suite.h"
#include "lm/decoder.h"
#include "lm/tokenizer.h"

namespace advisor {

/// What both need. `limit` as in EvaluateRequest.
struct Measure {
  const Decoder& decoder;
  const Tokenizer& tokenizer;
  int threads = 0;
  std::int64_t limit = 0;
  EvaluateProgressFn progress;
  const Decoder* baseline = nullptr;  ///< nullptr: none
};

/// The text is tokenised as one string and cut into consecutive windows; each gets BOS in front where the model has
/// one, and every token is scored once (without BOS the first token of a window is not: nothing precedes it).
/// A window holds min(context of the model, 2048) tokens including BOS. With a baseline its predictions for the same
/// windows are compared.
PerplexityResult measure_perplexity(const Measure& measure, const TextSet& set);

/// Option with the largest sum of log p(option | BOS + context), the first among equals; context and options are
/// tokenised separately and lengths are not normalised.
ChoiceResult measure_choices(const Measure& measure, const ChoiceSet& set);

/// Calls body(i) for i in [0, n) in parallel and reports progress from the calling thread in between. Throws cancelled
/// when `progress` returns false.
void for_each_with_progress(const Measure& measure, const std::string& stage, std::int64_t n,
                            const std::function<void(std::int64_t)>& body);

}  // namespace advisor
