#include "estimate/scores.h"

#include <gmock/gmock.h>

#include "estimate/fits.h"
#include "estimate/scores_fit.h"
#include "estimate/scores_world.h"

namespace advisor {
namespace {

TEST(ScoreTables, PublishedScoresWinOverPredictions) {
  auto world = world_of_scores();
  const auto& first = world.scores.front();
  const ScoreTables tables(world);
  const auto measured = tables.baseline(first.model, {first.task, first.harness, ""});
  ASSERT_TRUE(measured);
  EXPECT_EQ(measured->basis, Basis::measured);
  EXPECT_FALSE(measured->predicted());
  EXPECT_EQ(measured->value, first.value);
  EXPECT_EQ(measured->source, first.url);
  EXPECT_LT(measured->low, measured->value);
  EXPECT_GT(measured->high, measured->value);
  EXPECT_EQ(measured->n, 1);
  EXPECT_THAT(tables.ranked({"task0", "h", ""}), testing::SizeIs(24));
  EXPECT_EQ(tables.baseline("lab/model1", {"task0", "g", ""})->basis, Basis::transferred) << "only h scored it";
}

TEST(ScoreTables, ChoosesTheTableThatHasTheModelThenTheLargest) {
  const auto world = world_of_scores();
  const ScoreTables tables(world);
  EXPECT_EQ(tables.choose("lab/model0", {"task2", "knowledge", 0.25}), (ScoreTable{"task2", "h", ""}));
  EXPECT_EQ(tables.choose("unknown", {"", "knowledge", 0})->harness, "h");
  EXPECT_FALSE(tables.choose("lab/model0", {"never scored", "knowledge", 0}));
  EXPECT_FALSE(tables.baseline("unknown", {"task2", "h", ""})) << "nothing is known of it, not even its size";
}

TEST(ScoreTables, ABenchmarkOnWhichTheModelFailsIsTheLastChoice) {
  auto world = world_of_scores();
  const Yardstick family{"", "knowledge", 0};
  const auto before = ScoreTables(world).choose("lab/model0", family);
  for (auto& score : world.scores)
    if (score.model == "lab/model0" && score.task == before->task) score.value = 0.04;
  const auto after = ScoreTables(world).choose("lab/model0", family);
  EXPECT_NE(after->task, before->task);
  EXPECT_EQ(ScoreTables(world).choose("lab/model0", {before->task, "knowledge", 0})->task, before->task)
      << "unless it is the one that was named";
}

TEST(ScoreTables, ABenchmarkKnownFromBaselinesOnlyIsPredicted) {
  auto world = world_of_scores();
  for (auto& score : world.scores) {
    if (score.task != "task5" || score.harness != "h") continue;
    QualityMeasurement row;
    row.source = "paper", row.model = score.model, row.task = score.task, row.family = score.family;
    row.metric_kind = "proportion", row.baseline = score.value, row.value = 0.9 * score.value;
    world.quality.push_back(row);
  }
  std::erase_if(world.scores, [](const Score& score) { return score.task == "task5"; });
  const ScoreTables tables(world);
  const auto table = tables.choose("lab/model3", {"task5", "knowledge", 0.25});
  EXPECT_EQ(table, (ScoreTable{"task5", "", ""}));
  EXPECT_TRUE(tables.baseline("lab/model3", *table)->predicted());
  EXPECT_TRUE(tables.ranked(*table).empty());
}

TEST(ScoreTables, OneModelsRowsAreEnough) {
  auto world = world_of_scores();
  world.fits = fit_all(world);
  const ScoreTables whole(world);
  auto slice = world;
  std::erase_if(slice.scores, [](const Score& score) { return score.model != "lab/model4"; });
  const ScoreTables part(slice);
  for (const auto& task : world.tasks)
    for (const char* harness : {"h", "g", "unseen", ""}) {
      const auto a = whole.baseline("lab/model4", {task.id, harness, ""}),
                 b = part.baseline("lab/model4", {task.id, harness, ""});
      ASSERT_TRUE(a && b);
      EXPECT_EQ(a->value, b->value);
      EXPECT_EQ(a->low, b->low);
      EXPECT_EQ(a->high, b->high);
      EXPECT_EQ(a->how, b->how);
      EXPECT_EQ(a->sources, b->sources);
    }
  EXPECT_EQ(whole.choose("lab/model4", {"task1", "knowledge", 0}),
            part.choose("lab/model4", {"task1", "knowledge", 0}));
  EXPECT_EQ(whole.choose("lab/model4", {"", "knowledge", 0}), part.choose("lab/model4", {"", "knowledge", 0}));
}

TEST(ScoreTables, RecordedScoresAreMeasurementsAtOnce) {
  auto world = world_of_scores();
  world.fits = fit_all(world);
  Model mine = world.models[10];
  mine.id = "me/finetuned";
  world.models.push_back(mine);
  const auto before = ScoreTables(world).baseline("me/finetuned", {"task2", "h", ""});
  EXPECT_EQ(before->basis, Basis::modelled);
  world.scores.push_back({"me/finetuned", "task1", "knowledge", "acc", "5", "", "mine", 0.8, "local:1", "",
                          "proportion", false, "", "2026-01-02"});
  const ScoreTables tables(world);
  const auto own = tables.baseline("me/finetuned", {"task1", "mine", ""});
  EXPECT_EQ(own->basis, Basis::measured);
  EXPECT_EQ(own->how, "measured here on 2026-01-02");
  const auto after = tables.baseline("me/finetuned", {"task2", "h", ""});
  EXPECT_EQ(after->basis, Basis::transferred);
  EXPECT_LT(after->high - after->low, before->high - before->low);
}

}  // namespace
}  // namespace advisor
