// What the compression backend understands; the only thing that passes from decision to compression.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace advisor {

struct RecipeStep {
  std::string technique;                       ///< "rtn", ...; "none" = convert only
  std::string scheme;                          ///< "W4A16-g128", ...
  std::vector<std::string> targets{"Linear"};  ///< "Linear" = all decoder linears
  std::vector<std::string> ignore{"lm_head"};
  std::map<std::string, std::string> params;  ///< technique parameters by name, e.g. clip=mse
};

/// One output; `type` is the GGUF type for gguf and empty otherwise.
struct RecipeFormat {
  std::string id;    ///< compressed-tensors, gguf, safetensors
  std::string type;  ///< F16, Q8_0, Q4_0, Q4_1
};

struct Recipe {
  std::vector<RecipeStep> steps;
  std::vector<RecipeFormat> formats;
};

/// YAML text that io's parse_recipe() reads back to the same recipe.
std::string recipe_to_yaml(const Recipe& recipe);

/// "gguf:Q8_0" or "compressed-tensors", as on the command line. Throws invalid_argument when empty or malformed.
RecipeFormat parse_recipe_format(std::string_view text);
/// The inverse: "gguf:Q8_0".
std::string format_id(const RecipeFormat& format);

}  // namespace advisor
