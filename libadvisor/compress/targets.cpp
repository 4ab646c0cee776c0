#include "compress/targets.h"

#include <algorithm>
#include <regex>
#include <string_view>

#include "core/error.h"
#include "lm/architecture.h"

namespace advisor {
namespace {

constexpr std::string_view kWeight = ".weight";

/// Whether "Linear" means this module: a matrix inside a decoder block that engines quantize.
bool is_decoder_linear(const Architecture& architecture, const std::string& module) {
  return module.starts_with(architecture.layer_prefix) && !never_quantized(architecture, module + std::string(kWeight));
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
        architecture_ = &find_architecture(architecture);  // refuses one whose layers are not known here
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
    if (architecture_ != nullptr && is_decoder_linear(*architecture_, module)) return true;
    if (std::ranges::find(names_, module) != names_.end()) return true;
    return std::ranges::any_of(expressions_, [&](const std::regex& expression) {
      return std::regex_search(module, expression, std::regex_constants::match_continuous);
    });
  }

 private:
  const Architecture* architecture_ = nullptr;  ///< of "Linear"
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
