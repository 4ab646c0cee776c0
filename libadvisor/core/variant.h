// One deployable state of a model: weights, sparsity, KV cache, file format and engine.
#pragma once

#include <string>

namespace advisor {

struct Variant {
  std::string model;               ///< catalog id
  std::string technique = "none";  ///< data/techniques.csv
  std::string scheme = "W16A16";   ///< W<bits>A<bits>[-fp8|...][-g<size>|-channel|-tensor][-asym], or a GGUF type
  double sparsity = 0;
  std::string pattern;  ///< "", "unstructured", "2:4"
  std::string kv = "fp16";
  std::string format = "safetensors";
  std::string engine;

  /// Canonical id; the last tie-breaker everywhere.
  std::string id() const;
};

/// Bits per weight of a scheme or GGUF type, scales and zero points included (group scales are 16 bits).
/// Throws invalid_argument for a scheme it cannot read.
double bits_per_weight(const std::string& scheme);

}  // namespace advisor
