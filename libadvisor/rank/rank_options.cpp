// The interface of the first version (rank.h, below the line), until recommend/judge and recommend/decide are replaced.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "rank/rank.h"

namespace advisor {

namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();  // sorts last

double per_stream_latency(const Option& option) {
  const auto& decode = option.decode_tokens_per_second;
  if (!decode || decode->mean <= 0) return unknown;
  return static_cast<double>(std::max<std::int64_t>(1, option.memory.concurrency)) / decode->mean;
}

double cost_of(const Option& option) {
  return option.usd_per_million_tokens ? option.usd_per_million_tokens->mean : unknown;
}

double value_of(const Judged& judged, const std::string& objective) {
  if (objective == "quality") return judged.quality;
  return objective == "cost" ? cost_of(judged.option) : per_stream_latency(judged.option);
}

/// Smaller is better; equal within the step of the objective.
double key_of(const Judged& judged, const std::string& objective) {
  const double value = value_of(judged, objective);
  if (objective == "quality") return -std::round(value * 1000);
  return std::isfinite(value) && value > 0 ? std::round(std::log(value) * 100) : unknown;
}

int changes(const Option& option) {
  if (option.action == "keep") return 0;
  if (option.action == "compress") return 1;
  return option.action == "switch" ? 2 : 3;
}

std::string shown(double value, const std::string& objective) {
  char text[64];
  if (!std::isfinite(value)) return "unknown";
  if (objective == "quality") {
    std::snprintf(text, sizeof text, "%.1f %% of the model in use", 100 * value);
  } else if (objective == "cost") {
    std::snprintf(text, sizeof text, "%.3g USD per million tokens", value);
  } else {
    std::snprintf(text, sizeof text, "%.3g ms per token", 1000 * value);
  }
  return text;
}

/// The first objective in which the two differ, in words.
std::string comparison(const Judged& a, const Judged& b, const std::vector<std::string>& priority) {
  std::string equal;
  for (const auto& objective : priority) {
    if (key_of(a, objective) != key_of(b, objective)) {
      const std::string what = objective == "quality" ? "quality at least " : objective + " ";
      return "ahead of #" + std::to_string(b.option.rank) + ": " + what + shown(value_of(a, objective), objective) +
             " against " + shown(value_of(b, objective), objective) + (equal.empty() ? "" : " at equal " + equal);
    }
    equal += (equal.empty() ? "" : " and ") + objective;
  }
  if (changes(a.option) != changes(b.option))
    return "ahead of #" + std::to_string(b.option.rank) + ": fewer changes at equal " + equal;
  return "ahead of #" + std::to_string(b.option.rank) + " by name only: equal " + equal;
}

}  // namespace

std::vector<FailedLimit> failed_limits(const Chances& chances, double confidence) {
  std::vector<FailedLimit> failed;
  const std::pair<const char*, const std::optional<double>&> limits[] = {{"memory", chances.memory},
                                                                         {"accuracy", chances.accuracy},
                                                                         {"ttft", chances.ttft},
                                                                         {"tpot", chances.tpot},
                                                                         {"budget", chances.budget}};
  for (const auto& [limit, probability] : limits)
    if (probability && !(*probability >= confidence)) failed.push_back({limit, *probability});
  return failed;
}

void rank_options(std::vector<Judged>& options, const std::vector<std::string>& priority) {
  std::sort(options.begin(), options.end(), [&](const Judged& a, const Judged& b) {
    for (const auto& objective : priority) {
      const double left = key_of(a, objective), right = key_of(b, objective);
      if (left != right) return left < right;
    }
    if (changes(a.option) != changes(b.option)) return changes(a.option) < changes(b.option);
    return a.option.variant.id() < b.option.variant.id();
  });
  for (std::size_t i = 0; i < options.size(); ++i) options[i].option.rank = static_cast<int>(i) + 1;
  for (std::size_t i = 0; i < options.size(); ++i)
    options[i].option.decided_by =
        i + 1 < options.size()
            ? comparison(options[i], options[i + 1], priority)
            : (options.size() == 1 ? "the only option that meets every limit" : "last of those that meet every limit");
}

}  // namespace advisor
