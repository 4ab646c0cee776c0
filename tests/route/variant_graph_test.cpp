#include "route/variant_graph.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <tuple>

#include "core/error.h"

namespace advisor {
namespace {

using Costs = std::vector<std::tuple<double, double, double, double>>;

Variant numbered(int i) {
  Variant v;
  v.model = "m" + std::to_string(i);
  v.engine = "vllm";
  return v;
}

/// Whole numbers, so that sums are exact and ties are frequent.
std::vector<GraphStep> random_steps(std::mt19937& random, int vertices, int count, int largest) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<GraphStep> steps;
  while (static_cast<int>(steps.size()) < count) {
    GraphStep s;
    s.kind = static_cast<StepKind>(below(8));
    s.from = below(vertices), s.to = below(vertices);
    if (s.from == s.to) continue;
    const auto cost = [&] { return static_cast<double>(below(largest)); };
    s.cost = {cost(), cost(), cost(), cost()};
    steps.push_back(s);
  }
  return steps;
}

VariantGraph graph_of(int vertices, const std::vector<GraphStep>& steps) {
  VariantGraph graph(numbered(0));
  for (int i = 1; i < vertices; ++i) graph.vertex(numbered(i));
  for (const auto& s : steps) graph.step(s);
  return graph;
}

bool at_most(const StepCost& a, const StepCost& b) {
  return a.hours <= b.hours && a.usd <= b.usd && a.quality_loss <= b.quality_loss && a.peak_memory <= b.peak_memory;
}
bool within(const StepCost& c, const RouteLimits& l) {
  return c.hours <= l.hours && c.usd <= l.usd && c.peak_memory <= l.peak_memory;
}
std::tuple<double, double, double, double> key(const StepCost& c) {
  return {c.hours, c.quality_loss, c.usd, c.peak_memory};
}

/// Costs of all walks 0 -> goal that use each kind once, by looking at every one of them.
void walk(const VariantGraph& graph, int at, int goal, unsigned used, int left, const StepCost& so_far,
          std::vector<StepCost>& found) {
  if (at == goal) found.push_back(so_far);
  if (left == 0) return;
  for (const auto& s : graph.steps()) {
    const unsigned bit = 1u << static_cast<unsigned>(s.kind);
    if (s.from != at || (used & bit) != 0) continue;
    walk(graph, s.to, goal, used | bit, left - 1,
         {so_far.hours + s.cost.hours, so_far.usd + s.cost.usd, so_far.quality_loss + s.cost.quality_loss,
          std::max(so_far.peak_memory, s.cost.peak_memory)},
         found);
  }
}

Costs brute_force(const VariantGraph& graph, int goal, const RouteLimits& limits) {
  std::vector<StepCost> found;
  walk(graph, 0, goal, 0, limits.steps, {}, found);
  std::erase_if(found, [&](const StepCost& c) { return !within(c, limits); });
  std::set<std::tuple<double, double, double, double>> best;
  for (const auto& c : found)
    if (std::none_of(found.begin(), found.end(),
                     [&](const StepCost& other) { return at_most(other, c) && key(other) != key(c); }))
      best.insert(key(c));
  return {best.begin(), best.end()};
}

Costs costs(const std::vector<Route>& routes) {
  Costs all;
  for (const auto& r : routes) all.push_back(key(r.total));
  return all;
}

TEST(Routes, AreAllNonDominatedOnesAsBruteForceFindsThem) {
  std::mt19937 random(4);
  std::size_t total = 0, most = 0;
  for (int round = 0; round < 300; ++round) {
    const int vertices = 2 + static_cast<int>(random() % 6);
    const auto graph = graph_of(vertices, random_steps(random, vertices, 4 + round % 12, 2 + round % 9));
    RouteLimits limits;
    limits.steps = 1 + round % 6;
    if (round % 3 == 0) limits.hours = static_cast<double>(round % 11);
    if (round % 5 == 0) limits.peak_memory = static_cast<double>(round % 7);
    if (round % 7 == 0) limits.usd = static_cast<double>(round % 13);
    for (int goal = 1; goal < vertices; ++goal) {
      const auto routes = graph.routes(goal, limits);
      EXPECT_EQ(costs(routes), brute_force(graph, goal, limits)) << "round " << round << " goal " << goal;
      total += routes.size(), most = std::max(most, routes.size());
    }
  }
  EXPECT_GT(total, 300u) << "the graphs have to have routes for this test to say anything";
  EXPECT_GT(most, 2u);
}

TEST(Routes, LeadFromTheSourceToTheGoalAndCostWhatTheyClaim) {
  std::mt19937 random(5);
  for (int round = 0; round < 100; ++round) {
    const auto graph = graph_of(6, random_steps(random, 6, 16, 9));
    const int goal = 1 + round % 5;
    for (const auto& route : graph.routes(goal)) {
      StepCost total;
      std::set<StepKind> kinds;
      int at = 0;
      for (const int index : route.steps) {
        const auto& s = graph.steps().at(static_cast<std::size_t>(index));
        EXPECT_EQ(s.from, at);
        EXPECT_TRUE(kinds.insert(s.kind).second) << "a kind twice";
        total = {total.hours + s.cost.hours, total.usd + s.cost.usd, total.quality_loss + s.cost.quality_loss,
                 std::max(total.peak_memory, s.cost.peak_memory)};
        at = s.to;
      }
      EXPECT_EQ(at, goal);
      EXPECT_EQ(key(total), key(route.total));
    }
  }
}

TEST(Routes, AWiderLimitLosesNoneAndATighterOneAddsNone) {
  std::mt19937 random(6);
  for (int round = 0; round < 100; ++round) {
    const auto graph = graph_of(6, random_steps(random, 6, 18, 9));
    Costs before;
    for (double limit = 0; limit < 30; limit += 3) {
      RouteLimits limits;
      (round % 3 == 0 ? limits.hours : round % 3 == 1 ? limits.usd : limits.peak_memory) = limit;
      const auto now = costs(graph.routes(1, limits));
      EXPECT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end()));
      before = now;
    }
  }
}

