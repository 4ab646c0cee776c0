// From the steps of a recipe to what is done to each tensor. Private to compress/.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "compress/technique.h"
#include "core/recipe.h"

namespace advisor {

struct PreparedStep {
  const TechniqueImpl* technique = nullptr;
  TechniqueParams params;  ///< complete
  QuantScheme scheme;
  std::vector<std::string> targets;
  std::int64_t tensors = 0;  ///< that it quantizes

  /// Matrices have to be seen whole.
  bool whole() const {
    return technique->quantize == nullptr || scheme.block_rows != 1 || scheme.scale == ScaleType::e4m3;
  }
  /// A scale of its inputs is stored with each matrix: FP8 with static activations, and the outer of the two scales of
  /// NVFP4 activations.
  bool stores_input_scale() const {
    return scheme.static_activations || (scheme.scale == ScaleType::e4m3 && scheme.activation_bits < 16);
  }
  bool needs_data() const { return stores_input_scale() || technique->needs != Needs::nothing; }
};

struct PreparedSteps {
  std::vector<PreparedStep> steps;             ///< without those of technique "none"
  std::vector<std::optional<std::size_t>> of;  ///< per tensor of the source; nothing: it stays dense
  std::vector<std::string> notes;

  const PreparedStep* find(std::size_t tensor) const { return of[tensor] ? &steps[*of[tensor]] : nullptr; }
};

/// Finds techniques, schemes and parameters and says which tensors they apply to. Throws what is wrong with the place
/// of the entry: an unknown technique, parameter or scheme, targets (targets.h), groups that do not divide the inputs,
/// layers that engines fuse with different schemes. Without `codes` no output makes use of schemes: all of it is
/// checked but whether schemes fit the matrices, and no tensor has a step.
PreparedSteps prepare_steps(const Checkpoint& model, const Recipe& recipe, bool codes);

}  // namespace advisor
