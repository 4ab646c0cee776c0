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
    const auto owners = assign_steps(*model_, {step});
    std::vector<std::string> names;
    for (std::size_t i = 0; i < owners.size(); ++i)
      if (owners[i]) names.push_back(model_->tensors()[i].name);
    return names;
  }

  static RecipeStep step(std::vector<std::string> targets, int line, std::vector<std::string> ignore = {}) {
    RecipeStep made;
    made.targets = std::move(targets);
    made.ignore = std::move(ignore);
    made.places = {{"r.yaml", line, 5}, {{"targets", {"r.yaml", line, 20}}, {"targets.0", {"r.yaml", line, 21}}}};
    return made;
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

TEST_F(Targets, TheFirstStepThatMatchesHasAModule) {
  const auto owners =
      assign_steps(*model_, {step({"re:.*down_proj"}, 2), step({"re:.*layers\\.1\\..*"}, 3), step({"Linear"}, 4)});
  std::map<std::string, std::size_t> of;
  for (std::size_t i = 0; i < owners.size(); ++i)
    if (owners[i]) of[model_->tensors()[i].name] = *owners[i];
  EXPECT_EQ(of.size(), 14u);
  for (const auto& [name, owner] : of) {
    const bool down = name.find("down_proj") != std::string::npos, last = name.find("layers.1.") != std::string::npos;
    EXPECT_EQ(owner, down ? 0u : last ? 1u : 2u) << name;
  }
  // What a step ignores is left to those behind it.
  const auto ignoring = assign_steps(*model_, {step({"Linear"}, 2, {"re:.*mlp.*"}), step({"Linear"}, 3)});
  EXPECT_EQ(std::ranges::count(ignoring, std::optional<std::size_t>(0)), 8);
  EXPECT_EQ(std::ranges::count(ignoring, std::optional<std::size_t>(1)), 6);
}

TEST_F(Targets, EntriesThatSayNothingAreRefusedWithPlaceAndAdvice) {
  const auto why = [&](const std::vector<RecipeStep>& steps) {
    return refusal(ErrorCode::invalid_argument, [&] { assign_steps(*model_, steps); });
  };
  const std::string shadowed = why({step({"Linear"}, 4), step({"re:.*up_proj"}, 9)});
  EXPECT_THAT(shadowed, HasSubstr("r.yaml:9:21: 're:.*up_proj'"));
  EXPECT_THAT(shadowed, HasSubstr("entry 1 (line 4)"));
  EXPECT_THAT(why({step({"model.layers.0.mlp.upproj"}, 4)}), HasSubstr("did you mean \"model.layers.0.mlp.up_proj\""));
  EXPECT_THAT(why({step({"re:mlp.up_proj"}, 4)}), HasSubstr("write 're:.*mlp.up_proj'"));
  EXPECT_THAT(why({step({"re:.*ffn_down"}, 4)}), HasSubstr("down_proj"));
  EXPECT_THAT(why({step({"Linear"}, 4, {"re:.*donw_proj"})}), HasSubstr("in ignore matches no module"));
  EXPECT_THAT(why({step({"model.embed_tokens"}, 4)}), HasSubstr("no weight matrix that can be chosen"));
}

TEST_F(Targets, TypesOfTensors) {
  const auto types = assign_types(*model_, {{{"model.embed_tokens"}, "Q8_0"}, {{"Linear"}, "Q4_1"}});
  for (std::size_t i = 0; i < types.size(); ++i) {
    const std::string& name = model_->tensors()[i].name;
    EXPECT_EQ(types[i], name == "model.embed_tokens.weight"      ? "Q8_0"
                        : name.find("norm") == std::string::npos ? "Q4_1"
                                                                 : "")
        << name;
  }
  refusal(ErrorCode::invalid_argument, [&] { assign_types(*model_, {{{"blk.0.ffn_up"}, "Q8_0"}}); });
}

TEST_F(Targets, PatternOfModules) {
  EXPECT_EQ(pattern_of({"a.0.q_proj", "a.0.k_proj", "a.1.q_proj"}), "re:.*\\.(q_proj|k_proj)$");
  EXPECT_EQ(pattern_of({"a.0.down_proj"}), "re:.*\\.down_proj$");
}

}  // namespace
}  // namespace advisor
