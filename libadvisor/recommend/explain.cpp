#include "recommend/explain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <set>
#include <vector>

#include "core/units.h"

namespace advisor {

namespace {

constexpr std::size_t width = 108, shown_options = 6, shown_gaps = 6;

std::string bytes(double value) { return format_quantity(value, Dimension::bytes); }

std::string number(double value, const char* format) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

/// Breaks at spaces; following lines are indented by `indent`.
std::string wrap(const std::string& text, std::size_t indent) {
  std::string out;
  std::size_t column = 0, at = 0;
  while (at < text.size()) {
    auto end = text.find(' ', at);
    if (end == std::string::npos) end = text.size();
    const auto word = text.substr(at, end - at);
    if (column > indent && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ') + word;
      column = indent + word.size();
    } else {
      out += (at == 0 ? "" : " ") + word;
      column += word.size() + (at == 0 ? 0 : 1);
    }
    at = end + 1;
  }
  return out;
}

std::string headline(const Recommendation& r) {
  const auto& model = r.profile.model;
  if (r.outcome == Outcome::infeasible) return "INFEASIBLE: nothing meets every limit for " + model;
  if (r.outcome == Outcome::insufficient_evidence)
    return "NOT ENOUGH EVIDENCE: what fits cannot be judged against the limits for " + model;
  const auto& best = r.options.front();
  const auto state = best.variant.scheme + " (" + best.variant.format + ") on " + best.variant.engine;
  switch (*r.verdict) {
    case Verdict::keep: return "KEEP " + best.variant.model + " as it is: " + state;
    case Verdict::compress:
      return "COMPRESS " + best.variant.model + " with " + best.variant.technique + " to " + state;
    case Verdict::switch_model: return "SWITCH to " + best.variant.model + ": " + state;
    case Verdict::compress_and_switch:
      return "SWITCH to " + best.variant.model + " and COMPRESS it with " + best.variant.technique + " to " + state;
    case Verdict::portfolio: return "PORTFOLIO of several models";
  }
  return "";
}

/// The score of its uncompressed model is not measured but predicted.
bool is_predicted(const Option& option) {
  return std::any_of(option.evidence.begin(), option.evidence.end(),
                     [](const Evidence& evidence) { return evidence.kind == "prediction"; });
}

std::string quality_text(const Option& option) {
  if (!option.quality) return "unknown";
  const auto& quality = *option.quality;
  std::string text;
  if (quality.retention && quality.retention->sd > 0)
    text = "keeps " + number(100 * quality.retention->mean, "%.1f") + " % (" +
           number(100 * quality.retention->low, "%.1f") + " to " + number(100 * quality.retention->high, "%.1f") + ")";
  else
    text = "unchanged";
  if (std::isfinite(quality.value.mean)) {
    const auto percent = [](double value) { return number(100 * value, "%.1f"); };
    text += ", " + quality.task + " ";
    if (is_predicted(option))
      text += "predicted " + percent(quality.value.mean) + " % (" + percent(quality.value.low) + " to " +
              percent(quality.value.high) + ")";
    else
      text += percent(quality.value.mean) + " %";
  }
  return text;
}

std::string speed_text(const Option& option) {
  if (!option.decode_tokens_per_second) return "speed unknown";
  const auto& speed = *option.decode_tokens_per_second;
  return number(speed.mean, "%.3g") + " tok/s (" + number(speed.low, "%.3g") + " to " + number(speed.high, "%.3g") +
         ")";
}

void add_best(const Recommendation& r, std::string& out) {
  const auto& best = r.options.front();
  const auto line = [&](const std::string& label, const std::string& text) {
    out += "  " + label + std::string(11 - label.size(), ' ') + wrap(text, 13) + "\n";
  };
  line("memory", bytes(best.memory.total) + " of " + bytes(best.memory.available) + ": weights " +
                     bytes(best.memory.weights) + ", KV cache " + bytes(best.memory.kv_cache) + " (" +
                     std::to_string(best.memory.concurrency) + " x " + std::to_string(best.memory.context) +
                     " tokens), engine " + bytes(best.memory.overhead));
  std::string quality = quality_text(best);
  if (best.quality && best.quality->probability)
    quality += "; the limit is met with probability " + number(*best.quality->probability, "%.2f");
  line("quality", quality);
  for (const auto& evidence : best.evidence)
    if (evidence.kind == "measurement" || evidence.kind == "prediction") line("evidence", evidence.text);
  line("speed", speed_text(best));
  if (best.usd_per_million_tokens)
    line("cost", number(best.usd_per_million_tokens->mean, "%.3g") + " USD per million output tokens (" +
                     number(best.usd_per_hour->mean, "%.3g") + " USD per hour)");
  line("why", best.decided_by);
  for (const auto& warning : best.warnings) line("warning", warning);
  for (std::size_t i = 0; i < best.steps.size(); ++i) line("step " + std::to_string(i + 1), best.steps[i]);
}

std::string cell(const std::string& text, std::size_t size) {
  if (text.size() >= size) return text + " ";
  return text + std::string(size - text.size(), ' ');
}

void add_table(const Recommendation& r, std::string& out) {
  out += "\nOptions that meet every limit\n";
  for (const auto& option : r.options) {
    if (static_cast<std::size_t>(option.rank) > shown_options) break;
    out += "  " + cell(std::to_string(option.rank), 3) + cell(option.action, 9) +
           cell(option.variant.model + " " + option.variant.technique + " " + option.variant.scheme, 48) +
           cell(option.variant.engine, 10) + cell(bytes(option.memory.total), 10) + quality_text(option) + "\n";
  }
  if (r.options.size() > shown_options)
    out += "  ... and " + std::to_string(r.options.size() - shown_options) + " more\n";
}

std::string subject(const Rejection& rejection) {
  return rejection.action + " " + rejection.model + (rejection.scheme.empty() ? "" : " [" + rejection.scheme + "]") +
         (rejection.engine.empty() ? "" : " on " + rejection.engine);
}

/// The model in use line by line; models to switch to by cause, with the first of each as the example.
void add_rejections(const Recommendation& r, std::string& out) {
  out += "\nRejected\n";
  const auto add = [&](const std::string& code, const std::string& text) {
    out += "  " + wrap(cell(code, 9) + text, 11) + "\n";
  };
  std::map<std::string, std::vector<const Rejection*>> others;
  for (const auto& rejection : r.rejections) {
    if (rejection.action == "switch" || rejection.action == "compress_and_switch")
      others[rejection.code].push_back(&rejection);
    else
      add(rejection.code, subject(rejection) + ": " + rejection.because);
  }
  for (const auto& [code, rejections] : others) {
    std::set<std::string> models;
    for (const auto* rejection : rejections) models.insert(rejection->model);
    const auto& example = *rejections.front();
    const bool one = rejections.size() == 1;
    add(code, (one ? "" : std::to_string(models.size()) + " other models, for example ") + subject(example) + ": " +
                  example.because);
  }
}

}  // namespace

std::string explain(const Recommendation& r) {
  std::string out = headline(r) + "\n";
  if (!r.options.empty()) {
    add_best(r, out);
    add_table(r, out);
  }
  if (!r.counterfactuals.empty()) {
    out += "\nWhat would help\n";
    for (const auto& c : r.counterfactuals)
      out += "  " + c.field + " " + c.from + " -> " + c.to + ": " + c.then_verdict + "\n";
  }
  if (!r.rejections.empty()) add_rejections(r, out);
  if (!r.gaps.empty()) {
    out += "\nNot known\n";
    for (std::size_t i = 0; i < std::min(r.gaps.size(), shown_gaps); ++i)
      out += "  " + wrap(r.gaps[i].subject + ": needs " + r.gaps[i].needs, 4) + "\n";
    if (r.gaps.size() > shown_gaps) out += "  ... and " + std::to_string(r.gaps.size() - shown_gaps) + " more\n";
  }
  if (!r.defaults.empty()) {
    std::string list;
    for (const auto& [field, value] : r.defaults) list += (list.empty() ? "" : "; ") + field + " = " + value;
    out += "\nDefaults applied\n  " + wrap(list, 2) + "\n";
  }
  out += "\nKnowledge " + r.knowledge_digest.substr(0, 12) + ": " + std::to_string(r.knowledge_rules) + " rules, " +
         std::to_string(r.knowledge_measurements) + " measurements and scores";
  return out;
}

}  // namespace advisor
