#include "estimate/pooling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace advisor {
namespace {

constexpr PoolPrior prior{.within = 0.02, .between = 0.01};

TEST(Pooling, NothingIsNothing) { EXPECT_FALSE(pool({}, prior)); }

TEST(Pooling, OneRowNeverHasZeroSpread) {
  const std::vector<Sample> one{{0.98, 1, "a"}};
  const auto pooled = pool(one, prior);
  EXPECT_DOUBLE_EQ(pooled->mean.mean, 0.98);
  EXPECT_GE(pooled->prediction.sd, std::hypot(prior.within, prior.between));
  EXPECT_LT(pooled->prediction.df, 5);
}

TEST(Pooling, ManyRowsOfOneSourceDoNotOutvoteManySources) {
  std::vector<Sample> rows;
  for (int i = 0; i < 100; ++i) rows.push_back({0.90 + 0.0001 * i, 1, "large"});
  for (const char* source : {"a", "b", "c", "d"}) rows.push_back({1.0, 1, source});
  // By rows the mean would be 0.909; five sources with a between-source spread pull it to the middle of the sources.
  EXPECT_GT(pool(rows, prior)->mean.mean, 0.95);
}

TEST(Pooling, DisagreeingSourcesWidenThePrediction) {
  const std::vector<Sample> agree{{0.97, 1, "a"}, {0.97, 1, "b"}, {0.97, 1, "c"}, {0.97, 1, "d"}};
  const std::vector<Sample> differ{{0.87, 1, "a"}, {0.94, 1, "b"}, {1.00, 1, "c"}, {1.07, 1, "d"}};
  EXPECT_GT(pool(differ, prior)->prediction.sd, 1.5 * pool(agree, prior)->prediction.sd);
}

TEST(Pooling, OrderDoesNotMatterBeyondRounding) {
  std::vector<Sample> rows;
  for (int i = 0; i < 30; ++i)
    rows.push_back({0.9 + 0.003 * (i * 7 % 30), 1.0 + i % 2, std::string(1, static_cast<char>('a' + i % 5))});
  const auto before = pool(rows, prior)->prediction;
  std::mt19937 random(1);
  std::shuffle(rows.begin(), rows.end(), random);
  const auto after = pool(rows, prior)->prediction;
  EXPECT_NEAR(before.mean, after.mean, 1e-12);
  EXPECT_NEAR(before.sd, after.sd, 1e-12);
}

TEST(Pooling, PredictionsCoverNewSources) {
  // Sources around 0.97 with sd 0.01, rows with sd 0.02: the 90 % interval of 6 sources must cover about 90 % of new
  // ones.
  std::mt19937 random(7);
  std::normal_distribution<double> normal;
  int covered = 0;
  constexpr int trials = 2000;
  for (int t = 0; t < trials; ++t) {
    std::vector<Sample> rows;
    for (int s = 0; s < 6; ++s) {
      const double mean = 0.97 + 0.01 * normal(random);
      for (int i = 0; i < 4; ++i) rows.push_back({mean + 0.02 * normal(random), 1, std::to_string(s)});
    }
    const double next = 0.97 + 0.01 * normal(random) + 0.02 * normal(random);
    const auto p = pool(rows, prior)->prediction;
    covered += next >= p.quantile(0.05) && next <= p.quantile(0.95);
  }
  EXPECT_GT(covered, 0.86 * trials);
  EXPECT_LT(covered, 0.97 * trials);
}

}  // namespace
}  // namespace advisor
