// Which tensors of a model a recipe step quantizes. Names follow compressed-tensors: modules are tensor names without
// ".weight"; an entry is "Linear", a module name, or "re:" and an ECMAScript expression that matches from the start.
#pragma once

#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "core/recipe.h"

namespace advisor {

/// One flag per tensor of `model`, in its order. Throws invalid_argument when nothing matches or an expression does not
/// parse, unsupported when "Linear" is asked of an architecture whose linears are not known here.
std::vector<bool> select_targets(const Checkpoint& model, const RecipeStep& step);

}  // namespace advisor
