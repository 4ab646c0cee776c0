#include "estimate/scores_fit.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "estimate/ability.h"
#include "estimate/scores_world.h"

namespace advisor {
namespace {

std::map<std::string, FittedTerm> by_level(const std::vector<FittedTerm>& terms, const std::string& term) {
  std::map<std::string, FittedTerm> levels;
  for (const auto& one : terms)
    if (one.term == term) levels[one.level] = one;
  return levels;
}

TEST(ScoresFit, FindsTheWorldAgain) {
  const auto terms = fit_scores(world_of_scores());
  const auto slopes = by_level(terms, "slope");
  EXPECT_NEAR(slopes.at("ln_params").value, 0.5, 0.12);
  EXPECT_GT(slopes.at("ln_params").sd, 0);
  const auto tasks = by_level(terms, "task");
  for (int t = 1; t < 8; ++t)
    EXPECT_GT(tasks.at("task" + std::to_string(t)).value, tasks.at("task" + std::to_string(t - 1)).value);
  const auto spreads = by_level(terms, "spread");
  EXPECT_NEAR(spreads.at("residual").value, 0.3 * std::sqrt(1.0 / 3), 0.06);
  EXPECT_NEAR(spreads.at("ability").value, 0.5 * std::sqrt(1.0 / 3), 0.1);
  EXPECT_EQ(by_level(terms, "scored").at("task0|h|").rows, 24);
  EXPECT_EQ(by_level(terms, "scored").at("task0|g|").rows, 8);
  EXPECT_EQ(by_level(terms, "ability").at("lab/model0").rows, 16);
  EXPECT_THAT(by_level(terms, "table").at("task0|g").sources, testing::ElementsAre("https://g"));
}

TEST(ScoresFit, HeldOutScoresFallIntoTheirIntervals) {
  const auto world = world_of_scores();
  int n = 0, inside = 0;
  double error = 0, of_mean = 0;
  for (int fold = 0; fold < 8; ++fold) {
    auto known = world;
    const auto out = [&](const Score& score) { return score.model == "lab/model" + std::to_string(3 * fold + 1); };
    std::erase_if(known.scores, out);
    const AbilityModel abilities(fit_scores(known), world.tasks);
    for (const auto& score : world.scores) {
      if (!out(score)) continue;
      const auto model =
          std::find_if(world.models.begin(), world.models.end(), [&](const Model& m) { return m.id == score.model; });
      const auto predicted = abilities.predict(*model, {score.task, score.harness, score.mode});
      ASSERT_TRUE(predicted);
      EXPECT_EQ(predicted->basis, Basis::modelled);
      double mean = 0, rows = 0;
      for (const auto& other : known.scores)
        if (other.task == score.task && other.harness == score.harness) mean += other.value, ++rows;
      ++n;
      inside += score.value >= predicted->low && score.value <= predicted->high;
      error += std::abs(predicted->value - score.value);
      of_mean += std::abs(mean / rows - score.value);
    }
  }
  EXPECT_GE(inside, 0.8 * n) << n;
  EXPECT_LT(error, 0.7 * of_mean) << "better than the mean of the benchmark";
}

TEST(ScoresFit, OrderOfRowsChangesNoByte) {
  auto world = world_of_scores();
  const auto terms = fit_scores(world);
  std::reverse(world.scores.begin(), world.scores.end());
  std::reverse(world.models.begin(), world.models.end());
  EXPECT_EQ(fit_scores(world), terms);
}

TEST(ScoresFit, TheUsersOwnRowsAreNotInIt) {
  auto world = world_of_scores();
  const auto terms = fit_scores(world);
  auto own = world.scores.front();
  own.recorded = "2026-01-02", own.value = 0.99, own.harness = "mine";
  world.scores.push_back(own);
  EXPECT_EQ(fit_scores(world), terms);
}

TEST(ScoresFit, BaselinesOfCompressedModelsCount) {
  auto world = world_of_scores();
  QualityMeasurement row;
  row.source = "paper", row.model = "lab/model3", row.task = "task1", row.family = "knowledge";
  row.metric_kind = "proportion", row.baseline = 0.6, row.value = 0.58;
  world.quality = {row, row};
  const auto terms = fit_scores(world);
  EXPECT_EQ(by_level(terms, "table").at("task1|paper").rows, 1) << "one baseline, stated twice";
  EXPECT_FALSE(by_level(terms, "scored").contains("task1|paper|"));
  EXPECT_THAT(by_level(terms, "ability").at("lab/model3").sources, testing::Contains("paper"));
}

TEST(ScoresFit, NothingToFit) {
  EXPECT_TRUE(fit_scores({}).empty());
  auto one = world_of_scores(2, 1);
  one.scores.resize(1);
  for (const auto& term : fit_scores(one)) EXPECT_TRUE(std::isfinite(term.value) && term.sd >= 0) << term.term;
}

}  // namespace
}  // namespace advisor
