#include "compress/targets.h"

#include <algorithm>
#include <regex>
#include <set>
#include <string_view>

#include "core/document.h"
#include "core/error.h"
#include "core/suggest.h"
#include "lm/architecture.h"

namespace advisor {
namespace {

constexpr std::string_view kWeight = ".weight";

/// Whether "Linear" means this module: a matrix inside a decoder block that engines quantize.
bool is_decoder_linear(const Architecture& architecture, const std::string& module) {
  return module.starts_with(architecture.layer_prefix) && !never_quantized(architecture, module + std::string(kWeight));
}

bool is_matrix(const TensorInfo& tensor) { return tensor.shape.size() == 2 && tensor.name.ends_with(kWeight); }

std::string module_name(const TensorInfo& tensor) {
  return tensor.name.ends_with(kWeight) ? tensor.name.substr(0, tensor.name.size() - kWeight.size()) : tensor.name;
}

/// Only matrices that multiply activations: embeddings are looked up, and no engine loads quantized ones.
bool is_candidate(const TensorInfo& tensor) {
  if (!is_matrix(tensor)) return false;
  const std::string module = module_name(tensor);
  const std::string_view last = std::string_view(module).substr(module.rfind('.') + 1);
  return last.find("embed") == std::string_view::npos && last.find("norm") == std::string_view::npos;
}

[[noreturn]] void refuse(const SourceLocation& where, const std::string& message) {
  throw Error(ErrorCode::invalid_argument, prefix(where) + message);
}

/// One entry of targets or ignore.
class Pattern {
 public:
  Pattern(const std::string& entry, const std::string& list, const SourceLocation& where,
          const std::string& architecture)
      : entry_(entry), where_(where) {
    if (entry.empty()) refuse(where, "an entry of " + list + " is empty");
    try {
      if (entry == "Linear") architecture_ = &find_architecture(architecture);  // refuses unknown layers
      if (entry.starts_with("re:")) expression_.emplace(entry.substr(3));
    } catch (const std::regex_error& error) {
      refuse(where, "the expression '" + entry + "' in " + list + " does not parse: " + error.what());
    } catch (const Error& error) {
      throw Error(error.code(), prefix(where) + error.what());
    }
  }

  bool match(const std::string& module) const {
    if (architecture_ != nullptr) return is_decoder_linear(*architecture_, module);
    if (expression_) return std::regex_search(module, *expression_, std::regex_constants::match_continuous);
    return module == entry_;
  }

  const std::string& entry() const { return entry_; }
  const SourceLocation& where() const { return where_; }

 private:
  std::string entry_;
  SourceLocation where_;
  const Architecture* architecture_ = nullptr;  ///< of "Linear"
  std::optional<std::regex> expression_;
};

std::vector<Pattern> patterns(const std::vector<std::string>& entries, const std::string& list,
                              const RecipePlaces& places, const std::string& architecture) {
  std::vector<Pattern> compiled;
  for (std::size_t i = 0; i < entries.size(); ++i)
    compiled.emplace_back(entries[i], list, places.of(list + "." + std::to_string(i)), architecture);
  return compiled;
}

/// "; did you mean ..." for a name, or an expression that begins with ".*" is missing.
std::string hint(const std::string& entry, const std::vector<std::string>& modules) {
  if (!entry.starts_with("re:")) return did_you_mean(entry, modules);
  const std::string inside = "re:.*" + entry.substr(3);
  const std::regex expression(inside.substr(3));
  const bool found = std::ranges::any_of(modules, [&](const std::string& module) {
    return std::regex_search(module, expression, std::regex_constants::match_continuous);
  });
  if (found) return "; expressions match from the start of the name, write '" + inside + "'";
  std::set<std::string> ends;
  for (const std::string& module : modules) ends.insert(module.substr(module.rfind('.') + 1));
  const std::vector<std::string> last(ends.begin(), ends.end());
  return "; the last parts of their names are " + join(last);
}

/// Goes through the entries of a recipe in their order and says which modules each one gets.
class Assignment {
 public:
  Assignment(const Checkpoint& model, bool (*admitted)(const TensorInfo&))
      : model_(model), owner_(model.tensors().size()) {
    for (const TensorInfo& tensor : model.tensors()) {
      modules_.push_back(module_name(tensor));
      candidate_.push_back(admitted(tensor));
      if (candidate_.back()) candidates_.push_back(modules_.back());
    }
  }

