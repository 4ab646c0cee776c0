// What the compression backend understands; the only thing that passes from decision to compression.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/rule.h"

namespace advisor {

/// Where an entry of a file was written; empty for recipes that were made otherwise. Not part of the recipe.
struct RecipePlaces {
  SourceLocation where{};                          ///< of the entry
  std::map<std::string, SourceLocation> values{};  ///< of the values of its keys; "targets.0" = an item of a list
  /// Where a value stands; the entry where it has no place.
  const SourceLocation& of(const std::string& key) const;
};

/// Quantizes the weights that it targets. Of several steps the first one that targets a weight has it.
struct RecipeStep {
  std::string technique;                       ///< "rtn", ...; "none" = convert only
  std::string scheme;                          ///< "W4A16-g128", ...
  std::vector<std::string> targets{"Linear"};  ///< "Linear" = all decoder linears
  std::vector<std::string> ignore{"lm_head"};
  std::map<std::string, std::string> params;  ///< technique parameters by name, e.g. clip=mse
  RecipePlaces places{};
};

/// GGUF: matrices that get another type than the mix gives them. Of several the first one that matches counts.
struct RecipeTensorType {
  std::vector<std::string> targets;  ///< as those of a step; embeddings and lm_head can be named too
  std::string type;                  ///< Q6_K, F16 ...
  RecipePlaces places{};
};

/// One output; `type` is the GGUF type for gguf and empty otherwise.
struct RecipeFormat {
  std::string id;    ///< compressed-tensors, gguf, safetensors
  std::string type;  ///< F16, Q8_0, Q4_K_M ...
  std::vector<RecipeTensorType> tensor_types{};
  std::int64_t split_max_size = 0;  ///< GGUF: bytes of tensors in one file; 0: one file
};

/// What weights may take; each matrix that the only step targets then gets one of several schemes.
struct RecipeBudget {
  double bits_per_weight = 0;             ///< mean over those matrices, scales included; 0: not given
  std::int64_t size = 0;                  ///< bytes of everything that is written; 0: not given
  std::vector<std::string> candidates{};  ///< schemes, or types of GGUF; empty: those that suit the format
  RecipePlaces places{};
};

struct Recipe {
  std::vector<RecipeStep> steps;
  std::vector<RecipeFormat> formats;
  std::optional<RecipeBudget> budget{};
  std::string kv_cache{};  ///< "fp8": scales for an 8-bit cache are calibrated and stored; empty: none
};

/// YAML text that io's parse_recipe() reads back to the same recipe.
std::string recipe_to_yaml(const Recipe& recipe);

/// "gguf:Q8_0" or "compressed-tensors", as on the command line. Throws invalid_argument when empty or malformed.
RecipeFormat parse_recipe_format(std::string_view text);
/// The inverse: "gguf:Q8_0".
std::string format_id(const RecipeFormat& format);

}  // namespace advisor