TEST(Routes, MoreStepsNeverMakeTheBestWorse) {
  std::mt19937 random(7);
  for (int round = 0; round < 100; ++round) {
    const auto graph = graph_of(6, random_steps(random, 6, 16, 9));
    std::vector<Route> before;
    for (int steps = 0; steps <= 8; ++steps) {
      RouteLimits limits;
      limits.steps = steps;
      const auto now = graph.routes(2, limits);
      for (const auto& old : before)
        EXPECT_TRUE(std::any_of(now.begin(), now.end(), [&](const Route& r) { return at_most(r.total, old.total); }));
      before = now;
    }
  }
}

TEST(Routes, DoNotDependOnTheOrderInWhichStepsWereAdded) {
  std::mt19937 random(8);
  for (int round = 0; round < 100; ++round) {
    auto steps = random_steps(random, 6, 16, 5);
    const auto expected = costs(graph_of(6, steps).routes(3));
    std::shuffle(steps.begin(), steps.end(), random);
    EXPECT_EQ(costs(graph_of(6, steps).routes(3)), expected);
  }
}

TEST(Routes, AreTheSameEveryTimeAndSorted) {
  std::mt19937 random(9);
  const auto graph = graph_of(8, random_steps(random, 8, 40, 9));
  const auto first = graph.routes(5), second = graph.routes(5);
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].steps, second[i].steps);
  const auto all = costs(first);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
}

TEST(Routes, OfEquallyCostlyOnesTheShortestIsKept) {
  VariantGraph graph(numbered(0));
  const int middle = graph.vertex(numbered(1)), goal = graph.vertex(numbered(2));
  graph.step({StepKind::prune, 0, middle, {1, 0, 0, 0}});
  graph.step({StepKind::quantize, middle, goal, {1, 0, 0, 0}});
  graph.step({StepKind::use_published, 0, goal, {2, 0, 0, 0}});
  const auto routes = graph.routes(goal);
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_THAT(routes[0].steps, testing::ElementsAre(2));
}

