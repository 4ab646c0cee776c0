// Any text as a recipe: refused with an Error, or written and read back to the same.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/recipe.h"
#include "io/yaml.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const std::string yaml = advisor::recipe_to_yaml(advisor::parse_recipe(text, "r.yaml"));
    if (advisor::recipe_to_yaml(advisor::parse_recipe(yaml)) != yaml) __builtin_trap();
  } catch (const advisor::Error& error) {
    if (error.code() == advisor::ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
