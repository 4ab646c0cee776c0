#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "evaluate/divergence.h"
#include "evaluate/measure.h"
#include "evaluate/statistics.h"

namespace advisor {
namespace {

/// Longer windows cost attention quadratic in their length and are not what published figures use.
constexpr std::int64_t longest_window = 2048;

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

PerplexityResult measure_perplexity(const Measure& measure, const TextSet& set) {
  std::vector<std::int32_t> ids = measure.tokenizer.encode(set.text);
  auto bos = measure.tokenizer.bos();
  auto total = static_cast<std::int64_t>(ids.size());

  PerplexityResult result;
  result.name = set.name;
  result.window = std::min(measure.decoder.config().max_context, longest_window);
  std::int64_t step = result.window - (bos ? 1 : 0);
  if (step < 1 || total < (bos ? 1 : 2)) {
    throw Error(ErrorCode::invalid_argument, set.source + ": too short (or the model's context is) to score a token");
  }
  result.windows = ceil_div(total, step);
  if (!bos && total % step == 1) {
    --result.windows;  // a last window of one token has nothing to score
  }
  if (measure.limit > 0) {
    result.windows = std::min(result.windows, measure.limit);
  }

  std::vector<WindowLoss> losses(static_cast<std::size_t>(result.windows));
  std::vector<std::vector<TokenComparison>> comparisons(measure.baseline != nullptr ? losses.size() : 0);
  for_each_with_progress(measure, "perplexity " + set.name, result.windows, [&](std::int64_t w) {
    std::int64_t begin = w * step, end = std::min(begin + step, total);
    std::vector<std::int32_t> window(ids.begin() + begin, ids.begin() + end);
    if (bos) {
      window.insert(window.begin(), *bos);
    }
    WindowLoss& loss = losses[static_cast<std::size_t>(w)];
    if (measure.baseline != nullptr) {
      auto& comparison = comparisons[static_cast<std::size_t>(w)];
      comparison = compare_window(measure.decoder, *measure.baseline, window);
      for (const TokenComparison& token : comparison) {
        loss.nll -= token.log_p;
        ++loss.tokens;
      }
      return;
    }
    for (double p : measure.decoder.log_probabilities(window, 1)) {
      loss.nll -= p;
      ++loss.tokens;
    }
  });

  for (const WindowLoss& loss : losses) {
    result.nll += loss.nll;
    result.tokens += loss.tokens;
  }
  if (!std::isfinite(result.nll)) {
    throw Error(ErrorCode::parse_error, "the model \"" + measure.decoder.config().name + "\" gives no finite " +
                                            "probabilities on " + set.source + "; its weights hold NaN or infinity");
  }
  if (measure.baseline != nullptr) {
    result.divergence = summarise_divergence(comparisons);
    if (!std::isfinite(result.divergence->baseline_nll)) {
      throw Error(ErrorCode::parse_error,
                  "the baseline gives no finite probabilities on " + set.source + "; its weights hold NaN or infinity");
    }
  }
  double mean = result.nll / static_cast<double>(result.tokens);
  Interval interval = mean_nll_interval(losses);
  result.value = std::exp(mean);
  result.low = std::exp(interval.low);
  result.high = std::exp(interval.high);
  // The bytes that the scored windows cover, which is the whole text unless there is a limit.
  std::vector<std::int32_t> covered(ids.begin(), ids.begin() + std::min(result.windows * step, total));
  auto bytes = static_cast<double>(measure.tokenizer.decode(covered).size());
  result.bits_per_byte = result.nll / std::numbers::ln2 / bytes;
  return result;
}

}  // namespace advisor
