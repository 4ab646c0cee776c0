#include "estimate/quality_terms.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "estimate/quality_world.h"

namespace advisor {
namespace {

const FittedTerm* find(const std::vector<FittedTerm>& terms, const std::string& term, const std::string& level) {
  const auto found =
      std::find_if(terms.begin(), terms.end(), [&](const auto& t) { return t.term == term && t.level == level; });
  return found == terms.end() ? nullptr : &*found;
}

TEST(QualityTerms, RowsThatAreLeftOutCountNowhere) {
  auto knowledge = small_quality_world();
  auto other = knowledge.quality.front();
  other.source = "d", other.technique = "awq";
  knowledge.quality.push_back(other);
  QualitySolver solver(knowledge);
  solver.solve();
  const auto all = quality_terms(solver, knowledge);
  ASSERT_TRUE(find(all, "technique", "awq"));
  EXPECT_EQ(find(all, "measured", "accuracy")->rows, 13);
  solver.solve({"d"});
  const auto rest = quality_terms(solver, knowledge);
  EXPECT_EQ(find(rest, "technique", "awq"), nullptr);
  EXPECT_EQ(find(rest, "treatment_at", "W4A16 awq"), nullptr);
  EXPECT_EQ(find(rest, "measured", "accuracy")->rows, 12);
  EXPECT_EQ(find(rest, "technique", "gptq")->rows, 12);
  EXPECT_THAT(find(rest, "technique", "gptq")->sources, testing::ElementsAre("a", "b", "c"));
}

TEST(QualityTerms, ATestOfKnownLengthHasNoiseBeforeItsFirstRow) {
  auto knowledge = small_quality_world();
  knowledge.tasks.push_back({"long", "benchmark", "knowledge", 0.25, true, {}, 10000});
  knowledge.tasks.push_back({"short", "benchmark", "knowledge", 0.25, true, {}, 100});
  QualitySolver solver(knowledge);
  solver.solve();
  const auto terms = quality_terms(solver, knowledge);
  ASSERT_TRUE(find(terms, "noise", "task long") && find(terms, "noise", "task short"));
  EXPECT_NEAR(find(terms, "noise", "task short")->value, 10 * find(terms, "noise", "task long")->value, 1e-9);
  EXPECT_EQ(find(terms, "noise", "task short")->rows, 0);
  EXPECT_TRUE(find(terms, "noise", "all"));
}

TEST(QualityTerms, NothingLeftIsNoTerm) {
  const auto knowledge = small_quality_world();
  QualitySolver solver(knowledge);
  solver.solve({"a", "b", "c"});
  EXPECT_TRUE(quality_terms(solver, knowledge).empty());
}

}  // namespace
}  // namespace advisor
