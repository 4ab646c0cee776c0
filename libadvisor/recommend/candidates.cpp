#include "recommend/candidates.h"

#include <algorithm>
#include <tuple>

namespace advisor {

namespace {

const std::string compressed_tensors = "compressed-tensors";

SchemeChoice weights_only(const char* technique, const char* scheme, bool common, bool executable, const char* tool) {
  return {.technique = technique,
          .scheme = scheme,
          .format = compressed_tensors,
          .engines = {"vllm", "sglang", "transformers"},
          .pattern = {},
          .common = common,
          .gguf_type = {},
          .executable = executable,
          .tool = tool};
}

SchemeChoice weights_and_activations(const char* technique, const char* scheme, bool common) {
  return {.technique = technique,
          .scheme = scheme,
          .format = compressed_tensors,
          .engines = {"vllm", "sglang"},
          .pattern = {},
          .common = common,
          .gguf_type = {},
          .executable = false,
          .tool = "llm-compressor"};
}

SchemeChoice tensorrt(const char* technique, const char* scheme, bool common) {
  return {.technique = technique,
          .scheme = scheme,
          .format = "modelopt",
          .engines = {"tensorrt-llm"},
          .pattern = {},
          .common = common,
          .gguf_type = {},
          .executable = false,
          .tool = "NVIDIA Model Optimizer"};
}

SchemeChoice gguf(const char* technique, const char* type, bool common, bool executable) {
  return {.technique = technique,
          .scheme = type,
          .format = "gguf",
          .engines = {"llama.cpp"},
          .pattern = {},
          .common = common,
          .gguf_type = executable ? type : "",
          .executable = executable,
          .tool = executable ? "" : "llama-quantize"};
}

SchemeChoice pruned(const char* technique, const char* pattern, double sparsity, const char* tool) {
  return {.technique = technique,
          .scheme = "W16A16",
          .format = "safetensors",
          .engines = {"vllm", "sglang", "transformers"},
          .sparsity = sparsity,
          .pattern = pattern,
          .common = false,
          .gguf_type = {},
          .executable = false,
          .tool = tool};
}

std::vector<SchemeChoice> make_choices() {
  std::vector<SchemeChoice> all = {
      weights_only("rtn", "W8A16-channel", false, true, ""),
      weights_only("rtn", "W4A16-g128", false, true, ""),
      weights_only("rtn", "W4A16-g32", false, true, ""),
      weights_only("gptq", "W4A16-g128", false, false, "llm-compressor"),
      weights_only("awq", "W4A16-g128", true, false, "llm-compressor"),
      weights_only("autoround", "W4A16-g128", false, false, "AutoRound"),
      weights_and_activations("fp8", "W8A8-fp8", true),
      weights_and_activations("smoothquant", "W8A8-int8", false),
      weights_and_activations("nvfp4", "W4A4-nvfp4", false),
      tensorrt("fp8", "W8A8-fp8", true),
      tensorrt("smoothquant", "W8A8-int8", false),
      tensorrt("awq", "W4A16-g128", true),
      tensorrt("nvfp4", "W4A4-nvfp4", false),
      gguf("rtn", "Q8_0", true, true),
      gguf("gguf-k", "Q6_K", false, false),
      gguf("gguf-k", "Q5_K_M", false, false),
      gguf("gguf-k", "Q4_K_M", true, false),
      gguf("rtn", "Q4_1", false, true),
      gguf("rtn", "Q4_0", false, true),
      gguf("gguf-k", "Q3_K_M", false, false),
      pruned("sparsegpt", "2:4", 0.5, "llm-compressor"),
      pruned("shortgpt", "structured-depth", 0.25, "the published ShortGPT code"),
  };
  all[all.size() - 2].format = compressed_tensors;
  return all;
}

bool contains(const std::vector<std::string>& items, const std::string& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

/// What the publisher ships: 16 bits, or the native low-precision weights of models trained in them.
std::string native_scheme(const Model& model) {
  if (model.native_dtype.starts_with("fp8")) return "W8A8-fp8";
  return model.native_dtype.starts_with("mxfp4") ? "W4A16-mxfp4" : "W16A16";
}

bool is_16_bit(const Model& model) { return native_scheme(model) == "W16A16"; }

}  // namespace

const std::vector<SchemeChoice>& scheme_choices() {
  static const std::vector<SchemeChoice> choices = make_choices();
  return choices;
}

std::vector<std::string> engines_to_try(const Profile& profile, const Device& device) {
  if (profile.engine != "any" && !profile.engine.empty()) return {profile.engine};
  const bool gpu = device.kind.find("gpu") != std::string::npos;
  const bool unsaid = device.kind.empty();  // explicit numbers
  return gpu || unsaid ? std::vector<std::string>{"vllm", "llama.cpp"} : std::vector<std::string>{"llama.cpp"};
}

std::vector<Candidate> as_published(const Model& model, const std::string& action,
                                    const std::vector<std::string>& engines) {
  std::vector<Candidate> candidates;
  for (const auto& engine : engines) {
    Candidate candidate{action, &model, nullptr, {}};
    candidate.variant.model = model.id;
    candidate.variant.engine = engine;
    candidate.variant.scheme = native_scheme(model);
    if (engine == "llama.cpp") {
      candidate.variant.format = "gguf";
      candidate.variant.scheme = is_16_bit(model) ? "F16" : model.native_dtype.starts_with("mxfp4") ? "MXFP4" : "F16";
    }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

std::vector<Candidate> compressed(const Model& model, const std::string& action,
                                  const std::vector<std::string>& engines, bool common_only) {
  std::vector<Candidate> candidates;
  const double native_bits = bits_per_weight(native_scheme(model));
  for (const auto& choice : scheme_choices()) {
    if (common_only && !choice.common) continue;
    if (choice.sparsity > 0 && !is_16_bit(model)) continue;
    if (choice.sparsity == 0 && bits_per_weight(choice.scheme) > native_bits - 0.2) continue;
    for (const auto& engine : engines) {
      if (!contains(choice.engines, engine)) continue;
      Candidate candidate{action, &model, &choice, {}};
      candidate.variant = {.model = model.id,
                           .technique = choice.technique,
                           .scheme = choice.scheme,
                           .sparsity = choice.sparsity,
                           .pattern = choice.pattern,
                           .kv = "fp16",
                           .format = choice.format,
                           .engine = engine};
      candidates.push_back(std::move(candidate));
    }
  }
  return candidates;
}

const PublishedCheckpoint* find_published(const Knowledge& knowledge, const Variant& variant) {
  const auto names_scheme = [&](const PublishedCheckpoint& row) {
    if (variant.format == "gguf") {
      // A list of types: ";Q4_K_M;" as a whole word.
      return (";" + row.scheme + ";").find(";" + variant.scheme + ";") != std::string::npos;
    }
    return row.technique == variant.technique && !row.scheme.empty() &&
           (variant.scheme.starts_with(row.scheme) || row.scheme.starts_with(variant.scheme));
  };
  const PublishedCheckpoint* best = nullptr;
  const auto rank = [](const PublishedCheckpoint& row) { return std::tuple(!row.official, row.checkpoint); };
  for (const auto& row : knowledge.published) {
    if (row.model != variant.model || (row.format == "gguf") != (variant.format == "gguf") || !names_scheme(row))
      continue;
    if (best == nullptr || rank(row) < rank(*best)) best = &row;
  }
  return best;
}

}  // namespace advisor
