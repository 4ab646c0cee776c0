#include "recommend/treatments.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "core/error.h"
#include "estimate/kv_cache.h"
#include "recommend/backend.h"

namespace advisor {

namespace {

const std::string compressed_tensors = "compressed-tensors";
using Engines = std::vector<std::string>;
const Engines loads_folders{"vllm", "sglang", "transformers"}, serves_folders{"vllm", "sglang"};

/// One entry of the table below: what is stored, and who runs it.
struct Form {
  const char *technique, *scheme;
  std::string format;
  Engines engines;
  double sparsity = 0;
  const char* pattern = "";
};

std::vector<Form> quantized_forms() {
  const std::string modelopt = "modelopt", gguf = "gguf";
  const Engines tensorrt{"tensorrt-llm"}, llama{"llama.cpp"};
  return {{"rtn", "W8A16-channel", compressed_tensors, loads_folders},
          {"rtn", "W4A16-g128", compressed_tensors, loads_folders},
          {"rtn", "W4A16-g32", compressed_tensors, loads_folders},
          {"gptq", "W4A16-g128", compressed_tensors, loads_folders},
          {"awq", "W4A16-g128", compressed_tensors, loads_folders},
          {"autoround", "W4A16-g128", compressed_tensors, loads_folders},
          {"fp8", "W8A8-fp8", compressed_tensors, serves_folders},
          {"smoothquant", "W8A8-int8", compressed_tensors, serves_folders},
          {"nvfp4", "W4A4-nvfp4", compressed_tensors, serves_folders},
          {"fp8", "W8A8-fp8", modelopt, tensorrt},
          {"smoothquant", "W8A8-int8", modelopt, tensorrt},
          {"awq", "W4A16-g128", modelopt, tensorrt},
          {"nvfp4", "W4A4-nvfp4", modelopt, tensorrt},
          {"rtn", "Q8_0", gguf, llama},
          {"gguf-k", "Q6_K", gguf, llama},
          {"gguf-k", "Q5_K_M", gguf, llama},
          {"gguf-k", "Q4_K_M", gguf, llama},
          {"rtn", "Q4_1", gguf, llama},
          {"rtn", "Q4_0", gguf, llama},
          {"gguf-k", "Q3_K_M", gguf, llama}};
}

std::vector<Form> pruned_forms() {
  return {{"sparsegpt", "W16A16", compressed_tensors, loads_folders, 0.5, "2:4"},
          {"shortgpt", "W16A16", "safetensors", loads_folders, 0.25, "structured-depth"}};
}

TreatmentChoice choice_of(const Form& form, const std::string& engine) {
  TreatmentChoice choice;
  choice.variant.technique = form.technique;
  choice.variant.scheme = form.scheme;
  choice.variant.format = form.format;
  choice.variant.sparsity = form.sparsity;
  choice.variant.pattern = form.pattern;
  choice.variant.engine = engine;
  const bool pruned = form.sparsity > 0;
  const bool sparse = std::string(form.pattern) == "2:4";
  choice.steps = {{sparse   ? "sparsify"
                   : pruned ? "prune"
                            : "quantize",
                   form.technique, other_tool(form.technique, pruned && !sparse ? "ShortGPT" : "", form.format),
                   recipe_for(choice.variant)}};
  choice.parts = {choice.variant};
  return choice;
}

/// Prune, then quantize what is left to four bits: fewer weights, and fewer bits for each (Frantar and Alistarh,
/// SparseGPT, 2023, section 4: in this order). What each does to quality is multiplied.
TreatmentChoice pruned_and_quantized(const Form& form, const std::string& engine) {
  auto choice = choice_of(form, engine);
  Variant quantized;
  quantized.technique = "gptq";
  quantized.scheme = "W4A16-g128";
  quantized.format = compressed_tensors;
  quantized.engine = engine;
  // The backend's codes of a weight that is 0 need not be 0: a 2:4 pattern would be lost.
  const bool pattern_stays = choice.variant.pattern != "2:4";
  choice.steps.push_back({"quantize", "gptq", other_tool("gptq", "", compressed_tensors),
                          pattern_stays ? recipe_for(quantized) : std::nullopt});
  choice.parts.push_back(quantized);
  choice.variant.technique = "joint";
  choice.variant.scheme = quantized.scheme;
  choice.variant.format = quantized.format;
  return choice;
}

/// Layers between four and eight bits so that the budget is just used: the backend ranks them by sensitivity. The part
/// of eight bits is counted as rounding, than which GPTQ does no worse.
TreatmentChoice mixed_precision(const std::string& engine) {
  auto choice = choice_of({"gptq", "W4A16-g128", compressed_tensors, loads_folders}, engine);
  Variant upper = choice.variant;
  upper.technique = "rtn", upper.scheme = "W8A16-channel";
  choice.parts = {choice.variant, upper};
  choice.variant.technique = "mixed";
  choice.upper = upper.scheme;
  choice.steps = {{"quantize", "mixed", other_tool("mixed", "", compressed_tensors),
                   mixed_recipe(choice.variant, choice.upper, bits_per_weight(choice.upper))}};
  return choice;
}

/// Low-precision caches that engines offer as a setting: `--kv-cache-dtype fp8`, `kv_cache_config.dtype`,
/// `--cache-type-k q8_0 --cache-type-v q8_0`.
std::string small_cache(const std::string& engine) {
  if (engine == "vllm" || engine == "sglang" || engine == "tensorrt-llm") return "fp8";
  return engine == "llama.cpp" ? "q8_0" : "";
}

void add_small_caches(std::vector<TreatmentChoice>& all) {
  const auto whole = all;
  for (auto choice : whole) {
    const auto kv = small_cache(choice.variant.engine);
    if (kv.empty()) continue;
    set_cache(choice, kv);
    all.push_back(std::move(choice));
  }
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t at = 0; at <= text.size();) {
    const auto end = std::min(text.find(';', at), text.size());
    items.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return items;
}

std::string upper_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// The forms in which somebody published retrained checkpoints, as far as their schemes can be read.
std::vector<TreatmentChoice> retrained_forms(const Knowledge& knowledge) {
  std::set<std::pair<std::string, std::string>> forms;  // format, scheme
  for (const auto& row : knowledge.published)
    if (row.technique == "qat")
      for (const auto& scheme : split(row.scheme)) forms.emplace(row.format, scheme);
  std::vector<TreatmentChoice> all;
  for (const auto& [format, scheme] : forms) {
    try {
      describe_scheme(scheme);
    } catch (const Error&) {  // a type of a fork (UD-Q4_K_XL), or no statement
      continue;
    }
    const bool gguf = format == "gguf";
    if (!gguf && format != compressed_tensors) continue;
    for (const auto& engine : gguf ? Engines{"llama.cpp"} : loads_folders) {
      TreatmentChoice choice;
      choice.origin = Origin::found;
      choice.variant.technique = "qat";
      choice.variant.scheme = scheme;
      choice.variant.format = format;
      choice.variant.engine = engine;
      choice.parts = {choice.variant};
      all.push_back(std::move(choice));
    }
  }
  return all;
}

/// "W4A16" of a row covers "W4A16-g128"; "NVFP4" means W4A4-nvfp4.
bool same_scheme(const std::string& published, const std::string& scheme) {
  if (published.empty()) return false;
  if (published == "NVFP4") return scheme == "W4A4-nvfp4";
  return scheme.starts_with(published) || published.starts_with(scheme);
}

}  // namespace

TreatmentChoice as_published(const std::string& engine, Native native) {
  TreatmentChoice choice;
  choice.origin = Origin::as_published;
  choice.native = native;
  choice.variant.engine = engine;
  choice.variant.scheme = native == Native::fp8 ? "W8A8-fp8" : native == Native::mxfp4 ? "W4A16-mxfp4" : "W16A16";
  if (engine != "llama.cpp") return choice;
  choice.variant.format = "gguf";
  choice.variant.scheme = native == Native::mxfp4 ? "MXFP4" : "F16";
  choice.steps = {{"convert", "none", other_tool("none", "", "gguf"), recipe_for(choice.variant)}};
  return choice;
}

void set_cache(TreatmentChoice& choice, const std::string& kv) {
  choice.variant.kv = kv;
  if (choice.quantized_kv || kv_value_bytes(kv) >= 2) return;
  choice.quantized_kv = true;
  for (auto& step : choice.steps) {
    if (!step.recipe) continue;
    auto variant = choice.parts.empty() ? choice.variant : choice.parts.back();
    variant.kv = kv;
    step.recipe = choice.upper.empty() ? recipe_for(variant)
                                       : mixed_recipe(choice.variant, choice.upper, bits_per_weight(choice.upper));
  }
  choice.steps.push_back({"quantize_kv", "kv-quant", "", {}});
}

Native native_of(const Model& model) {
  if (model.native_dtype.starts_with("fp8")) return Native::fp8;
  return model.native_dtype.starts_with("mxfp4") ? Native::mxfp4 : Native::sixteen_bit;
}

const Recipe* TreatmentChoice::recipe() const {
  const std::size_t making = steps.size() - (quantized_kv ? 1 : 0);
  return making == 1 && steps.front().recipe ? &*steps.front().recipe : nullptr;
}

std::string TreatmentChoice::kind() const {
  if (!upper.empty() || parts.size() > 1) return "mixed";
  if (variant.sparsity > 0) return "pruning";
  return variant.technique == "none" ? "none" : "quantization";
}

std::vector<TreatmentChoice> all_treatments(const Knowledge& knowledge) {
  std::vector<TreatmentChoice> all;
  for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"})
    for (const auto native : {Native::sixteen_bit, Native::fp8, Native::mxfp4})
      all.push_back(as_published(engine, native));
  for (const auto& form : quantized_forms())
    for (const auto& engine : form.engines) all.push_back(choice_of(form, engine));
  for (const auto& form : pruned_forms()) {
    for (const auto& engine : form.engines) all.push_back(choice_of(form, engine));
    for (const auto& engine : serves_folders) all.push_back(pruned_and_quantized(form, engine));
  }
  for (const auto& engine : serves_folders) all.push_back(mixed_precision(engine));
  for (auto& choice : retrained_forms(knowledge)) all.push_back(std::move(choice));
  add_small_caches(all);
  return all;
}

std::vector<std::string> engines_to_try(const Profile& profile, const Device& device) {
  if (profile.engine != "any" && !profile.engine.empty()) return {profile.engine};
  const bool gpu = device.kind.find("gpu") != std::string::npos;
  const bool explicit_numbers = device.kind.empty();
  if (gpu && device.vendor == "NVIDIA") return {"vllm", "tensorrt-llm", "llama.cpp"};
  if (gpu || explicit_numbers) return {"vllm", "llama.cpp"};
  return {"llama.cpp"};
}

bool applies(const TreatmentChoice& choice, Native native) {
  if (choice.origin == Origin::as_published) return choice.native == native;
  if (choice.origin == Origin::found) return true;
  if (choice.variant.sparsity > 0) return native == Native::sixteen_bit;
  constexpr double worth_it = 0.2;  // bits per weight
  const double bits = native == Native::fp8 ? 8 : native == Native::mxfp4 ? 4.25 : 16;
  const auto& largest = choice.upper.empty() ? choice.variant.scheme : choice.upper;
  return bits_per_weight(largest) <= bits - worth_it;
}

bool holds(const PublishedCheckpoint& row, const TreatmentChoice& choice) {
  const auto& variant = choice.variant;
  if (choice.origin == Origin::as_published || choice.parts.size() != 1) return false;
  if ((row.technique == "qat") != (variant.technique == "qat")) return false;
  if (variant.format == "gguf") {
    if (row.format != "gguf") return false;
    const auto types = split(row.scheme);
    return std::any_of(types.begin(), types.end(),
                       [&](const std::string& type) { return upper_case(type) == variant.scheme; });
  }
  return row.format != "gguf" && row.technique == variant.technique && same_scheme(row.scheme, variant.scheme);
}

}  // namespace advisor
