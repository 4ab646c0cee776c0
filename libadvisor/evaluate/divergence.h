// How far the predictions of a model are from those of another, token by token: what compression changed even where
// the right answer did not. The figures are those of llama-perplexity --kl-divergence, over every token of a window.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "evaluate/evaluate.h"
#include "lm/decoder.h"

namespace advisor {

/// What two models say of one token that follows.
struct TokenComparison {
  double log_p = 0, baseline_log_p = 0;  ///< of the token that did follow, natural log
  double kl = 0;                         ///< sum over the vocabulary of p (log p - log q), p the baseline's
  bool same_top = false;                 ///< both find the same token likeliest (the first among equals)
};

/// Of logits over the same vocabulary; target is in it.
TokenComparison compare_token(std::span<const float> logits, std::span<const float> baseline, std::int32_t target);

/// For each token of a window but the first.
std::vector<TokenComparison> compare_window(const Decoder& decoder, const Decoder& baseline,
                                            std::span<const std::int32_t> ids);

/// Windows as clusters. There is at least one token.
Divergence summarise_divergence(std::span<const std::vector<TokenComparison>> windows);

/// Throws invalid_argument unless both have one vocabulary and the baseline's context is no shorter.
void check_comparable(const Decoder& decoder, const Decoder& baseline);

}  // namespace advisor
