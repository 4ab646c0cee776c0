#include "evaluate/statistics.h"

#include <cmath>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(Wilson, StaysInRangeContainsTheProportionAndNarrows) {
  for (std::int64_t n : {1, 2, 10, 100, 10000}) {
    for (std::int64_t correct : {std::int64_t{0}, n / 3, n}) {
      Interval interval = wilson_interval(correct, n);
      double p = static_cast<double>(correct) / static_cast<double>(n);
      EXPECT_GE(interval.low, 0);
      EXPECT_LE(interval.high, 1);
      EXPECT_LE(interval.low, p + 1e-12);
      EXPECT_GE(interval.high, p - 1e-12);
      Interval larger = wilson_interval(4 * correct, 4 * n);
      EXPECT_LT(larger.high - larger.low, interval.high - interval.low);
      Interval mirrored = wilson_interval(n - correct, n);
      EXPECT_NEAR(mirrored.low, 1 - interval.high, 1e-12);
    }
  }
}

TEST(Wilson, KnownFigures) {
  EXPECT_NEAR(wilson_interval(8, 10).low, 0.4902, 1e-4);
  EXPECT_NEAR(wilson_interval(8, 10).high, 0.9433, 1e-4);
  EXPECT_NEAR(wilson_interval(0, 10).high, 0.2775, 1e-4);
}

TEST(StudentQuantile, TabulatedValues) {
  EXPECT_TRUE(std::isnan(student_quantile(0)));
  EXPECT_NEAR(student_quantile(1), 12.706, 1e-3);
  EXPECT_NEAR(student_quantile(2), 4.303, 1e-3);
  EXPECT_NEAR(student_quantile(3), 3.182, 7e-3);
  EXPECT_NEAR(student_quantile(5), 2.571, 1e-3);
  EXPECT_NEAR(student_quantile(10), 2.228, 1e-3);
  EXPECT_NEAR(student_quantile(1000000), 1.960, 1e-3);
}

TEST(MeanNll, EqualWindowsHaveNoSpreadAndOneWindowHasNoInterval) {
  std::vector<WindowLoss> windows(5, {512.0, 255});
  windows.push_back({51.2, 26});  // a short one, nearly at the same rate
  Interval interval = mean_nll_interval(windows);
  EXPECT_NEAR(interval.low, interval.high, 0.01);
  EXPECT_TRUE(std::isnan(mean_nll_interval(std::vector<WindowLoss>(1, {5, 2})).low));
}

TEST(MeanNll, CoversTheTruthAsOftenAsItSays) {
  std::mt19937 random(1);
  std::normal_distribution<double> normal(4.0, 0.3);  // of a window's mean
  int covered = 0, rounds = 2000;
  for (int round = 0; round < rounds; ++round) {
    std::vector<WindowLoss> windows;
    for (int i = 0; i < 12; ++i) {
      windows.push_back({255 * normal(random), 255});
    }
    Interval interval = mean_nll_interval(windows);
    covered += interval.low <= 4.0 && 4.0 <= interval.high ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(covered) / rounds, 0.95, 0.015);
}

}  // namespace
}  // namespace advisor
