#include "compress/steps.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "compress/targets.h"
#include "core/document.h"
#include "core/error.h"
#include "lm/architecture.h"

namespace advisor {
namespace {

/// Runs `work` and puts the place in front of what it has to say.
template <typename F>
auto located(const SourceLocation& where, const F& work) {
  try {
    return work();
  } catch (const Error& error) {
    throw Error(error.code(), prefix(where) + error.what());
  }
}

void check_none(const RecipeStep& step, std::vector<std::string>& notes) {
  if (!step.params.empty())
    throw Error(ErrorCode::invalid_argument, prefix(step.places.of("params")) + "technique none has no parameter '" +
                                                 step.params.begin()->first + "'");
  if (!step.scheme.empty()) notes.push_back("technique none makes no use of scheme " + step.scheme);
}

PreparedStep prepare_step(const RecipeStep& step) {
  PreparedStep prepared;
  prepared.technique = located(step.places.of("technique"), [&] { return &find_technique(step.technique); });
  prepared.params =
      located(step.places.of("params"), [&] { return complete_params(*prepared.technique, step.params); });
  prepared.scheme = located(step.places.of("scheme"), [&] { return parse_quant_scheme(step.scheme); });
  prepared.targets = step.targets;
  located(step.places.of("scheme"), [&] {
    prepared.technique->check(prepared.scheme, prepared.params);
    return 0;
  });
  return prepared;
}

std::string shape_text(const TensorInfo& tensor) {
  return tensor.name + " [" + std::to_string(tensor.shape[0]) + ", " + std::to_string(tensor.shape[1]) + "]";
}

/// Divisors of the inputs of every matrix of the step that are sensible group sizes, for the message.
std::string working_groups(const Checkpoint& model, const PreparedSteps& prepared, const PreparedStep& step) {
  std::int64_t common = 0;
  for (std::size_t i = 0; i < prepared.of.size(); ++i)
    if (prepared.find(i) == &step) common = std::gcd(common, model.tensors()[i].shape[1]);
  std::string text;
  for (std::int64_t g = 8; g <= std::min<std::int64_t>(common, 1024); ++g)
    if (common % g == 0) text += (text.empty() ? "" : ", ") + std::to_string(g);
  return (text.empty() ? "no group size divides all of them" : "group sizes that divide all of them: " + text) +
         "; -channel always works";
}

void check_groups(const Checkpoint& model, const PreparedSteps& prepared, const std::vector<SourceLocation>& schemes) {
  for (std::size_t i = 0; i < prepared.of.size(); ++i) {
    const PreparedStep* step = prepared.find(i);
    if (step == nullptr || step->scheme.group == 0 || model.tensors()[i].shape[1] % step->scheme.group == 0) continue;
    throw Error(ErrorCode::invalid_argument, prefix(schemes[*prepared.of[i]]) + "scheme " + step->scheme.id() +
                                                 " does not fit " + shape_text(model.tensors()[i]) + ": " +
                                                 std::to_string(step->scheme.group) + " does not divide its inputs; " +
                                                 working_groups(model, prepared, *step));
  }
}

std::string scheme_text(const PreparedStep* step) { return step == nullptr ? "dense" : step->scheme.id(); }

/// Engines run query, key and value as one matrix, gate and up as one, and all experts of a layer as one.
void check_fused(const Checkpoint& model, const PreparedSteps& prepared, const std::vector<SourceLocation>& targets) {
  const Architecture& architecture = find_architecture(model.config().architecture);
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < prepared.of.size(); ++i) {
    const TensorInfo& tensor = model.tensors()[i];
    if (tensor.shape.size() == 2 && tensor.name.ends_with(".weight"))
      groups[fused_group(architecture, tensor.name)].push_back(i);
  }
  for (const auto& [name, members] : groups) {
    const PreparedStep* first = prepared.find(members.front());
    const auto differs = std::ranges::find_if(members, [&](std::size_t i) {
      const PreparedStep* step = prepared.find(i);
      return step == nullptr || first == nullptr ? step != first : step->scheme != first->scheme;
    });
    if (differs == members.end()) continue;
    std::vector<std::string> modules;
    for (const std::size_t i : members)
      modules.push_back(model.tensors()[i].name.substr(0, model.tensors()[i].name.rfind('.')));
    const std::size_t with = prepared.of[*differs] ? *differs : members.front();
    throw Error(ErrorCode::invalid_argument,
                prefix(targets[*prepared.of[with]]) + "engines run " + model.tensors()[members.front()].name + " and " +
                    model.tensors()[*differs].name + " as one matrix, which has one scheme, but the recipe says " +
                    scheme_text(first) + " and " + scheme_text(prepared.find(*differs)) + "; give them one step: \"" +
                    pattern_of(modules) + "\"");
  }
}

bool is_known(const std::string& architecture) {
  try {
    find_architecture(architecture);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// "technique rtn, scheme W4A16-g128" of each step.
std::string text_of(const PreparedSteps& prepared) {
  std::string text;
  for (const PreparedStep& step : prepared.steps)
    text += (text.empty() ? "technique " : ", technique ") + std::string(step.technique->id) + ", scheme " +
            step.scheme.id();
  return text;
}

}  // namespace

PreparedSteps prepare_steps(const Checkpoint& model, const Recipe& recipe, bool codes) {
  if (recipe.steps.empty())
    throw Error(ErrorCode::invalid_argument, "the recipe has no step; use technique 'none' to convert only");
  PreparedSteps prepared;
  std::vector<std::optional<std::size_t>> places;  // of each step of the recipe among the prepared ones
  std::vector<SourceLocation> schemes, targets;
  for (const RecipeStep& step : recipe.steps) {
    if (step.technique == "none") {
      check_none(step, prepared.notes);
      places.emplace_back();
      continue;
    }
    places.emplace_back(prepared.steps.size());
    prepared.steps.push_back(prepare_step(step));
    schemes.push_back(step.places.of("scheme"));
    targets.push_back(step.places.of("targets"));
  }
  if (prepared.steps.empty()) {  // conversion: whatever the model, targets mean nothing
    prepared.of.resize(model.tensors().size());
    return prepared;
  }
  prepared.of = assign_steps(model, recipe.steps);
  if (!codes) {
    prepared.notes.push_back("gguf quantizes in its own blocks, as llama.cpp does: " + text_of(prepared) +
                             ", targets and parameters are not used");
    prepared.steps.clear();
    std::ranges::fill(prepared.of, std::nullopt);
    return prepared;
  }
  for (auto& step : prepared.of) {
    if (step) step = places[*step];
    if (step) ++prepared.steps[*step].tensors;
  }
  check_groups(model, prepared, schemes);
  if (is_known(model.config().architecture)) check_fused(model, prepared, targets);
  return prepared;
}

}  // namespace advisor
