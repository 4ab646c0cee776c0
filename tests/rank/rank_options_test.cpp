#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "rank/rank.h"

namespace advisor {
namespace {

Judged judged(const char* model, double quality, double cost, double rate, const char* action = "compress") {
  Judged j;
  j.option.action = action;
  j.option.variant.model = model;
  j.option.variant.engine = "vllm";
  j.option.memory.concurrency = 1;
  j.quality = quality;
  if (cost > 0) j.option.usd_per_million_tokens = Estimate{.mean = cost, .sources = {}};
  if (rate > 0) j.option.decode_tokens_per_second = Estimate{.mean = rate, .sources = {}};
  return j;
}

std::vector<std::string> order(std::vector<Judged> options, const std::vector<std::string>& priority) {
  rank_options(options, priority);
  std::vector<std::string> models;
  for (const auto& j : options) models.push_back(j.option.variant.model);
  return models;
}

TEST(FailedLimits, OnlyThoseThatAreSetAndMissed) {
  EXPECT_TRUE(failed_limits({}, 0.9).empty());
  const auto failed =
      failed_limits({.memory = 0.95, .accuracy = 0.5, .ttft = 0.9, .tpot = {}, .budget = 0.0, .effort = {}}, 0.9);
  ASSERT_EQ(failed.size(), 2u);
  EXPECT_EQ(failed[0].limit, "accuracy");
  EXPECT_EQ(failed[1].limit, "budget");
}

TEST(FailedLimits, MoreConfidenceNeverForgives) {
  const Chances chances{.memory = 0.99, .accuracy = 0.8, .ttft = 0.7, .tpot = 0.6, .budget = 1, .effort = {}};
  std::size_t last = 0;
  for (const double confidence : {0.5, 0.65, 0.75, 0.9, 0.999}) {
    const auto now = failed_limits(chances, confidence).size();
    EXPECT_GE(now, last);
    last = now;
  }
}

TEST(FailedLimits, NotANumberIsNotMet) {
  Chances chances;
  chances.memory = std::nan("");
  EXPECT_EQ(failed_limits(chances, 0.5).size(), 1u);
}

TEST(RankOptions, PriorityIsLexicographic) {
  const std::vector<Judged> options{judged("good", 1.0, 9, 10), judged("cheap", 0.9, 1, 20),
                                    judged("fast", 0.8, 5, 90)};
  EXPECT_EQ(order(options, {"quality", "cost", "latency"}).front(), "good");
  EXPECT_EQ(order(options, {"cost", "quality"}).front(), "cheap");
  EXPECT_EQ(order(options, {"latency"}).front(), "fast");
}

TEST(RankOptions, NoiseIsATieThatTheNextObjectiveDecides) {
  EXPECT_THAT(order({judged("a", 0.9902, 5, 1), judged("b", 0.9901, 2, 1)}, {"quality", "cost"}),
              testing::ElementsAre("b", "a"));
}

TEST(RankOptions, UnknownIsLast) {
  EXPECT_THAT(order({judged("a", 1, 0, 1), judged("b", 1, 50, 1)}, {"cost"}), testing::ElementsAre("b", "a"));
}

TEST(RankOptions, TiesGoToFewerChangesThenToTheId) {
  EXPECT_THAT(order({judged("z", 1, 1, 1, "keep"), judged("a", 1, 1, 1, "switch"), judged("b", 1, 1, 1, "compress")},
                    {"quality"}),
              testing::ElementsAre("z", "b", "a"));
  EXPECT_THAT(order({judged("b", 1, 1, 1), judged("a", 1, 1, 1)}, {"quality"}), testing::ElementsAre("a", "b"));
}

TEST(RankOptions, OrderOfInputDoesNotMatter) {
  std::vector<Judged> options;
  for (int i = 0; i < 30; ++i)
    options.push_back(judged(("m" + std::to_string(i)).c_str(), 0.9 + 0.01 * (i % 5), 1 + i % 3, 10 + i % 7));
  const auto expected = order(options, {"quality", "cost", "latency"});
  std::reverse(options.begin(), options.end());
  EXPECT_EQ(order(options, {"quality", "cost", "latency"}), expected);
}

TEST(RankOptions, EveryPlaceSaysWhatDecidedIt) {
  std::vector<Judged> options{judged("a", 1, 4, 10), judged("b", 1, 5, 10), judged("c", 0.9, 1, 10)};
  rank_options(options, {"quality", "cost"});
  EXPECT_EQ(options[0].option.rank, 1);
  EXPECT_THAT(options[0].option.decided_by, testing::HasSubstr("cost 4 USD per million tokens against 5"));
  EXPECT_THAT(options[0].option.decided_by, testing::HasSubstr("at equal quality"));
  EXPECT_THAT(options[1].option.decided_by, testing::HasSubstr("ahead of #3: quality"));
  EXPECT_FALSE(options[2].option.decided_by.empty());
}

}  // namespace
}  // namespace advisor