  void add(const std::vector<std::string>& targets, const std::vector<std::string>& ignored,
           const RecipePlaces& places) {
    const std::string& architecture = model_.config().architecture;
    const auto wanted = patterns(targets, "targets", places, architecture);
    const auto unwanted = patterns(ignored, "ignore", places, architecture);
    if (wanted.empty()) refuse(places.of("targets"), "a step without targets quantizes nothing; write [Linear]");
    for (const Pattern& pattern : unwanted) check_ignored(pattern);
    const auto ignore = [&](std::size_t i) {
      return std::ranges::any_of(unwanted, [&](const Pattern& pattern) { return pattern.match(modules_[i]); });
    };
    std::vector<std::size_t> taken;
    for (const Pattern& pattern : wanted) {
      std::size_t matched = 0, left = 0;
      std::optional<std::size_t> earlier;
      for (std::size_t i = 0; i < modules_.size(); ++i) {
        if (!candidate_[i] || !pattern.match(modules_[i])) continue;
        ++matched;
        if (owner_[i]) {
          earlier = owner_[i];
        } else if (!ignore(i)) {
          ++left;
          taken.push_back(i);
        }
      }
      if (left == 0) refuse_entry(pattern, ignored, matched, earlier);
    }
    for (const std::size_t i : taken) owner_[i] = places_.size();
    places_.push_back(places);
  }

  std::vector<std::optional<std::size_t>> take() { return std::move(owner_); }

 private:
  /// The default entry may match nothing: many models have no head of their own.
  void check_ignored(const Pattern& pattern) const {
    if (pattern.entry() == "lm_head") return;
    if (std::ranges::none_of(modules_, [&](const std::string& module) { return pattern.match(module); }))
      refuse(pattern.where(),
             "'" + pattern.entry() + "' in ignore matches no module of the model" + hint(pattern.entry(), modules_));
  }

  [[noreturn]] void refuse_entry(const Pattern& pattern, const std::vector<std::string>& ignored, std::size_t matched,
                                 std::optional<std::size_t> earlier) const {
    const std::string what = "'" + pattern.entry() + "' in targets matches ";
    if (matched == 0)
      refuse(pattern.where(), what + "no weight matrix that can be chosen" + hint(pattern.entry(), candidates_));
    if (!earlier)
      refuse(pattern.where(), what + "nothing that is left without ignore " + (ignored.empty() ? "" : join(ignored)));
    const SourceLocation& there = places_[*earlier].of("targets");
    refuse(pattern.where(),
           what + "only what entry " + std::to_string(*earlier + 1) +
               (there.line > 0 ? " (line " + std::to_string(there.line) + ")" : std::string()) +
               " has already; the first that matches counts, so put the narrower one first or leave this one out");
  }

  const Checkpoint& model_;
  std::vector<std::string> modules_, candidates_;
  std::vector<bool> candidate_;
  std::vector<std::optional<std::size_t>> owner_;
  std::vector<RecipePlaces> places_;  ///< of the entries so far
};

}  // namespace

std::vector<std::optional<std::size_t>> assign_steps(const Checkpoint& model, const std::vector<RecipeStep>& steps) {
  Assignment assignment(model, is_candidate);
  for (const RecipeStep& step : steps) assignment.add(step.targets, step.ignore, step.places);
  return assignment.take();
}

std::vector<std::string> assign_types(const Checkpoint& model, const std::vector<RecipeTensorType>& types) {
  Assignment assignment(model, is_matrix);
  for (const RecipeTensorType& type : types) assignment.add(type.targets, {}, type.places);
  std::vector<std::string> names;
  for (const auto& owner : assignment.take()) names.push_back(owner ? types[*owner].type : "");
  return names;
}

std::string pattern_of(const std::vector<std::string>& modules) {
  std::vector<std::string> last;
  for (const std::string& module : modules) {
    const std::string part = module.substr(module.rfind('.') + 1);
    if (std::ranges::find(last, part) == last.end()) last.push_back(part);
  }
  return last.size() == 1 ? "re:.*\\." + last.front() + "$" : "re:.*\\.(" + join(last, "|") + ")$";
}

}  // namespace advisor
