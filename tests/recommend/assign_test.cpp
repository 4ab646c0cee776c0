#include "recommend/assign.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace advisor {
namespace {

double uniform(std::mt19937& random) { return std::uniform_real_distribution<double>(0, 1)(random); }

Assigning random_problem(unsigned seed) {
  std::mt19937 random(seed);
  Assigning p;
  const std::size_t tasks = 1 + random() % 4, servants = 1 + random() % 6;
  double sum = 0;
  for (std::size_t i = 0; i < tasks; ++i) p.shares.push_back(0.1 + uniform(random)), sum += p.shares.back();
  for (auto& share : p.shares) share /= sum;
  for (std::size_t s = 0; s < servants; ++s) {
    Servant one;
    const double size = 1 + 9 * uniform(random);
    for (std::size_t i = 0; i < tasks; ++i)
      one.cost.push_back(uniform(random) < 0.3 ? not_allowed : p.shares[i] * size * (0.8 + 0.4 * uniform(random)));
    one.base = size, one.base_variance = 0.01 * size;
    one.cache = 0.2 * uniform(random), one.cache_sd = 0.01;
    one.quality = uniform(random);
    if (seed % 3 == 0 && uniform(random) < 0.5) one.host = 2 * size, one.host_variance = 0.1;
    p.servants.push_back(one);
  }
  p.host_available = 12 * uniform(random);
  p.available = 3 + 15 * uniform(random), p.available_sd = 0.1;
  p.concurrency = 1 + static_cast<double>(random() % 20);
  return p;
}

/// Every assignment, one after the other.
void each_assignment(const Assigning& p, const std::function<void(const std::vector<int>&)>& visit) {
  std::vector<int> servant(p.shares.size(), 0);
  const int count = static_cast<int>(p.servants.size());
  while (true) {
    visit(servant);
    std::size_t i = 0;
    while (i < servant.size() && ++servant[i] == count) servant[i++] = 0;
    if (i == servant.size()) return;
  }
}

std::optional<double> least_cost(const Assigning& p, bool single = false) {
  std::optional<double> best;
  each_assignment(p, [&](const std::vector<int>& servant) {
    if (single && std::count(servant.begin(), servant.end(), servant.front()) != std::ssize(servant)) return;
    const auto result = judge_together(p, servant);
    if (!(result.cost < not_allowed) || !(result.probability >= p.confidence)) return;
    if (p.holds && !p.holds(servant)) return;
    if (!best || result.cost < *best) best = result.cost;
  });
  return best;
}

TEST(Assign, EqualsBruteForce) {
  int solved = 0;
  for (unsigned seed = 0; seed < 600; ++seed) {
    auto p = random_problem(seed);
    if (seed % 3 == 0) p.holds = [](std::span<const int> s) { return std::accumulate(s.begin(), s.end(), 0) % 2 == 0; };
    const auto brute = least_cost(p);
    const auto found = assign(p);
    ASSERT_EQ(found.has_value(), brute.has_value()) << seed;
    if (!found) continue;
    ++solved;
    EXPECT_NEAR(found->cost, *brute, 1e-9 * *brute) << seed;
    EXPECT_GE(found->probability, p.confidence);
    EXPECT_NEAR(judge_together(p, found->servant).cost, found->cost, 1e-12);
  }
  EXPECT_GT(solved, 100);
}

TEST(Assign, IsNeverDearerThanTheBestSingleVariant) {
  int both = 0;
  for (unsigned seed = 1000; seed < 1500; ++seed) {
    const auto p = random_problem(seed);
    const auto single = least_cost(p, true);
    if (!single) continue;
    const auto found = assign(p);
    ASSERT_TRUE(found);
    EXPECT_LE(found->cost, *single * (1 + 1e-9));
    both += found->cost < *single * (1 - 1e-6);
  }
  EXPECT_GT(both, 10) << "sometimes several are better";
}

TEST(Assign, OrderOfTasksAndServantsChangesNothingButOrder) {
  for (unsigned seed = 2000; seed < 2300; ++seed) {
    const auto p = random_problem(seed);
    auto turned = p;
    std::reverse(turned.shares.begin(), turned.shares.end());
    std::reverse(turned.servants.begin(), turned.servants.end());
    for (auto& servant : turned.servants) std::reverse(servant.cost.begin(), servant.cost.end());
    const auto a = assign(p), b = assign(turned);
    ASSERT_EQ(a.has_value(), b.has_value());
    if (!a) continue;
    EXPECT_NEAR(a->cost, b->cost, 1e-9);
    const int last = static_cast<int>(p.servants.size()) - 1;
    for (std::size_t i = 0; i < p.shares.size(); ++i)
      EXPECT_EQ(a->servant[i], last - b->servant[p.shares.size() - 1 - i]) << seed;
  }
}

TEST(Assign, MoreMemoryIsNeverDearer) {
  for (unsigned seed = 3000; seed < 3300; ++seed) {
    auto p = random_problem(seed);
    const auto before = assign(p);
    p.available *= 1.3;
    const auto after = assign(p);
    if (!before) continue;
    ASSERT_TRUE(after);
    EXPECT_LE(after->cost, before->cost * (1 + 1e-9));
  }
}

TEST(Assign, DominatedServantsAreNotMissed) {
  for (unsigned seed = 4000; seed < 4400; ++seed) {
    const auto p = random_problem(seed);
    auto fewer = p;
    fewer.servants.clear();
    for (const int i : undominated(p.servants)) fewer.servants.push_back(p.servants[static_cast<std::size_t>(i)]);
    const auto a = assign(p), b = assign(fewer);
    ASSERT_EQ(a.has_value(), b.has_value());
    if (a) {
      EXPECT_NEAR(a->cost, b->cost, 1e-9);
    }
  }
}

TEST(Assign, WhatLiesInTheHostsMemoryAddsUp) {
  Assigning p;
  p.shares = {0.5, 0.5};
  p.available = 100, p.available_sd = 0.1;
  for (int i = 0; i < 2; ++i) {
    Servant one;
    one.cost = {i == 0 ? 1.0 : not_allowed, i == 1 ? 1.0 : not_allowed};
    one.base = 10, one.host = 20, one.host_variance = 1;
    p.servants.push_back(one);
  }
  p.host_available = 50;
  const auto found = assign(p);
  ASSERT_TRUE(found);
  EXPECT_DOUBLE_EQ(found->host, 40);
  p.host_available = 35;  // enough for each, not for both
  EXPECT_FALSE(assign(p));
  p.servants[1].host = p.servants[1].host_variance = 0;
  EXPECT_TRUE(assign(p));
}

TEST(Assign, SharesMakeWholeSequences) {
  EXPECT_EQ(sequences(0.1, 4), 1);
  EXPECT_EQ(sequences(0.3, 10), 3);
  EXPECT_EQ(sequences(0.31, 10), 4);
  EXPECT_EQ(sequences(1, 1), 1);
}

}  // namespace
}  // namespace advisor
