#include <nlohmann/json.hpp>

#include "evaluate/evaluate.h"

namespace advisor {
namespace {

using nlohmann::ordered_json;

/// NaN (the interval of a single window) becomes null: unknown stays unknown.
ordered_json to_object(const Divergence& result) {
  return {{"mean", result.mean},
          {"low", result.low},
          {"high", result.high},
          {"median", result.median},
          {"p99", result.p99},
          {"maximum", result.maximum},
          {"same_top", result.same_top},
          {"rms_change", result.rms_change},
          {"baseline_perplexity", result.baseline_perplexity}};
}

ordered_json to_object(const PerplexityResult& result) {
  ordered_json divergence = result.divergence ? to_object(*result.divergence) : ordered_json();
  return {{"name", result.name},     {"value", result.value},   {"low", result.low},
          {"high", result.high},     {"tokens", result.tokens}, {"windows", result.windows},
          {"window", result.window}, {"nll", result.nll},       {"bits_per_byte", result.bits_per_byte},
          {"divergence", divergence}};
}

ordered_json to_object(const ChoiceResult& result) {
  ordered_json families = ordered_json::array();
  for (const FamilyScore& score : result.families) {
    families.push_back({{"family", score.family},
                        {"n", score.n},
                        {"correct", score.correct},
                        {"accuracy", score.accuracy},
                        {"low", score.low},
                        {"high", score.high}});
  }
  return {{"name", result.name},       {"family", result.family},     {"n", result.n},
          {"correct", result.correct}, {"accuracy", result.accuracy}, {"low", result.low},
          {"high", result.high},       {"chance", result.chance},     {"families", families}};
}

}  // namespace

std::string to_json(const EvaluationReport& report) {
  ordered_json texts = ordered_json::array(), choices = ordered_json::array();
  for (const PerplexityResult& result : report.perplexity) {
    texts.push_back(to_object(result));
  }
  for (const ChoiceResult& result : report.choices) {
    choices.push_back(to_object(result));
  }
  ordered_json root = {{"schema", "advisor.evaluation/1"},
                       {"model", report.model},
                       {"format", report.format},
                       {"version", report.version},
                       {"weight_bytes", report.weight_bytes},
                       {"perplexity", texts.empty() ? ordered_json() : texts[0]},
                       {"texts", texts},
                       {"choices", choices},
                       {"divergence", texts.empty() ? ordered_json() : texts[0]["divergence"]},
                       {"seconds", report.seconds}};
  // Names come from files: bytes that are not UTF-8 must not make a report impossible.
  return root.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace advisor
