#include "estimate/cost.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "fixture.h"

namespace advisor {
namespace {

Price offer(const char* provider, const char* sku, std::int64_t count, double usd, const char* as_of,
            const char* pricing = "on-demand") {
  return {provider, sku, "a100", count, usd, pricing, as_of, std::string("https://") + provider, "row"};
}

Knowledge offers(std::vector<Price> prices) {
  Knowledge knowledge;
  knowledge.prices = std::move(prices);
  return knowledge;
}

TEST(Cost, NewestPriceOfAnOfferWins) {
  const auto knowledge = offers({offer("a", "x", 1, 5, "2024-Q4"), offer("a", "x", 1, 3, "2026-04"),
                                 offer("a", "x", 1, 2, ""), offer("a", "x", 1, 4, "2026-Q1")});
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100())->mean, 3);
}

TEST(Cost, QuartersAndMonthsCompare) {
  EXPECT_DOUBLE_EQ(
      hourly_cost(offers({offer("a", "x", 1, 5, "2026-02"), offer("a", "x", 1, 3, "2026-Q1")}), a100())->mean, 3);
  EXPECT_DOUBLE_EQ(
      hourly_cost(offers({offer("a", "x", 1, 5, "2026-Q1"), offer("a", "x", 1, 3, "2026-04")}), a100())->mean, 3);
}

TEST(Cost, MedianAndSpreadAreOverProviders) {
  // a has three offers, of which the cheapest counts once.
  const auto knowledge = offers({offer("a", "x", 1, 2, ""), offer("a", "y", 1, 9, ""), offer("a", "z", 1, 8, ""),
                                 offer("b", "x", 1, 3, ""), offer("c", "x", 1, 5, "")});
  const auto cost = *hourly_cost(knowledge, a100(2));
  EXPECT_DOUBLE_EQ(cost.mean, 6);
  EXPECT_DOUBLE_EQ(cost.low, 4);
  EXPECT_DOUBLE_EQ(cost.high, 10);
  EXPECT_EQ(cost.n, 3);
  EXPECT_EQ(cost.sources.size(), 3u);
}

TEST(Cost, SmallEnoughMachinesComeFirst) {
  const auto knowledge = offers({offer("a", "node", 8, 8, ""), offer("a", "single", 1, 3, "")});
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100(1))->mean, 3);
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100(8))->mean, 8);
  EXPECT_DOUBLE_EQ(hourly_cost(offers({offer("a", "node", 8, 8, "")}), a100(1))->mean, 1) << "a share of the node";
}

TEST(Cost, PricingAndProviderAreChosen) {
  const auto knowledge = offers({offer("a", "x", 1, 4, ""), offer("b", "x", 1, 6, ""),
                                 offer("a", "x", 1, 1, "", "spot"), offer("a", "x", 1, 2, "", "reserved")});
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100())->mean, 4);
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100(), {.pricing = "spot"})->mean, 1);
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100(), {.pricing = "reserved"})->mean, 2);
  EXPECT_DOUBLE_EQ(hourly_cost(knowledge, a100(), {.provider = "b"})->mean, 6);
  EXPECT_FALSE(hourly_cost(knowledge, a100(), {.provider = "nobody"}));
}

TEST(Cost, TheUsersPriceWins) {
  const auto knowledge = offers({offer("a", "x", 1, 4, "")});
  const auto cost = *hourly_cost(knowledge, a100(2), {.user_usd_per_hour = 0.7});
  EXPECT_DOUBLE_EQ(cost.mean, 0.7);
  EXPECT_DOUBLE_EQ(cost.low, 0.7);
  EXPECT_DOUBLE_EQ(cost.high, 0.7);
  EXPECT_DOUBLE_EQ(hourly_cost({}, Hardware{}, {.user_usd_per_hour = 0.7})->mean, 0.7) << "of unknown hardware too";
}

TEST(Cost, OneOfferIsNotCertain) {
  const auto cost = *hourly_cost(offers({offer("a", "x", 1, 4, "")}), a100());
  EXPECT_LT(cost.low, 4);
  EXPECT_GT(cost.high, 4);
}

TEST(Cost, NothingIsKnownOfNothing) {
  EXPECT_FALSE(hourly_cost({}, a100()));
  EXPECT_FALSE(hourly_cost(offers({offer("a", "x", 1, 4, "")}), Hardware{}));
  EXPECT_FALSE(hourly_cost(offers({offer("a", "x", 0, 4, ""), offer("a", "y", 1, 0, "")}), a100()));
}

TEST(Cost, MillionTokensByHand) {
  Rate rate;
  rate.log = {std::log(100.0), 0, 10};
  Estimate hour;
  hour.mean = 3.6;
  // 3.6 USD buy 100 tokens/s · 0.5 · 3600 s = 180,000 tokens: 20 USD a million.
  EXPECT_NEAR(cost_per_million(hour, rate, 0.5).mean, 20, 1e-9);
  EXPECT_NEAR(cost_per_million(hour, rate).mean, 20, 1e-9) << "the default is printed as 0.5";
  EXPECT_NEAR(cost_per_million(hour, rate, 1).mean, 10, 1e-9);
  // With 300 tokens of prompt to 100 of answer, four tokens pass for each that is written.
  EXPECT_NEAR(cost_per_million_total(hour, rate, 300, 100, 0.5).mean, 5, 1e-9);
}

TEST(Cost, SpreadOfPriceAndSpeedAddUp) {
  Rate rate;
  rate.log = {std::log(100.0), 0.3, 30};
  Estimate fixed, spread;
  fixed.mean = spread.mean = 3.6;
  spread.sd = 1.44;  // 0.4 of the mean: the hypotenuse of 0.3 and 0.4 is 0.5
  const auto sure = cost_per_million(fixed, rate), unsure = cost_per_million(spread, rate);
  EXPECT_NEAR(std::log(unsure.high / unsure.low) / std::log(sure.high / sure.low), 0.5 / 0.3, 1e-9);
}

}  // namespace
}  // namespace advisor
