#include "estimate/score_rows.h"

#include <gmock/gmock.h>

namespace advisor {
namespace {

Score score(const char* model, double value) {
  return {model, "mmlu", "knowledge", "acc", "5", "", "x", value, "url", "", "proportion"};
}

TEST(ScoreRows, MiddleOfACellAndWhatIsLeftOut) {
  Knowledge k;
  k.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true, ""}};
  k.scores = {score("a", 0.7), score("a", 0.5), score("a", 0.6)};
  auto bad = score("b", 0.5);
  bad.suspect = "mislabelled";
  k.scores.push_back(bad);
  bad = score("c", 7.3);
  bad.metric_kind = "perplexity";
  k.scores.push_back(bad);
  bad = score("d", 0.5);
  bad.recorded = "2026-01-02";
  k.scores.push_back(bad);
  const auto rows = score_rows(k, ScoreRows::shipped);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].model, "a");
  EXPECT_EQ(rows[0].value, 0.6);
  EXPECT_EQ(rows[0].chance, 0.25);
  EXPECT_THAT(rows[0].sources, testing::ElementsAre("url"));
}

TEST(ScoreRows, ARecordedScoreAndTheBaselineMadeOfItAreOne) {
  Knowledge k;
  auto own = score("a", 0.7);
  own.recorded = "2026-01-02";
  k.scores = {own};
  QualityMeasurement row;
  row.source = "local:2", row.model = "a", row.task = "mmlu", row.family = "knowledge", row.recorded = "2026-01-02";
  row.metric_kind = "proportion", row.baseline = 0.7;
  k.quality = {row};
  EXPECT_EQ(score_rows(k, ScoreRows::recorded).size(), 1u);
  EXPECT_TRUE(score_rows(k, ScoreRows::shipped).empty());
  k.quality[0].baseline = 0.72;
  EXPECT_EQ(score_rows(k, ScoreRows::recorded).size(), 2u);
}

TEST(ScoreLogit, InvertsBetweenTheEndsAndStaysFinite) {
  for (const double chance : {0.0, 0.25, 0.5}) {
    for (const double value : {0.55, 0.7, 0.9}) {
      EXPECT_NEAR(logit_to_score(score_to_logit(value, chance), chance), value, 1e-12);
    }
    EXPECT_TRUE(std::isfinite(score_to_logit(0, chance)) && std::isfinite(score_to_logit(1, chance)));
    EXPECT_LT(score_to_logit(0, chance), score_to_logit(0.6, chance));
    EXPECT_EQ(logit_to_score(-800, chance), chance);
    EXPECT_EQ(logit_to_score(800, chance), 1);
  }
}

TEST(Traits, MissingOnesHaveAFlag) {
  Model model;
  model.id = "lab/some-7B-Instruct";
  auto traits = traits_of(model, false);
  EXPECT_EQ(traits.x[5], 1) << "size unknown";
  EXPECT_EQ(traits.x[6], 1) << "date unknown";
  EXPECT_EQ(traits.developer, "unknown");
  EXPECT_EQ(traits.kind, "instruction");
  model.params = 8e9, model.active_params = 2e9, model.released = "2025-01";
  traits = traits_of(model, false);
  EXPECT_EQ(traits.x[1], 0);
  EXPECT_NEAR(traits.x[2], std::log(0.25), 1e-12);
  EXPECT_NEAR(traits.x[3], 1 + 0.5 / 12, 1e-12);
  EXPECT_EQ(traits.x[5] + traits.x[6] + traits.x[7], 0);
  model.released = "soon", model.id = "lab/QwQ-32B";
  EXPECT_EQ(traits_of(model, false).x[6], 1);
  EXPECT_EQ(traits_of(model, false).kind, "reasoning");
}

}  // namespace
}  // namespace advisor