TEST(Routes, PruneThenQuantizeOrTakeWhatIsPublished) {
  VariantGraph graph(numbered(0));
  const int pruned = graph.vertex(numbered(1)), goal = graph.vertex(numbered(2));
  graph.step({StepKind::prune, 0, pruned, {3, 6, 0.02, 40e9}, "sparsegpt"});
  graph.step({StepKind::quantize, pruned, goal, {1, 2, 0.01, 60e9}, "gptq"});
  graph.step({StepKind::use_published, 0, goal, {0.2, 0, 0.05, 1e9}, "org/checkpoint"});
  const auto routes = graph.routes(goal);
  ASSERT_EQ(routes.size(), 2u) << "quicker and cheaper, or better";
  EXPECT_THAT(routes[0].steps, testing::ElementsAre(2));
  EXPECT_THAT(routes[1].steps, testing::ElementsAre(0, 1));
  EXPECT_DOUBLE_EQ(routes[1].total.hours, 4);
  EXPECT_DOUBLE_EQ(routes[1].total.usd, 8);
  EXPECT_DOUBLE_EQ(routes[1].total.quality_loss, 0.03);
  EXPECT_DOUBLE_EQ(routes[1].total.peak_memory, 60e9);
  EXPECT_EQ(graph.routes(goal, {.hours = 1}).size(), 1u);
  EXPECT_EQ(graph.routes(goal, {.peak_memory = 0.5e9}).size(), 0u);
}

TEST(Routes, ToTheSourceThereIsNothingToDo) {
  std::mt19937 random(10);
  const auto graph = graph_of(4, random_steps(random, 4, 12, 5));
  const auto routes = graph.routes(0);
  ASSERT_EQ(routes.size(), 1u);
  EXPECT_TRUE(routes[0].steps.empty());
}

TEST(Routes, ThereIsNoneToAVertexThatNothingLeadsTo) {
  VariantGraph graph(numbered(0));
  const int alone = graph.vertex(numbered(1));
  EXPECT_TRUE(graph.routes(alone).empty());
  graph.step({StepKind::quantize, 0, alone, {}});
  EXPECT_EQ(graph.routes(alone).size(), 1u);
  EXPECT_TRUE(graph.routes(alone, {.steps = 0}).empty());
}

TEST(Routes, AnInfiniteCostIsAdmittedOnlyWithoutALimit) {
  VariantGraph graph(numbered(0));
  const int goal = graph.vertex(numbered(1));
  graph.step({StepKind::quantize, 0, goal, {std::numeric_limits<double>::infinity(), 0, 0, 0}});
  EXPECT_EQ(graph.routes(goal).size(), 1u);
  EXPECT_TRUE(graph.routes(goal, {.hours = 1e300}).empty());
}

TEST(Graph, FindsAVariantAgainByItsId) {
  VariantGraph graph(numbered(0));
  EXPECT_EQ(graph.vertex(numbered(0)), 0);
  const int one = graph.vertex(numbered(1));
  EXPECT_EQ(graph.vertex(numbered(1)), one);
  EXPECT_EQ(graph.vertices(), 2);
  EXPECT_EQ(graph.variant(one).model, "m1");
  const VariantGraph moved = std::move(graph);
  EXPECT_EQ(moved.vertices(), 2);
}

TEST(Graph, RefusesWhatIsNoStep) {
  VariantGraph graph(numbered(0));
  graph.vertex(numbered(1));
  EXPECT_THROW(graph.step({StepKind::prune, 0, 2, {}}), Error);
  EXPECT_THROW(graph.step({StepKind::prune, -1, 1, {}}), Error);
  EXPECT_THROW(graph.step({StepKind::prune, 1, 1, {}}), Error);
  EXPECT_THROW(graph.step({StepKind::prune, 0, 1, {.hours = -1}}), Error);
  EXPECT_THROW(graph.step({StepKind::prune, 0, 1, {.peak_memory = std::nan("")}}), Error);
  EXPECT_THROW(graph.routes(2), Error);
  EXPECT_THROW(graph.variant(-1), Error);
  EXPECT_TRUE(graph.steps().empty()) << "nothing of a refused step stays";
}

TEST(Graph, KindsAreNamedAsInAPlan) {
  std::set<std::string_view> names;
  for (int i = 0; i < 8; ++i) names.insert(name(static_cast<StepKind>(i)));
  EXPECT_EQ(names.size(), 8u);
  EXPECT_EQ(name(StepKind::quantize_kv), "quantize_kv");
  EXPECT_EQ(name(StepKind::serve), "serve");
}

}  // namespace
}  // namespace advisor
