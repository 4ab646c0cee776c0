// A catalog of three models on one card with a few measurements of each kind.
#pragma once

#include <string>
#include <vector>

#include "core/knowledge.h"
#include "estimate/fixture.h"

namespace advisor {

inline RuleSource forbid(const char* id, const char* code, const char* when, const char* because) {
  RuleSource rule;
  rule.id = id, rule.kind = "forbid", rule.applies_to = "variant", rule.code = code, rule.when = when;
  rule.because = because, rule.sources = {"test"};
  return rule;
}

inline QualityMeasurement measured(const char* source, const char* technique, const char* scheme, double bits,
                                   double kept) {
  QualityMeasurement r;
  r.source = source, r.model = "other/7B", r.params = 7e9, r.technique = technique, r.scheme = scheme;
  r.weight_bits = bits, r.activation_bits = 16, r.group_size = bits == 4 ? 128 : -1;
  r.task = "mmlu", r.family = "knowledge", r.metric = "acc", r.metric_kind = "proportion";
  r.baseline = 0.65, r.value = 0.25 + kept * 0.40;
  return r;
}

/// One stream of the 8B model on an A100, 16 bits: about what vLLM reaches there.
inline SpeedMeasurement decoded(const char* source, double tokens_per_second) {
  SpeedMeasurement r;
  r.source = source, r.model = "meta-llama/Llama-3.1-8B-Instruct", r.params = 8.0e9;
  r.format = "BF16", r.weight_bits = 16, r.engine = "vllm", r.hardware = "a100";
  r.input_tokens = 1024, r.output_tokens = 256, r.concurrency = 1, r.load = "1";
  r.metric = "decode_tok_s", r.value = tokens_per_second;
  return r;
}

inline Knowledge small_knowledge() {
  Knowledge k;
  k.models = {llama_8b(), llama_70b()};
  auto vision = llama("vision/11B", 8.0e9, 32, 4096, 14336, 32);
  vision.modalities_in = {"text", "image"};
  vision.licence = "other";
  k.models.push_back(vision);
  k.devices = {a100().device};
  k.techniques = {{"none", "", "none", false, false, ""}, {"rtn", "", "quantization", false, true, ""}};
  k.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true, ""},
             {"closed_book_qa", "type", "knowledge", {}, true, "mmlu"}};
  k.families = {{"general", "", ""}, {"knowledge", "", "general"}};
  for (const char* source : {"a", "b", "c", "d", "e"}) {
    k.quality.push_back(measured(source, "rtn", "W8A16-channel", 8, 0.998));
    k.quality.push_back(measured(source, "awq", "W4A16-g128", 4, 0.985));
    k.quality.push_back(measured(source, "rtn", "W4A16-g128", 4, 0.97));
  }
  k.speed = {decoded("f", 85), decoded("g", 92), decoded("h", 78)};
  const auto score = [](const Model& m, double value) {
    return Score{m.id, "mmlu", "knowledge", "acc", "5", "", "x", value, "url", "", "proportion"};
  };
  k.scores = {score(k.models[0], 0.69), score(k.models[1], 0.83), score(vision, 0.70)};
  k.prices = {{"p", "sku", "a100", 1, 2, "on-demand", "", "u", ""}};
  k.rules = {forbid("modality-in", "modality", "not (profile.modality.in in model.modalities_in)",
                    "{model.id} reads {model.modalities_in}."),
             forbid("licence-not-listed", "licence",
                    "profile.licence != [] and known(model.licence) and not (model.licence in profile.licence)",
                    "{model.id} is under {model.licence}."),
             forbid("memory-does-not-fit", "memory", "memory.total > memory.available", "Too much."),
             forbid("fp8-needs-hardware", "rule", "variant.activation_dtype == \"fp8\" and hardware.fp8_rate == 0",
                    "No FP8 on {hardware.name}.")};
  k.digest = "test";
  return k;
}

}  // namespace advisor
