// Rotary position embedding (Su et al. 2021, RoFormer) and its stretched variants.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/config.h"

namespace advisor {

struct Rope {
  std::vector<double> inverse_frequency;  ///< [rotary_dim / 2], radians per position
  double magnitude = 1;                   ///< of what is rotated

  /// Rotates element i with element i + half (the layout of Hugging Face weights) of `heads` heads of `head_dim`
  /// elements that follow each other; elements beyond 2 * half stay.
  void rotate(float* x, std::int64_t position, std::int64_t heads, std::int64_t head_dim) const;
};

/// The one of a layer. `length` is that of the whole sequence: longrope has other factors beyond the original context.
/// Throws unsupported for a scaling that is not implemented.
Rope rope_of(const ModelConfig& config, std::int64_t layer, std::int64_t length);

/// "" or why the scaling cannot be computed.
std::string rope_refuses(const ModelConfig& config);

}  // namespace advisor
