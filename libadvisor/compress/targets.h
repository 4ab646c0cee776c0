// Which tensors of a model the steps of a recipe quantize. Names follow compressed-tensors: modules are tensor names
// without ".weight"; an entry is "Linear", a module name, or "re:" and an ECMAScript expression that matches from the
// start. The first step that targets a module has it, so that a step for everything can stand behind steps for a few.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/recipe.h"

namespace advisor {

/// The step of each tensor of `model`, in its order. Throws, with the place of the entry, invalid_argument when an
/// entry matches nothing, matches only what earlier steps have or what is ignored, or does not parse; unsupported when
/// "Linear" is asked of an architecture whose linears are not known here.
std::vector<std::optional<std::size_t>> assign_steps(const Checkpoint& model, const std::vector<RecipeStep>& steps);

/// The same for the types of GGUF tensors: names of types, empty where nothing is said. Any matrix can be targeted.
std::vector<std::string> assign_types(const Checkpoint& model, const std::vector<RecipeTensorType>& types);

/// An entry that matches the last parts of these modules' names in every layer: "re:.*\.(q_proj|k_proj)$".
std::string pattern_of(const std::vector<std::string>& modules);

}  // namespace advisor
