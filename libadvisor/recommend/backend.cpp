#include "recommend/backend.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/error.h"
#include "core/gguf_mix.h"

namespace advisor {

namespace {

using std::string_view;

template <std::size_t n>
bool among(const std::array<string_view, n>& words, string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<string_view, 4> own_techniques{"rtn", "gptq", "awq", "smoothquant"};
constexpr std::array<string_view, 5> number_formats{"fp8", "int8", "nvfp4", "mxfp4", "nf4"};
constexpr std::array<string_view, 5> gguf_techniques{"rtn", "gguf", "gguf-legacy", "gguf-k", "gguf-i"};

/// As the catalog calls them, and as config.json does.
constexpr std::array<std::pair<string_view, string_view>, 9> architectures{{{"llama", "LlamaForCausalLM"},
                                                                            {"mistral", "MistralForCausalLM"},
                                                                            {"mixtral", "MixtralForCausalLM"},
                                                                            {"qwen2", "Qwen2ForCausalLM"},
                                                                            {"qwen3", "Qwen3ForCausalLM"},
                                                                            {"qwen3_moe", "Qwen3MoeForCausalLM"},
                                                                            {"gemma2", "Gemma2ForCausalLM"},
                                                                            {"gemma3", "Gemma3ForCausalLM"},
                                                                            {"phi3", "Phi3ForCausalLM"}}};

/// Files of these mixes can be written; of the other I-quants and the ternary types only reading is implemented.
bool writes_gguf(const std::string& type) {
  const auto mix = gguf_mix_named(type);
  if (!mix) return false;
  switch (gguf_base_type(*mix)) {
    case GgufType::iq1_s:
    case GgufType::iq1_m:
    case GgufType::iq2_xxs:
    case GgufType::iq2_xs:
    case GgufType::iq2_s:
    case GgufType::iq3_xxs:
    case GgufType::iq3_s: return false;
    default: return true;
  }
}

std::optional<Recipe> gguf_recipe(const Variant& variant, const SchemeInfo& scheme) {
  const bool dense = scheme.weight_bits >= 16;
  const bool fits = dense ? variant.technique == "none" : among(gguf_techniques, variant.technique);
  if (scheme.grid != "gguf" || !fits || !writes_gguf(variant.scheme)) return std::nullopt;
  RecipeStep step;
  step.technique = "none";  // the file rounds in its own blocks
  return Recipe{{step}, {{"gguf", variant.scheme}}};
}

bool is_integer(const SchemeInfo& scheme) { return scheme.grid.empty() || scheme.grid == "int8"; }

/// What the backend's codes can express.
bool has_codes(const SchemeInfo& scheme) {
  const double weight = scheme.weight_bits, activation = scheme.activation_bits;
  if (is_integer(scheme)) return weight >= 2 && weight <= 8 && (activation == 16 || (activation == 8 && weight == 8));
  if (scheme.grid == "fp8") return weight == 8 && (activation == 8 || activation == 16);
  if (scheme.grid == "nf4") return weight == 4 && activation == 16;
  return (scheme.grid == "nvfp4" || scheme.grid == "mxfp4") && (activation == 4 || activation == 16);
}

/// Which of them a format can hold. `id`: as it is stored.
bool holds(const std::string& format, const SchemeInfo& scheme, string_view id) {
  const bool whole_inputs = scheme.activation_bits == 16;
  if (format == "compressed-tensors") return scheme.grid != "nf4";
  if (format == "gptq") {
    constexpr std::array<double, 4> widths{2, 3, 4, 8};
    return is_integer(scheme) && whole_inputs &&
           std::find(widths.begin(), widths.end(), scheme.weight_bits) != widths.end();
  }
  if (format == "autoawq") return is_integer(scheme) && whole_inputs && scheme.weight_bits == 4;
  if (format != "modelopt") return false;
  if (is_integer(scheme)) return whole_inputs && scheme.weight_bits == 4 && scheme.group > 0 && scheme.symmetric;
  return scheme.grid == "nvfp4" || id == "W8A8-fp8-channel" || id == "W8A8-fp8-tensor-static";
}

/// TensorRT-LLM runs FP8 with a scale per tensor on all hardware that has FP8, with one per row on Hopper only
/// (data/engine_support.csv). A scale per tensor of the inputs is measured beforehand.
std::string stored_scheme(const Variant& variant) {
  return variant.format == "modelopt" && variant.scheme == "W8A8-fp8" ? "W8A8-fp8-tensor-static" : variant.scheme;
}

}  // namespace

std::optional<Recipe> recipe_for(const Variant& variant) {
  if (variant.sparsity > 0) return std::nullopt;
  const auto scheme = describe_scheme(variant.scheme);
  if (variant.format == "gguf") return gguf_recipe(variant, scheme);
  RecipeStep step;
  step.scheme = stored_scheme(variant);
  if (scheme.weight_bits >= 16 || !has_codes(scheme) || !holds(variant.format, scheme, step.scheme))
    return std::nullopt;
  if (among(own_techniques, variant.technique)) {
    step.technique = variant.technique;
  } else if (among(number_formats, variant.technique)) {
    if (variant.technique == "int8" ? !is_integer(scheme) || scheme.weight_bits != 8 : scheme.grid != variant.technique)
      return std::nullopt;
    step.technique = "rtn";
  } else {
    return std::nullopt;
  }
  Recipe recipe{{step}, {{variant.format, ""}}};
  const bool holds_cache_scales = variant.format == "compressed-tensors" || variant.format == "modelopt";
  if (variant.kv == "fp8" && holds_cache_scales && needs_calibration(recipe)) recipe.kv_cache = "fp8";
  return recipe;
}

Recipe mixed_recipe(const Variant& variant, const std::string& upper, double bits_per_weight) {
  RecipeStep step;
  step.technique = "gptq";
  step.scheme = variant.scheme;
  Recipe recipe{{step}, {{variant.format, ""}}};
  recipe.budget = RecipeBudget{bits_per_weight, 0, {variant.scheme, upper}};
  if (variant.kv == "fp8") recipe.kv_cache = "fp8";
  return recipe;
}

bool needs_calibration(const Recipe& recipe) {
  if (recipe.budget || !recipe.kv_cache.empty()) return true;
  // What is known of I-quants was measured with an importance matrix.
  if (recipe.formats.front().type.starts_with("IQ")) return true;
  return std::any_of(recipe.steps.begin(), recipe.steps.end(), [](const RecipeStep& step) {
    if (step.technique == "none") return false;
    if (step.technique != "rtn") return true;
    const auto scheme = describe_scheme(step.scheme);
    // A scale of the inputs is stored: FP8 with static activations, the outer scale of NVFP4's.
    return step.scheme.ends_with("-static") || (scheme.grid == "nvfp4" && scheme.activation_bits < 16);
  });
}

const TechniqueWork& own_work(const Recipe& recipe) {
  const auto& step = recipe.steps.front();
  const auto& type = recipe.formats.front().type;
  std::string technique = step.technique;
  if (recipe.budget) {
    technique = "mixed";
  } else if (recipe.formats.front().id == "gguf" && bits_per_weight(type) < 16) {
    technique = type.starts_with("IQ") ? "gguf-i" : type.find("_K") != std::string::npos ? "gguf-k" : "gguf-legacy";
  } else if (technique == "rtn" && needs_calibration(recipe)) {
    technique = "smoothquant";  // the same work: the largest inputs are observed, then weights are rounded
  }
  const auto* work = technique_work(technique, true);
  if (work == nullptr || !work->own) throw Error(ErrorCode::internal, "own_work: no work of " + technique);
  return *work;
}

std::string_view backend_architecture(string_view architecture) {
  for (const auto& [type, own] : architectures)
    if (architecture == type || architecture == own) return own;
  return {};
}

bool backend_runs(const Model& model) {
  const auto text_only = [](const std::vector<std::string>& modalities) {
    return std::all_of(modalities.begin(), modalities.end(), [](const std::string& one) { return one == "text"; });
  };
  return !backend_architecture(model.architecture).empty() && text_only(model.modalities_in) &&
         text_only(model.modalities_out) && !model.native_dtype.starts_with("fp8") &&
         !model.native_dtype.starts_with("mxfp4");
}

std::string other_tool(const std::string& technique, const std::string& title, const std::string& format) {
  constexpr std::array<string_view, 11> compressor{"gptq", "awq",   "fp8",       "int8",  "smoothquant", "nvfp4",
                                                   "rtn",  "mxfp4", "sparsegpt", "wanda", "magnitude"};
  if (format == "modelopt") return "NVIDIA Model Optimizer";
  if (technique.starts_with("gguf") || (format == "gguf" && technique == "rtn")) return "llama-quantize";
  if (technique == "none") return "convert_hf_to_gguf.py of llama.cpp";
  if (technique == "autoround") return "AutoRound";
  if (technique == "mixed") return "a mixed-precision solver";
  if (among(compressor, technique)) return "llm-compressor";
  return "the published code of " + (title.empty() ? technique : title);
}

}  // namespace advisor
