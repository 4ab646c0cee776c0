#include "compress/targets.h"

#include <algorithm>
#include <array>
#include <regex>
#include <string_view>

#include "core/error.h"

namespace advisor {
namespace {

constexpr std::string_view kWeight = ".weight";

/// Decoders whose blocks are model.layers.N with these seven linears.
constexpr std::array<std::string_view, 6> kLlamaLike{"LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                                     "Qwen3ForCausalLM", "Gemma2ForCausalLM",  "GemmaForCausalLM"};
constexpr std::array<std::string_view, 7> kLinears{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                                   "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                                   "mlp.down_proj"};

bool is_decoder_linear(std::string_view module) {
  constexpr std::string_view prefix = "model.layers.";
  if (!module.starts_with(prefix)) return false;
  module.remove_prefix(prefix.size());
  const auto dot = module.find('.');
  if (dot == 0 || dot == std::string_view::npos) return false;
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return std::ranges::all_of(module.substr(0, dot), digit) &&
         std::ranges::find(kLinears, module.substr(dot + 1)) != kLinears.end();
}

/// Only matrices that multiply activations: embeddings are looked up, and no engine loads quantized ones.
bool is_candidate(const TensorInfo& tensor) {
  if (tensor.shape.size() != 2 || !tensor.name.ends_with(kWeight)) return false;
  const std::string_view module = std::string_view(tensor.name).substr(0, tensor.name.size() - kWeight.size());
  const std::string_view last = module.substr(module.rfind('.') + 1);
  return last.find("embed") == std::string_view::npos && last.find("norm") == std::string_view::npos;
}

/// The compiled form of one list (targets or ignore).
class Patterns {
 public:
  Patterns(const std::vector<std::string>& entries, const char* list, const std::string& architecture) {
    for (const std::string& entry : entries) {
      if (entry == "Linear") {
        if (std::ranges::find(kLlamaLike, architecture) == kLlamaLike.end())
          throw Error(ErrorCode::unsupported, "the linear layers of architecture '" + architecture +
                                                  "' are not known here; name them in targets, for example "
                                                  "\"re:.*_proj$\"");
        linear_ = true;
      } else if (entry.starts_with("re:")) {
        try {
          expressions_.emplace_back(entry.substr(3));
        } catch (const std::regex_error& error) {
          throw Error(ErrorCode::invalid_argument,
                      std::string("the expression '") + entry + "' in " + list + " does not parse: " + error.what());
        }
      } else if (entry.empty()) {
        throw Error(ErrorCode::invalid_argument, std::string("an entry of ") + list + " is empty");
      } else {
        names_.push_back(entry);
      }
    }
  }

  bool match(const std::string& module) const {
    if (linear_ && is_decoder_linear(module)) return true;
    if (std::ranges::find(names_, module) != names_.end()) return true;
    return std::ranges::any_of(expressions_, [&](const std::regex& expression) {
      return std::regex_search(module, expression, std::regex_constants::match_continuous);
    });
  }

 private:
  bool linear_ = false;
  std::vector<std::string> names_;
  std::vector<std::regex> expressions_;
};

std::string joined(const std::vector<std::string>& entries) {
  std::string text;
  for (const std::string& entry : entries) text += (text.empty() ? "" : ", ") + entry;
  return text.empty() ? "nothing" : text;
}

}  // namespace

std::vector<bool> select_targets(const Checkpoint& model, const RecipeStep& step) {
  const Patterns targets(step.targets, "targets", model.config().architecture);
  const Patterns ignore(step.ignore, "ignore", model.config().architecture);
  std::vector<bool> selected;
  for (const TensorInfo& tensor : model.tensors()) {
    bool match = is_candidate(tensor);
    if (match) {
      const std::string module = tensor.name.substr(0, tensor.name.size() - kWeight.size());
      match = targets.match(module) && !ignore.match(module);
    }
    selected.push_back(match);
  }
  if (std::ranges::find(selected, true) == selected.end())
    throw Error(ErrorCode::invalid_argument, "no weight matrix of the model matches targets " + joined(step.targets) +
                                                 " without ignore " + joined(step.ignore));
  return selected;
}

}  // namespace advisor
