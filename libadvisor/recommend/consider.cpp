#include "recommend/consider.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>

#include "core/document.h"
#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"
#include "estimate/kv_cache.h"
#include "recommend/backend.h"

namespace advisor {

namespace {

constexpr std::array<std::string_view, 4> retrained{"qat", "minitron", "sheared", "distill"};
constexpr std::array<std::string_view, 3> by_depth{"shortgpt", "depth", "sheared"};
constexpr std::array<std::string_view, 5> by_width{"slicegpt", "llm-pruner", "flap", "minitron", "other-compression"};

template <std::size_t n>
bool among(const std::array<std::string_view, n>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// One step of making `what`.
MakingStep step_of(const char* kind, const Technique& technique, const Variant& what, const std::string& format) {
  return {kind, technique.id, other_tool(technique.id, technique.title, format), recipe_for(what)};
}

/// One wish on its way to a treatment.
class Reader {
 public:
  Reader(const Toolbox& tools, const Profile& profile, const Hardware& hardware, const CatalogModel& current)
      : tools_(tools), profile_(profile), tried_(engines_to_try(profile, hardware.device)), current_(current) {}

  /// The treatment, or why there is none (Asked::refused).
  std::optional<AskedTreatment> read(const Wish& wish, Asked& asked) const {
    const auto& entry = model_of(wish);
    auto& variant = asked.variant;
    fill(wish, entry, variant);
    AskedTreatment result;
    result.model = variant.model;
    Variant plain = variant;
    plain.model.clear();
    if (const int known = find(plain, entry); known >= 0) {
      take(known, entry, result, asked);
    } else {
      result.choice = compose(plain, entry);
      // What prunes and quantizes may be one of the joint treatments under the name of its first half.
      if (const int joint = find(result.choice.variant, entry); joint >= 0) take(joint, entry, result, asked);
    }
    asked.refused = nonsense(result.choice, entry);
    if (!asked.refused.empty()) return std::nullopt;
    return result;
  }

 private:
  [[noreturn]] static void refuse(const std::string& why) { throw Error(ErrorCode::invalid_argument, why); }

  const CatalogModel& model_of(const Wish& wish) const {
    if (wish.model.empty() || wish.model == current_.model->id) return current_;
    const auto& models = tools_.catalog.models();
    if (const int index = tools_.catalog.find(wish.model); index >= 0) return models[static_cast<std::size_t>(index)];
    std::vector<std::string> ids;
    for (const auto& entry : models) ids.push_back(entry.model->id);
    throw Error(ErrorCode::not_found,
                "model: \"" + wish.model + "\" is not in the catalog" + did_you_mean(wish.model, ids));
  }

  /// The profile's engine; else one that is tried and reads the file.
  std::string engine_for(const Wish& wish, const Variant& variant) const {
    const bool scheme_is_gguf = !wish.scheme.empty() && describe_scheme(wish.scheme).grid == "gguf";
    if (variant.format == "gguf" || scheme_is_gguf) return "llama.cpp";
    if (tried_.size() == 1 && profile_.engine != "any") return tried_.front();
    for (const auto& engine : tried_)
      if (engine != "llama.cpp") return engine;
    return wish.scheme.empty() && wish.format.empty() ? "llama.cpp" : "vllm";
  }

  void fill(const Wish& wish, const CatalogModel& entry, Variant& variant) const {
    variant.model = entry.model->id;
    variant.technique = wish.technique, variant.scheme = wish.scheme, variant.format = wish.format;
    variant.engine = wish.engine, variant.kv = wish.kv;
    fill_sparsity(wish, variant);
    if (variant.engine.empty()) variant.engine = engine_for(wish, variant);
    const bool as_shipped = (wish.technique.empty() || wish.technique == "none") && wish.scheme.empty() &&
                            wish.format.empty() && variant.sparsity == 0;
    if (as_shipped) {
      const auto shipped = as_published(variant.engine, entry.native).variant;
      variant.technique = shipped.technique, variant.scheme = shipped.scheme, variant.format = shipped.format;
    }
    if (variant.engine == "llama.cpp" && wish.scheme.empty() && wish.format.empty())
      variant.format = "gguf", variant.scheme = as_shipped ? variant.scheme : "F16";
    complete(variant);
    if (wish.technique.empty() && !as_shipped) variant.technique = technique_for(variant);
    if (const auto known = kv_formats(); std::find(known.begin(), known.end(), variant.kv) == known.end())
      throw Error(ErrorCode::not_found, "kv: unknown number format of the KV cache \"" + variant.kv + "\"" +
                                            did_you_mean(variant.kv, known) + "; known: " + join(known));
  }

  /// With which the same weights are made by default, on whatever engine; else the simplest one.
  std::string technique_for(const Variant& variant) const {
    for (std::size_t i = 0; i < tools_.catalog.general_treatments(); ++i) {
      const auto& choice = tools_.catalog.treatments()[i].choice;
      const auto& v = choice.variant;
      if (choice.origin == Origin::made && choice.parts.size() == 1 && v.scheme == variant.scheme &&
          v.format == variant.format && v.sparsity == variant.sparsity && v.pattern == variant.pattern)
        return v.technique;
    }
    return variant.technique;
  }

  static void fill_sparsity(const Wish& wish, Variant& variant) {
    if (!wish.sparsity.empty()) {
      const auto sparsity = parse_sparsity(wish.sparsity);
      variant.sparsity = sparsity.share, variant.pattern = sparsity.pattern;
    }
    if (!wish.pattern.empty()) {
      const bool of_four = wish.pattern == "2:4" || wish.pattern == "4:8";
      if (of_four && variant.sparsity == 0) variant.sparsity = 0.5;
      if (variant.sparsity == 0) refuse("pattern: " + wish.pattern + " of how much? Say sparsity=25%");
      if (of_four && variant.sparsity != 0.5) refuse("pattern: " + wish.pattern + " leaves half of the weights");
      variant.pattern = wish.pattern;
    } else if (variant.pattern == "unstructured") {
      if (among(by_depth, wish.technique)) variant.pattern = "structured-depth";
      if (among(by_width, wish.technique)) variant.pattern = "structured-width";
    }
  }

  /// Among the treatments that every model may have; -1: none.
  int find(const Variant& plain, const CatalogModel& entry) const {
    const auto id = plain.id();
    for (std::size_t i = 0; i < tools_.catalog.general_treatments(); ++i) {
      const auto& treatment = tools_.catalog.treatments()[i];
      const bool native = treatment.choice.origin != Origin::as_published || treatment.choice.native == entry.native;
      if (treatment.id_tail == id && native) return static_cast<int>(i);
    }
    return -1;
  }

  const Technique& technique_of(const std::string& id) const {
    std::vector<std::string> ids;
    for (const auto& technique : tools_.knowledge.techniques) {
      if (technique.id == id) return technique;
      ids.push_back(technique.id);
    }
    throw Error(ErrorCode::not_found, "technique: unknown \"" + id + "\"" + did_you_mean(id, ids) +
                                          " ('advisor catalog techniques' lists them)");
  }

  void take(int known, const CatalogModel& entry, AskedTreatment& result, Asked& asked) const {
    result.choice = tools_.catalog.treatments()[static_cast<std::size_t>(known)].choice;
    const bool has = std::any_of(entry.applied.begin(), entry.applied.end(),
                                 [&](const Applied& applied) { return applied.treatment == known; });
    result.same_as = asked.same_as = has ? known : -1;
  }

  TreatmentChoice compose(const Variant& plain, const CatalogModel& entry) const {
    const auto& technique = technique_of(plain.technique);
    const auto scheme = describe_scheme(plain.scheme);
    const bool quantized = scheme.weight_bits < 16 || scheme.activation_bits < 16;
    const bool pruned = plain.sparsity > 0;
    const bool prunes = technique.kind == "pruning" || technique.id == "other-compression";
    if (technique.id == "mixed")
      refuse("technique: mixed is looked at as W4A16-g128 and W8A16-channel in vllm and sglang, not as " +
             plain.scheme + " in " + plain.engine);
    if (technique.id == "joint" || technique.kind == "kv_quantization")
      refuse("technique: " + technique.id +
             " says too little; name what prunes and the scheme, as in \"wanda "
             "W4A16-g128 sparsity=50%\", or the cache, as in \"kv=q4_0\"");
    if (prunes && !pruned) refuse("technique: " + technique.id + " removes how much? Say sparsity=50%");
    if (pruned && !prunes && !among(retrained, technique.id))
      refuse("technique: " + technique.id + " removes no weights; name what prunes, as in \"wanda sparsity=50%\"");
    if (technique.kind == "quantization" && !quantized)
      refuse("technique: " + technique.id + " to how many bits? Say the scheme, as in \"" + technique.id +
             " W4A16-g128\"");
    TreatmentChoice choice = technique.kind == "none" ? shipped(plain, entry, quantized)
                                                      : made(plain, technique, quantized, pruned && prunes);
    set_cache(choice, plain.kv);
    return choice;
  }

  static TreatmentChoice shipped(const Variant& plain, const CatalogModel& entry, bool quantized) {
    auto choice = as_published(plain.engine, entry.native);
    if (quantized && plain.scheme != choice.variant.scheme)
      refuse("technique: none is what the publisher ships, " + choice.variant.scheme + ", not " + plain.scheme);
    choice.variant = plain;
    return choice;
  }

  TreatmentChoice made(const Variant& plain, const Technique& technique, bool quantized, bool pruned) const {
    TreatmentChoice choice;
    choice.variant = plain;
    choice.variant.kv = Variant{}.kv;
    if (among(retrained, technique.id)) {
      choice.origin = Origin::found;
      choice.parts = {choice.variant};
      return choice;
    }
    const char* kind = !pruned ? "quantize" : plain.pattern == "2:4" || plain.pattern == "4:8" ? "sparsify" : "prune";
    choice.steps = {step_of(kind, technique, choice.variant, plain.format)};
    choice.parts = {choice.variant};
    if (pruned && quantized) add_quantizing(choice);
    return choice;
  }

  /// Prune, then quantize what is left, with the simplest technique for the scheme.
  void add_quantizing(TreatmentChoice& choice) const {
    Variant quantized;
    quantized.scheme = choice.variant.scheme, quantized.format = choice.variant.format;
    quantized.engine = choice.variant.engine, quantized.technique.clear();
    complete(quantized);
    choice.parts.front().scheme = Variant{}.scheme;
    choice.parts.push_back(quantized);
    choice.steps.push_back(step_of("quantize", technique_of(quantized.technique), quantized, quantized.format));
    // The backend's codes of a weight that is 0 need not be 0: a pattern would be lost.
    if (!choice.variant.pattern.starts_with("structured")) choice.steps.back().recipe.reset();
    choice.variant.technique = "joint";
  }

  static std::string nonsense(const TreatmentChoice& choice, const CatalogModel& entry) {
    if (applies(choice, entry.native)) return "";
    const std::string ships = entry.native == Native::fp8 ? "FP8" : entry.native == Native::mxfp4 ? "MXFP4" : "16 bits";
    const auto& id = entry.model->id;
    if (choice.origin == Origin::as_published) return id + " is published in " + ships + ", not in this form";
    return choice.variant.sparsity > 0
               ? "pruning works on 16-bit weights, and " + id + " is published in " + ships
               : id + " is published in " + ships + ": " + choice.variant.scheme + " has as many bits or more";
  }

  const Toolbox& tools_;
  const Profile& profile_;
  std::vector<std::string> tried_;
  const CatalogModel& current_;
};

}  // namespace

bool is_retrained(std::string_view technique) { return among(retrained, technique); }

Considering::Considering(const Toolbox& tools, const Profile& profile, const Hardware& hardware,
                         const Model* checkpoint_model)
    : general_(tools) {
  if (profile.consider.empty()) return;
  std::optional<CatalogModel> own;
  const int index = checkpoint_model != nullptr ? -1 : tools.catalog.find(profile.model);
  if (checkpoint_model != nullptr) own = tools.catalog.prepare(*checkpoint_model);
  if (!own && index < 0) return;  // ask() says what is wrong with the model
  const Reader reader(tools, profile, hardware, own ? *own : tools.catalog.models()[static_cast<std::size_t>(index)]);
  std::map<std::string, AskedTreatment> treatments;  // sorted: the order in which one asks changes nothing
  for (std::size_t i = 0; i < profile.consider.size(); ++i) {
    const auto& wish = profile.consider[i];
    Asked asked;
    asked.text = wish_text(wish);
    try {
      if (auto treatment = reader.read(wish, asked)) {
        asked.variant = treatment->choice.variant;
        asked.variant.model = treatment->model;
        treatments.try_emplace(asked.variant.id(), std::move(*treatment));
      }
    } catch (const Error& error) {
      throw Error(error.code(), prefix(wish.where) + "consider." + std::to_string(i) + "." + error.what());
    }
    asked_.push_back(std::move(asked));
  }
  std::vector<AskedTreatment> all;
  std::map<std::string, int> places;
  for (auto& [id, treatment] : treatments) {
    places[id] = static_cast<int>(tools.catalog.treatments().size() + all.size());
    all.push_back(std::move(treatment));
  }
  for (auto& asked : asked_)
    if (asked.refused.empty()) asked.treatment = places.at(asked.variant.id());
  if (!all.empty()) own_ = std::make_unique<const Toolbox>(tools, all);
}

}  // namespace advisor
