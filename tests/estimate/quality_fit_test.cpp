#include "estimate/quality_fit.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "estimate/quality_world.h"

namespace advisor {
namespace {

const FittedTerm* find(const std::vector<FittedTerm>& terms, const char* term, const char* level) {
  const auto found =
      std::find_if(terms.begin(), terms.end(), [&](const auto& t) { return t.term == term && t.level == level; });
  return found == terms.end() ? nullptr : &*found;
}

TEST(QualityFit, NothingMeasuredIsNoTerm) { EXPECT_TRUE(fit_quality({}).empty()); }

TEST(QualityFit, FindsTheSlopeOfSizeAndCountsItsRows) {
  const auto terms = fit_quality(small_quality_world());
  const auto* size = find(terms, "size", "quantized");
  ASSERT_TRUE(size);
  EXPECT_NEAR(size->value, -0.3, 0.2);
  EXPECT_LT(size->sd, 0.3) << "surer than before";
  EXPECT_EQ(size->rows, 12);
  EXPECT_THAT(size->sources, testing::ElementsAre("a", "b", "c"));
  EXPECT_EQ(find(terms, "measured", "accuracy")->rows, 12);
  EXPECT_EQ(find(terms, "source", "a"), nullptr) << "of no use for another source";
}

TEST(QualityFit, OrderChangesNothing) {
  auto knowledge = small_quality_world();
  const auto before = fit_quality(knowledge);
  std::reverse(knowledge.quality.begin(), knowledge.quality.end());
  EXPECT_EQ(fit_quality(knowledge), before);
  std::rotate(knowledge.quality.begin(), knowledge.quality.begin() + 5, knowledge.quality.end());
  EXPECT_EQ(fit_quality(knowledge), before);
}

TEST(QualityFit, OneBrokenRowDoesNotMoveTheRest) {
  auto knowledge = small_quality_world();
  const double before = find(fit_quality(knowledge), "treatment_at", "W4A16 gptq")->value;
  auto broken = knowledge.quality.front();
  broken.source = "d", broken.value = 0.25;  // a method that failed altogether
  knowledge.quality.push_back(broken);
  const auto terms = fit_quality(knowledge);
  EXPECT_NEAR(find(terms, "treatment_at", "W4A16 gptq")->value, before, 0.25);
}

TEST(QualityFit, StepsOfBitsAreNotNegative) {
  auto knowledge = small_quality_world();
  for (auto& row : knowledge.quality)  // 8 bits measured as worse than 4
    row.value = 0.25 + 0.5 * (row.weight_bits == 8 ? 0.8 : 0.99);
  for (const auto& term : fit_quality(knowledge)) {
    if (term.term == "bits") {
      EXPECT_GE(term.value, 0) << term.level;
    }
  }
}

TEST(QualityFit, GuessedSharesAreFoundWhereChanceIsNotKnown) {
  auto knowledge = small_quality_world();
  for (const char* source : {"a", "b", "c", "d"})
    for (const double bits : {4.0, 2.0, 1.0}) {
      auto r = knowledge.quality.front();
      r.source = source, r.task = "average", r.family = "mixed", r.weight_bits = bits;
      r.baseline = 0.6, r.value = bits == 4 ? 0.58 : 0.3;  // whatever is done, half of the score stays
      knowledge.quality.push_back(r);
      r.task = "mmlu", r.family = "knowledge", r.baseline = 0.75, r.value = bits == 4 ? 0.72 : 0.25;
      knowledge.quality.push_back(r);
    }
  const auto terms = fit_quality(knowledge);
  EXPECT_NEAR(find(terms, "guess_family", "mixed")->value + find(terms, "guess_task", "average")->value, 0.3, 0.05);
}

TEST(QualityFit, NoisyTasksAreKnownAsSuch) {
  auto knowledge = small_quality_world();
  for (int i = 0; i < 24; ++i) {
    auto r = knowledge.quality[static_cast<std::size_t>(i) % 12];
    r.task = "short", r.family = "reading";
    r.value += i < 12 ? 0.03 : -0.03;
    knowledge.quality.push_back(r);
  }
  const auto terms = fit_quality(knowledge);
  EXPECT_GT(find(terms, "noise", "task short")->value, 3 * find(terms, "noise", "task mmlu")->value);
}

}  // namespace
}  // namespace advisor
