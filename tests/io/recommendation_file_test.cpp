#include "io/recommendation_file.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "core/error.h"
#include "core/json.h"
#include "io/save.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

Recommendation answer() {
  Recommendation r;
  r.outcome = Outcome::recommended;
  r.verdict = Verdict::compress;
  Option option;
  option.rank = 1;
  option.variant.model = "a/b";
  option.recipe = Recipe{{{"rtn", "W4A16-g128", {"Linear"}, {"lm_head"}, {{"clip", "mse"}}}}, {{"gguf", "Q4_0"}}};
  option.launch_command = "vllm serve out";
  r.options = {option};
  return r;
}

TEST(RecommendationFile, FolderReadsBackWithItsRecipe) {
  const auto folder = fs::path(testing::TempDir()) / ("recommendation-" + std::to_string(::getpid()));
  fs::remove_all(folder);
  const auto files = recommendation_files(answer(), "# Title");
  EXPECT_EQ(files.size(), 4U);
  EXPECT_EQ(files.at("option-1.launch.sh"), "#!/bin/sh\nvllm serve out\n");
  save_folder(folder, files);
  for (const auto& path : {folder, folder / "recommendation.json"})
    EXPECT_EQ(to_json(load_recommendation(path)), to_json(answer()));
  fs::remove_all(folder);
}

TEST(RecommendationFile, SaysWhichFileAndWhereIsWrong) {
  const auto path = fs::path(testing::TempDir()) / ("broken-" + std::to_string(::getpid()) + ".json");
  const auto refusal = [&](const std::string& text) -> std::string {
    save_file(path, text);
    try {
      load_recommendation(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "(no error)";
  };
  EXPECT_THAT(refusal("{"), HasSubstr(path.string()));
  EXPECT_THAT(refusal(R"({"schema": "advisor.recommendation/1", "options": [{"recipe": "steps: 3"}]})"),
              testing::AllOf(HasSubstr(path.string()), HasSubstr("options[0].recipe")));
  fs::remove(path);
  EXPECT_THROW(load_recommendation(path), Error);
}

}  // namespace
}  // namespace advisor
