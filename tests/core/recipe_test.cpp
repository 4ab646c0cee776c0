#include "core/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace advisor {
namespace {

TEST(Recipe, Yaml) {
  const Recipe recipe{{{"rtn", "W4A16-g128", {"Linear"}, {"lm_head"}, {{"clip", "mse"}}}},
                      {{"compressed-tensors", ""}, {"gguf", "Q4_0"}}};
  EXPECT_EQ(recipe_to_yaml(recipe),
            "schema: advisor.recipe/1\nsteps:\n  - technique: rtn\n    scheme: W4A16-g128\n    targets: [Linear]\n"
            "    ignore: [lm_head]\n    params:\n      clip: mse\nformats:\n  - id: compressed-tensors\n  - id: gguf\n"
            "    type: Q4_0\n");
}

TEST(Recipe, FormatsAsOnTheCommandLine) {
  for (const char* text : {"gguf:Q8_0", "compressed-tensors"}) EXPECT_EQ(format_id(parse_recipe_format(text)), text);
  for (const char* bad : {"", ":Q8_0", "gguf:", "gguf:a:b"}) EXPECT_THROW(parse_recipe_format(bad), Error) << bad;
}

}  // namespace
}  // namespace advisor
