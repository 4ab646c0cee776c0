#include "estimate/pooling.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace advisor {
namespace {

constexpr PoolPrior prior{.mean = 0, .variance = 0.25, .between = 0.04};

TEST(Pooling, NothingIsThePrior) {
  const auto pooled = pool({}, prior);
  EXPECT_EQ(pooled.mean, prior.mean);
  EXPECT_EQ(pooled.variance, prior.variance);
  EXPECT_EQ(pooled.rows, 0);
}

TEST(Pooling, OneRowByHand) {
  // Precisions 4 and 1 / (0.04 + 0.06) = 10: mean 10 / 14, variance 1 / 14.
  const std::vector<Sample> one{{1, 0.06, "a"}};
  const auto pooled = pool(one, prior);
  EXPECT_NEAR(pooled.mean, 10.0 / 14, 1e-12);
  EXPECT_NEAR(pooled.variance, 1.0 / 14, 1e-12);
  EXPECT_THAT(pooled.sources, testing::ElementsAre("a"));
}

TEST(Pooling, ManyRowsOfOneSourceNeverSayMoreThanThatSource) {
  const std::vector<Sample> rows(1000, {1, 0.06, "large"});
  EXPECT_GT(pool(rows, prior).variance, 1 / (1 / prior.variance + 1 / prior.between));
  // By rows the mean would be 1; four other sources pull it to the middle of the sources.
  auto all = rows;
  for (const char* source : {"a", "b", "c", "d"}) all.push_back({-1, 0.01, source});
  EXPECT_LT(pool(all, prior).mean, 0);
}

TEST(Pooling, MoreRowsNeverWiden) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> value(-2, 2), variance(0.01, 1);
  std::vector<Sample> rows;
  double before = prior.variance;
  for (int i = 0; i < 200; ++i) {
    rows.push_back({value(random), variance(random), std::to_string(i % 7)});
    const double after = pool(rows, prior).variance;
    EXPECT_LE(after, before);
    EXPECT_GT(after, 0);
    before = after;
  }
}

TEST(Pooling, OrderDoesNotMatterBeyondRounding) {
  std::vector<Sample> rows;
  for (int i = 0; i < 30; ++i)
    rows.push_back({0.003 * (i * 7 % 30), 0.01 * (1 + i % 2), std::string(1, static_cast<char>('a' + i % 5))});
  const auto before = pool(rows, prior);
  std::mt19937 random(1);
  std::shuffle(rows.begin(), rows.end(), random);
  const auto after = pool(rows, prior);
  EXPECT_NEAR(before.mean, after.mean, 1e-12);
  EXPECT_NEAR(before.variance, after.variance, 1e-12);
}

TEST(Pooling, IntervalsCoverTheTruth) {
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  int covered = 0;
  constexpr int trials = 2000;
  for (int t = 0; t < trials; ++t) {
    const double truth = std::sqrt(prior.variance) * normal(random);
    std::vector<Sample> rows;
    for (int s = 0; s < 6; ++s) {
      const double mean = truth + std::sqrt(prior.between) * normal(random);
      for (int i = 0; i < 4; ++i) rows.push_back({mean + 0.3 * normal(random), 0.09, std::to_string(s)});
    }
    const auto p = pool(rows, prior);
    covered += std::abs(truth - p.mean) < 1.6449 * std::sqrt(p.variance);
  }
  EXPECT_GT(covered, 0.88 * trials);
  EXPECT_LT(covered, 0.92 * trials);
}

}  // namespace
}  // namespace advisor
