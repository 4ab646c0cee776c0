#include "evaluate/divergence.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "evaluate/statistics.h"

namespace advisor {
namespace {

/// Rows of logits of each model that are held at once.
constexpr std::int64_t kRows = 64;

std::size_t top_of(std::span<const float> logits) {
  return static_cast<std::size_t>(std::ranges::max_element(logits) - logits.begin());
}

/// Smallest value that at least this share of the sorted values does not exceed.
double quantile(const std::vector<double>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

}  // namespace

TokenComparison compare_token(std::span<const float> logits, std::span<const float> baseline, std::int32_t target) {
  const std::size_t ours = top_of(logits), theirs = top_of(baseline);
  const double q_most = double{logits[ours]}, p_most = double{baseline[theirs]};
  // In double: divergences of 8-bit weights are near 1e-5, what float32 sums over a vocabulary would be off by.
  double q_sum = 0, p_sum = 0, difference = 0;
  for (std::size_t i = 0; i < baseline.size(); ++i) {
    const double p = double{baseline[i]} - p_most, q = double{logits[i]} - q_most;
    const double weight = std::exp(p);
    q_sum += std::exp(q);
    p_sum += weight;
    difference += weight * (p - q);
  }
  TokenComparison out;
  const auto token = static_cast<std::size_t>(target);
  out.log_p = double{logits[token]} - q_most - std::log(q_sum);
  out.baseline_log_p = double{baseline[token]} - p_most - std::log(p_sum);
  out.same_top = ours == theirs;
  // Below 0 only by rounding. A NaN becomes 0 as well, but then log_p is none either.
  out.kl = std::max(0.0, difference / p_sum + std::log(q_sum) - std::log(p_sum));
  return out;
}

std::vector<TokenComparison> compare_window(const Decoder& decoder, const Decoder& baseline,
                                            std::span<const std::int32_t> ids) {
  std::vector<TokenComparison> out;
  if (ids.size() < 2) return out;
  const auto predicting = ids.first(ids.size() - 1);  // the last token is predicted, it predicts nothing
  const auto rows = static_cast<std::int64_t>(predicting.size());
  const Tensor x = decoder.last_hidden(predicting), reference = baseline.last_hidden(predicting);
  for (std::int64_t begin = 0; begin < rows; begin += kRows) {
    const std::int64_t end = std::min(begin + kRows, rows);
    const Tensor logits = decoder.logits(x, begin, end), expected = baseline.logits(reference, begin, end);
    for (std::int64_t r = begin; r < end; ++r)
      out.push_back(
          compare_token(logits.row(r - begin), expected.row(r - begin), ids[static_cast<std::size_t>(r + 1)]));
  }
  return out;
}

Divergence summarise_divergence(std::span<const std::vector<TokenComparison>> windows) {
  Divergence out;
  std::vector<double> all;
  std::vector<WindowLoss> sums;
  double squared_change = 0;
  for (const auto& window : windows) {
    WindowLoss& sum = sums.emplace_back();
    for (const TokenComparison& token : window) {
      sum.nll += token.kl;
      ++sum.tokens;
      all.push_back(token.kl);
      out.same_top += token.same_top ? 1 : 0;
      out.baseline_nll -= token.baseline_log_p;
      const double change = std::exp(token.log_p) - std::exp(token.baseline_log_p);
      squared_change += change * change;
    }
    out.mean += sum.nll;
  }
  const auto tokens = static_cast<double>(all.size());
  out.mean /= tokens;
  out.same_top /= tokens;
  out.rms_change = std::sqrt(squared_change / tokens);
  out.baseline_perplexity = std::exp(out.baseline_nll / tokens);
  const Interval interval = mean_nll_interval(sums);
  out.low = interval.low;
  out.high = interval.high;
  std::ranges::sort(all);
  out.median = quantile(all, 0.5);
  out.p99 = quantile(all, 0.99);
  out.maximum = all.back();
  return out;
}

void check_comparable(const Decoder& decoder, const Decoder& baseline) {
  const ModelConfig &ours = decoder.config(), &theirs = baseline.config();
  if (ours.vocab != theirs.vocab)
    throw Error(ErrorCode::invalid_argument,
                "models of different vocabularies cannot be compared token by token: \"" + ours.name + "\" has " +
                    std::to_string(ours.vocab) + " tokens, the baseline \"" + theirs.name + "\" has " +
                    std::to_string(theirs.vocab) + "; the baseline is the model before compression");
  if (theirs.max_context < ours.max_context)
    throw Error(ErrorCode::invalid_argument, "the baseline \"" + theirs.name + "\" has a context of " +
                                                 std::to_string(theirs.max_context) + " tokens, \"" + ours.name +
                                                 "\" one of " + std::to_string(ours.max_context) +
                                                 "; the baseline is the model before compression");
}

}  // namespace advisor
