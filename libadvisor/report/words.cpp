#include "report/words.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "core/units.h"

namespace advisor::words {

namespace {

std::string printed(double value, const char* format) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace

std::string bytes(double value) { return format_quantity(value, Dimension::bytes); }

std::string number(double value) {
  if (!std::isfinite(value)) return "unknown";
  const double size = std::abs(value);
  return size >= 1000 && size < 1e9 ? printed(value, "%.0f") : printed(value, "%.3g");
}

std::string percent(double value) { return printed(100 * value, "%.1f") + " %"; }

std::string interval(const Estimate& estimate, const std::string& unit, double factor) {
  std::string text = number(factor * estimate.mean);
  if (estimate.sd > 0) text += " (" + number(factor * estimate.low) + " to " + number(factor * estimate.high) + ")";
  return text + (unit.empty() ? "" : " " + unit);
}

std::string seconds(const Estimate& estimate) {
  if (estimate.mean >= 600) return interval(estimate, "min", 1.0 / 60);
  return estimate.mean >= 1 ? interval(estimate, "s") : interval(estimate, "ms", 1000);
}

std::string hours(const Estimate& estimate) {
  if (estimate.mean >= 1) return interval(estimate, "h");
  if (estimate.mean * 60 >= 1) return interval(estimate, "min", 60);
  return interval(estimate, "s", 3600);
}

std::string what(const Variant& variant) {
  std::string text = variant.technique == "none" ? variant.scheme : variant.technique + " " + variant.scheme;
  if (variant.sparsity > 0) text += " " + percent(variant.sparsity) + " " + variant.pattern;
  if (variant.kv != "fp16") text += ", KV cache " + variant.kv;
  return text;
}

bool predicted(const Option& option) {
  return std::any_of(option.evidence.begin(), option.evidence.end(),
                     [](const Evidence& evidence) { return evidence.kind == "prediction"; });
}

std::string keeps(const Option& option) {
  if (!option.quality) return "unknown";
  const auto& kept = option.quality->retention;
  if (!kept || kept->sd <= 0) return "unchanged";
  const auto tenth = [](double value) { return printed(100 * value, "%.1f"); };
  return "keeps " + tenth(kept->mean) + " % (" + tenth(kept->low) + " to " + tenth(kept->high) + ")";
}

std::string quality(const Option& option, bool with_score) {
  std::string text = keeps(option);
  if (!with_score || !option.quality || !std::isfinite(option.quality->value.mean)) return text;
  const auto& value = option.quality->value;
  text += ", " + option.quality->task + (predicted(option) ? " predicted " : " ") + percent(value.mean);
  if (value.sd > 0) text += " (" + percent(value.low) + " to " + percent(value.high) + ")";
  return text;
}

std::string speed(const Option& option) {
  if (!option.decode_tokens_per_second) return "unknown";
  std::string text = interval(*option.decode_tokens_per_second, "tok/s");
  if (option.ttft_seconds) text += ", first token after " + seconds(*option.ttft_seconds);
  if (option.tpot_seconds) text += ", then one each " + seconds(*option.tpot_seconds);
  return text;
}

std::string effort(const PlanRoute& route) {
  std::string text;
  if (route.hours && route.hours->mean > 0) text = hours(*route.hours);
  if (route.peak_memory && *route.peak_memory > 0)
    text += (text.empty() ? "" : ", ") + bytes(*route.peak_memory) + " of memory at most";
  if (route.usd && *route.usd > 0) text += (text.empty() ? "" : ", ") + number(*route.usd) + " USD";
  return text;
}

}  // namespace advisor::words
