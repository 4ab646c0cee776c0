#include "evaluate/divergence.h"

#include <cmath>
#include <limits>
#include <random>

#include "gtest/gtest.h"

namespace advisor {
namespace {

using Logits = std::vector<float>;

Logits random_logits(std::mt19937& random, std::size_t n, float spread) {
  std::normal_distribution<float> normal(0, spread);
  Logits out(n);
  for (float& x : out) x = normal(random);
  return out;
}

TEST(CompareToken, KnownFigures) {
  // p = (1/2, 1/4, 1/4), q = (1/4, 1/4, 1/2), up to constants
  const Logits p{std::log(2.0F), 0, 0}, q{3, 3, 3 + std::log(2.0F)};
  const TokenComparison token = compare_token(q, p, 0);
  EXPECT_NEAR(token.kl, 0.25 * std::log(2.0), 1e-7);
  EXPECT_NEAR(token.log_p, std::log(0.25), 1e-7);
  EXPECT_NEAR(token.baseline_log_p, std::log(0.5), 1e-7);
  EXPECT_FALSE(token.same_top);
  EXPECT_TRUE(compare_token(p, p, 1).same_top);
}

TEST(CompareToken, AgreesWithTheDefinitionAndIsNeverNegative) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 2 + random() % 300;
    const Logits p = random_logits(random, n, 3);
    Logits q = random_logits(random, n, round % 2 == 0 ? 3 : 1e-3F);
    if (round % 2 == 1)
      for (std::size_t i = 0; i < n; ++i) q[i] += p[i];
    double p_sum = 0, q_sum = 0, kl = 0;
    for (std::size_t i = 0; i < n; ++i) p_sum += std::exp(double{p[i]}), q_sum += std::exp(double{q[i]});
    for (std::size_t i = 0; i < n; ++i) {
      const double pi = std::exp(double{p[i]}) / p_sum, qi = std::exp(double{q[i]}) / q_sum;
      kl += pi * std::log(pi / qi);
    }
    const TokenComparison token = compare_token(q, p, static_cast<std::int32_t>(n - 1));
    EXPECT_NEAR(token.kl, kl, 1e-12 + 1e-9 * kl);
    EXPECT_GE(token.kl, 0);
    EXPECT_NEAR(token.log_p, double{q[n - 1]} - std::log(q_sum), 1e-9);
  }
}

TEST(CompareToken, ShiftsAndLargeLogitsChangeNothing) {
  std::mt19937 random(2);
  const Logits p = random_logits(random, 50, 2), q = random_logits(random, 50, 2);
  Logits far = q;
  for (float& x : far) x += 4096;
  EXPECT_NEAR(compare_token(far, p, 3).kl, compare_token(q, p, 3).kl, 2e-3);  // float32 at 4096 has steps of 5e-4
  EXPECT_EQ(compare_token(q, q, 3).kl, 0);
}

TEST(CompareToken, WhatIsNoNumberShowsInTheProbability) {
  const Logits p{0, 1, 2}, bad{0, std::numeric_limits<float>::quiet_NaN(), 2};
  EXPECT_FALSE(std::isfinite(compare_token(bad, p, 0).log_p));
  EXPECT_FALSE(std::isfinite(compare_token(p, bad, 0).baseline_log_p));
}

TEST(SummariseDivergence, MeanQuantilesAndShares) {
  std::vector<std::vector<TokenComparison>> windows(2);
  for (int i = 1; i <= 100; ++i) {
    TokenComparison token;
    token.kl = i;
    token.same_top = i % 4 == 0;
    token.log_p = std::log(0.5);
    token.baseline_log_p = std::log(0.25);
    windows[static_cast<std::size_t>(i % 2)].push_back(token);
  }
  const Divergence all = summarise_divergence(windows);
  EXPECT_DOUBLE_EQ(all.mean, 50.5);
  EXPECT_EQ(all.median, 50);
  EXPECT_EQ(all.p99, 99);
  EXPECT_EQ(all.maximum, 100);
  EXPECT_DOUBLE_EQ(all.same_top, 0.25);
  EXPECT_NEAR(all.rms_change, 0.25, 1e-12);
  EXPECT_NEAR(all.baseline_perplexity, 4, 1e-12);
  EXPECT_LT(all.low, all.mean);
  EXPECT_GT(all.high, all.mean);

  const Divergence one =
      summarise_divergence(std::vector<std::vector<TokenComparison>>(1, {TokenComparison{-1, -1, 0.5}}));
  EXPECT_EQ(one.median, 0.5);
  EXPECT_EQ(one.p99, 0.5);
  EXPECT_TRUE(std::isnan(one.low)) << "a single window has no interval";
}

}  // namespace
}  // namespace advisor
