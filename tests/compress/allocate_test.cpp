#include "compress/allocate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/error.h"

namespace advisor {
namespace {

using Groups = std::vector<std::vector<Choice>>;

/// Groups that look like layers: few shapes, choices that cost more and lose less, now and then one that does not.
Groups random_groups(std::mt19937& random, std::size_t groups, std::size_t choices) {
  Groups made(groups);
  for (auto& group : made) {
    const std::int64_t unit = 1 + static_cast<std::int64_t>(random() % 4);
    const double error = std::ldexp(1.0 + static_cast<double>(random() % 1000), -static_cast<int>(random() % 8));
    for (std::size_t c = 0; c < choices; ++c) {
      const auto cost = static_cast<std::int64_t>(c + 1) * unit + (random() % 5 == 0 ? 1 : 0);
      group.push_back(
          {cost, error * std::pow(0.3, static_cast<double>(c)) * (0.8 + 0.001 * static_cast<double>(random() % 400))});
    }
  }
  return made;
}

/// Least error within the budget by looking at all allocations; infinity when there is none.
double brute_force(const Groups& groups, std::int64_t budget, std::size_t from = 0) {
  if (budget < 0) return std::numeric_limits<double>::infinity();
  if (from == groups.size()) return 0;
  double best = std::numeric_limits<double>::infinity();
  for (const Choice& choice : groups[from])
    best = std::min(best, choice.error + brute_force(groups, budget - choice.cost, from + 1));
  return best;
}

void expect_consistent(const Groups& groups, std::int64_t budget, const Allocation& found) {
  std::int64_t cost = 0;
  double error = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    cost += groups[g].at(found.chosen.at(g)).cost;
    error += groups[g][found.chosen[g]].error;
  }
  EXPECT_EQ(cost, found.cost);
  EXPECT_LE(cost, budget);
  EXPECT_EQ(error, found.error);
  EXPECT_LE(found.bound, found.error);
}

TEST(Allocate, IsExactOnSmallInstances) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 300; ++trial) {
    const Groups groups = random_groups(random, 1 + random() % 6, 1 + random() % 4);
    for (std::int64_t budget = 0; budget < 60; budget += 3) {
      const auto found = allocate(groups, budget);
      const double best = brute_force(groups, budget);
      ASSERT_EQ(found.has_value(), std::isfinite(best));
      if (!found) continue;
      expect_consistent(groups, budget, *found);
      EXPECT_NEAR(found->error, best, 1e-9 * best);
      EXPECT_EQ(found->bound, found->error);
    }
  }
}

TEST(Allocate, MoreBudgetNeverRaisesTheError) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 10; ++trial) {
    const Groups groups = random_groups(random, 60, 5);
    double before = std::numeric_limits<double>::infinity();
    for (std::int64_t budget = 150; budget < 900; budget += 25) {
      const auto found = allocate(groups, budget);
      if (!found) continue;
      expect_consistent(groups, budget, *found);
      EXPECT_EQ(found->bound, found->error);
      EXPECT_LE(found->error, before * (1 + 1e-9));
      before = found->error;
    }
  }
}

TEST(Allocate, OfALargeModelIsExactWithCostsInBytes) {
  std::mt19937 random(3);
  Groups groups;
  constexpr std::int64_t shapes[] = {25165824, 16777216, 117440512, 58720256};  // a block of 8 billion parameters
  for (int layer = 0; layer < 32; ++layer)
    for (const std::int64_t weights : shapes) {
      std::vector<Choice> choices;
      for (const int bits : {3, 4, 5, 6, 8})
        choices.push_back({weights * bits / 8 + weights / 64,
                           static_cast<double>(1 + random() % 1000) * std::pow(0.25, static_cast<double>(bits))});
      groups.push_back(choices);
    }
  const std::int64_t budget = std::int64_t{6979321856} * 45 / 80;
  const auto found = allocate(groups, budget);
  ASSERT_TRUE(found.has_value());
  expect_consistent(groups, budget, *found);
  EXPECT_LE(found->error - found->bound, 1e-6 * found->error);
}

TEST(Allocate, WithFewStatesTheGapIsStated) {
  std::mt19937 random(5);
  for (int trial = 0; trial < 50; ++trial) {
    const Groups groups = random_groups(random, 8, 4);
    const auto exact = allocate(groups, 40), rough = allocate(groups, 40, 1);
    ASSERT_EQ(exact.has_value(), rough.has_value());
    if (!exact) continue;
    expect_consistent(groups, 40, *rough);
    EXPECT_GE(rough->error, exact->error * (1 - 1e-12));
    EXPECT_LE(rough->bound, exact->error * (1 + 1e-12));
  }
}

TEST(Allocate, WhatItRefuses) {
  EXPECT_THROW(allocate({{}}, 10), Error);
  EXPECT_THROW(allocate({{{-1, 0}}}, 10), Error);
  EXPECT_THROW(allocate({{{1, std::numeric_limits<double>::quiet_NaN()}}}, 10), Error);
  EXPECT_FALSE(allocate({{{11, 0}}}, 10).has_value());
  EXPECT_EQ(allocate({}, 0)->error, 0);
}

}  // namespace
}  // namespace advisor
