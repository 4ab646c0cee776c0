#include "compress/targets.h"

#include <algorithm>

#include "compress/fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

class Targets : public ::testing::Test {
 protected:
  std::vector<std::string> chosen(std::vector<std::string> targets, std::vector<std::string> ignore = {"lm_head"}) {
    RecipeStep step;
    step.targets = std::move(targets);
    step.ignore = std::move(ignore);
    const std::vector<bool> flags = select_targets(*model_, step);
    std::vector<std::string> names;
    for (std::size_t i = 0; i < flags.size(); ++i)
      if (flags[i]) names.push_back(model_->tensors()[i].name);
    return names;
  }

  testing::TempFolder temp_;
  std::unique_ptr<Checkpoint> model_ = open_checkpoint(testing::write_model(temp_ / "model"));
};

TEST_F(Targets, LinearIsTheSevenMatricesOfEveryBlock) {
  const auto names = chosen({"Linear"});
  EXPECT_EQ(names.size(), 14u);
  EXPECT_TRUE(std::ranges::all_of(names, [](const std::string& n) { return n.ends_with("_proj.weight"); }));
}

TEST_F(Targets, NamesExpressionsAndIgnore) {
  EXPECT_THAT(chosen({"model.layers.1.mlp.up_proj"}), ElementsAre("model.layers.1.mlp.up_proj.weight"));
  EXPECT_THAT(chosen({"re:.*layers\\.0\\.mlp\\.(up|gate)_proj$"}),
              ElementsAre("model.layers.0.mlp.gate_proj.weight", "model.layers.0.mlp.up_proj.weight"));
  EXPECT_EQ(chosen({"Linear"}, {"re:.*down_proj"}).size(), 12u);
  EXPECT_THAT(chosen({"re:.*"}, {"re:model.layers.0", "re:.*(mlp|attn\\.[kvo])"}),
              ElementsAre("model.layers.1.self_attn.q_proj.weight"))
      << "embeddings and norms are no candidates";
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { chosen({"re:layers"}); }), HasSubstr("re:layers"))
      << "expressions match from the start";
}

TEST_F(Targets, Refusals) {
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { chosen({"model.layers.9.mlp.up_proj"}); }),
              HasSubstr("model.layers.9.mlp.up_proj"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { chosen({"Linear"}, {"re:.*"}); }), HasSubstr("ignore re:.*"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { chosen({"re:(["}); }), HasSubstr("does not parse"));
  refusal(ErrorCode::invalid_argument, [&] { chosen({}); });
  refusal(ErrorCode::invalid_argument, [&] { chosen({""}); });
}

}  // namespace
}  // namespace advisor
