#include "estimate/ability.h"

#include <gmock/gmock.h>

#include "estimate/scores_world.h"

namespace advisor {
namespace {

struct Ability : testing::Test {
  Knowledge world = world_of_scores();
  const ScoreTable table{"task3", "h", ""};

  AbilityModel model() const { return AbilityModel(fit_scores(world), world.tasks); }
  Model stranger(double params) const {
    auto m = world.models.front();
    m.id = "lab/stranger";
    m.params = params;
    return m;
  }
  static double width(const Baseline& baseline) { return baseline.high - baseline.low; }
};

TEST_F(Ability, WiderOnUnknownGround) {
  const auto abilities = model();
  auto known = world.models[12];
  const auto own = abilities.predict(known, table);
  ASSERT_TRUE(own);
  EXPECT_EQ(own->basis, Basis::transferred);
  EXPECT_GT(own->n, 0);
  const auto from_traits = abilities.predict(stranger(*known.params), table);
  EXPECT_EQ(from_traits->basis, Basis::modelled);
  EXPECT_GT(width(*from_traits), width(*own));
  auto undated = stranger(*known.params);
  undated.developer = "nobody", undated.released.clear();
  EXPECT_GT(width(*abilities.predict(undated, table)), width(*from_traits));
  EXPECT_GT(width(*abilities.predict(known, {"task3", "new harness", ""})), width(*own));
  EXPECT_GT(width(*abilities.predict(known, {"task3", "", ""})), width(*own));
  for (const auto& prediction : {*own, *from_traits}) {
    EXPECT_FALSE(prediction.sources.empty());
    EXPECT_THAT(prediction.how, testing::HasSubstr("predicted from"));
  }
}

TEST_F(Ability, LargerIsBetterAndBoundsHold) {
  const auto abilities = model();
  double last = 0;
  for (const double params : {1e9, 4e9, 16e9, 64e9}) {
    const auto predicted = abilities.predict(stranger(params), table);
    EXPECT_GT(predicted->value, last);
    EXPECT_GE(predicted->low, 0);
    EXPECT_LE(predicted->high, 1);
    EXPECT_GE(predicted->value, 0.25) << "never below guessing";
    last = predicted->value;
    double before = 0;
    for (const double p : {0.01, 0.05, 0.3, 0.5, 0.7, 0.95, 0.99}) {
      EXPECT_GE(predicted->quantile(p), before);
      before = predicted->quantile(p);
    }
  }
}

TEST_F(Ability, NothingIsPredictedFromNothing) {
  const auto abilities = model();
  EXPECT_FALSE(abilities.predict(world.models[0], {"never scored", "h", ""})) << "nobody was scored on it";
  EXPECT_FALSE(abilities.predict(stranger(1e6), table)) << "a thousand times smaller than any scored model";
  EXPECT_FALSE(abilities.predict(stranger(1e13), table));
  EXPECT_TRUE(abilities.predict(stranger(0.6e9), table));
  world.tasks[3].family = "vision_language";
  for (auto& score : world.scores)
    if (score.task == "task3") score.family = "vision_language";
  auto seeing = stranger(8e9);
  EXPECT_FALSE(model().predict(seeing, table)) << "takes no pictures";
  seeing.modalities_in.push_back("image");
  EXPECT_TRUE(model().predict(seeing, table));
  EXPECT_FALSE(AbilityModel({}, world.tasks).predict(world.models[0], table)) << "no terms";
}

TEST_F(Ability, OwnScoresSharpen) {
  auto abilities = model();
  const auto model = stranger(8e9);
  const auto before = *abilities.predict(model, table);
  const double better = before.quantile(0.9);
  double last = width(before);
  for (int t = 0; t < 3; ++t) {
    ScoreRow row{model.id,   "task" + std::to_string(t + 4), "knowledge", "h", "", better, 0.25, false, "2026-01-02",
                 {"local:1"}};
    abilities.learn(row, model);
    const auto after = *abilities.predict(model, table);
    EXPECT_LT(width(after), last);
    last = width(after);
  }
  const auto after = *abilities.predict(model, table);
  EXPECT_EQ(after.basis, Basis::transferred);
  EXPECT_EQ(after.n, 3);
  EXPECT_THAT(after.sources, testing::Contains("local:1"));
  abilities.learn({model.id, "never scored", "knowledge", "h", "", 0.5, 0, false, "2026-01-02", {"local:1"}}, model);
  EXPECT_EQ(abilities.predict(model, table)->value, after.value) << "a benchmark that says nothing yet";
}

}  // namespace
}  // namespace advisor
