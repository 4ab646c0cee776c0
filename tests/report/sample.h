// A recommendation with something of everything, for the tests of this folder.
#pragma once

#include "core/fields.h"
#include "core/recommendation.h"

namespace advisor {

inline Estimate sure(double mean, double spread, Basis basis = Basis::measured) {
  return {mean, spread, mean - 1.645 * spread, mean + 1.645 * spread, 0.9, basis, 3, {"some-source"}};
}

inline Option sample_option(int rank, const std::string& scheme) {
  Option option;
  option.rank = rank;
  option.action = "compress";
  option.variant = {"some/model-8B", "awq", scheme, 0, "", "fp16", "compressed-tensors", "vllm"};
  option.memory.total = 20e9, option.memory.weights = 15e9, option.memory.kv_cache = 4e9;
  option.memory.overhead = 1e9, option.memory.available = 24e9, option.memory.weights_sd = 1e8;
  option.memory.context = 4096, option.memory.concurrency = 2, option.memory.basis = "geometry";
  option.quality = QualityEstimate{"mmlu", sure(0.65, 0.01), sure(0.98, 0.01), 0.97};
  option.decode_tokens_per_second = sure(100, 5, Basis::modelled);
  option.ttft_seconds = sure(0.2, 0.02, Basis::modelled);
  option.usd_per_hour = sure(2, 0);
  option.usd_per_million_tokens = sure(11, 1, Basis::modelled);
  option.probabilities = {{"accuracy", 0.97}, {"memory", 1}};
  option.route.steps = {{"quantize", "compress it", "advisor compress m out", sure(0.5, 0.1), {}, 6e9},
                        {"serve", "run it with vllm", "", {}, {}, {}}};
  option.route.hours = sure(0.5, 0.1);
  option.route.peak_memory = 6e9;
  option.steps = {"compress it", "run it with vllm"};
  option.recipe = Recipe{{{"awq", scheme, {"Linear"}, {"lm_head"}, {}}}, {{"compressed-tensors", ""}}};
  option.launch_command = "vllm serve out";
  option.apply_command = "advisor apply r.json";
  option.verify_command = "advisor evaluate out";
  option.decided_by = "ahead of #2: quality";
  option.evidence = {{"measurement", "mmlu", "three measurements", {"some-source"}}};
  option.warnings = {"measure on your own data"};
  return option;
}

inline Recommendation sample() {
  Recommendation r;
  r.outcome = Outcome::recommended;
  r.verdict = Verdict::compress;
  set_field(r.profile, "model", "some/model-8B");
  set_field(r.profile, "workload.context", "4096");
  r.options = {sample_option(1, "W4A16-g128"), sample_option(2, "W8A8-fp8")};
  r.dominated = {{r.options[0].variant.id(), {"x", "y"}}};
  r.rejections = {{"keep", "some/model-8B", "W16A16", "vllm", "safetensors", "memory", "", "needs 40 GiB", {}, 1},
                  {"switch", "a/b", "", "", "", "licence", "licence-not-listed", "is under x", {}, 1},
                  {"switch", "c/d", "", "", "", "licence", "licence-not-listed", "is under y", {}, 1}};
  r.counterfactuals = {
      {"hardware.memory", "24 GiB", "40 GiB", "keep", "some/model-8B|none", "with 16 GiB more memory"}};
  r.gaps = {{"speed of a/b", "a measurement"}};
  r.measure = {{"some/model-8B", "awq", "W3A16-g128", "mmlu", 0.4, "it may be good enough", ""}};
  r.defaults = {{"confidence", "0.9"}};
  r.knowledge_digest = "0123456789abcdef";
  r.models_considered = 3, r.variants_considered = 77, r.variants_feasible = 4;
  return r;
}

}  // namespace advisor
