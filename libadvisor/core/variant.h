// One deployable state of a model: weights, sparsity, KV cache, file format and engine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

/// Share of the weights removed and where: "0.5", "50 %" (anywhere), "2:4", "4:8".
struct Sparsity {
  double share = 0;
  std::string pattern;  ///< "" for a share of 0
};
/// Throws invalid_argument.
Sparsity parse_sparsity(std::string_view text);

/// Fills what nobody said - scheme, technique, file format, engine and KV cache - with what goes with the rest.
/// Throws invalid_argument for a scheme that cannot be read.
void complete(Variant& variant);

/// What a scheme or GGUF type says, for facts, memory and messages.
struct SchemeInfo {
  double weight_bits = 16, activation_bits = 16;  ///< nominal: 4 for Q4_K_M
  std::string weight_dtype = "fp16";              ///< fp32, fp16, fp8, int<bits>, fp4 (nvfp4 and mxfp4)
  std::string activation_dtype = "fp16";          ///< fp16, fp8, int8, fp4 ...
  std::string grid;                               ///< "", "int8", "fp8", "nvfp4", "mxfp4", or "gguf"
  std::int64_t group = 0;                         ///< inputs per scale; 0 = per channel or tensor or none
  bool symmetric = true;
  double bits_per_weight = 16;  ///< scales and zero points included
};
/// Throws invalid_argument saying what a scheme looks like, with suggestions.
SchemeInfo describe_scheme(const std::string& scheme);

/// Bits per weight of a scheme or GGUF type, scales and zero points included (group scales are 16 bits).
/// Throws invalid_argument for a scheme it cannot read.
double bits_per_weight(const std::string& scheme);

}  // namespace advisor
