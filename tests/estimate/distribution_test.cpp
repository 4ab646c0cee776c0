#include "estimate/distribution.h"

#include <gmock/gmock.h>

#include <cmath>

namespace advisor {
namespace {

TEST(Distribution, QuantileAndProbabilityAreInverse) {
  for (const double df : {3.0, 5.0, 30.0}) {
    const Distribution d{2, 0.5, df};
    for (const double p : {0.05, 0.3, 0.5, 0.9, 0.99}) EXPECT_NEAR(d.probability_below(d.quantile(p)), p, 1e-9);
  }
}

TEST(Distribution, KnownQuantilesOfStudent) {
  // Tables of Student's t: 97.5 % at 4 degrees of freedom is 2.776, 95 % at 10 is 1.812.
  EXPECT_NEAR((Distribution{0, 1, 4}.quantile(0.975)), 2.776, 5e-4);
  EXPECT_NEAR((Distribution{0, 1, 10}.quantile(0.95)), 1.812, 5e-4);
}

TEST(Distribution, ExactValueIsAStep) {
  const Distribution d{0.7, 0, 30};
  EXPECT_EQ(d.probability_below(0.69), 0);
  EXPECT_EQ(d.probability_below(0.7), 1);
  EXPECT_EQ(d.quantile(0.05), 0.7);
}

TEST(Distribution, FewerDegreesOfFreedomAreWider) {
  EXPECT_LT((Distribution{0, 1, 3}.quantile(0.05)), (Distribution{0, 1, 30}.quantile(0.05)));
}

TEST(Distribution, EstimateSortsSourcesAndBracketsTheMean) {
  const auto e = to_estimate({1, 0.1, 5}, Basis::transferred, 3, {"b", "a", "b"});
  EXPECT_THAT(e.sources, testing::ElementsAre("a", "b"));
  EXPECT_LT(e.low, e.mean);
  EXPECT_GT(e.high, e.mean);
  const auto log = to_log_estimate({std::log(100), 0.3, 5}, Basis::prior, 0, {});
  EXPECT_NEAR(log.mean, 100, 1e-9);
  EXPECT_NEAR(log.low * log.high, 1e4, 1e-6);
}

}  // namespace
}  // namespace advisor
