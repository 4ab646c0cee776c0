#include "rank/rank.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "core/error.h"

namespace advisor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double inf = std::numeric_limits<double>::infinity();

/// Few values per objective where `values` is small: then there are ties and equal points.
std::vector<Objectives> random_points(std::mt19937& random, std::size_t count, unsigned values) {
  const auto draw = [&] { return static_cast<double>(random() % values); };
  std::vector<Objectives> points(count);
  for (auto& p : points) {
    p = {draw(), draw(), draw(), draw()};
    if (random() % 20 == 0) p.cost = inf;
    if (random() % 40 == 0) p.latency = std::nan("");
  }
  return points;
}

std::array<double, 4> key(const Objectives& o) {
  return {std::isnan(o.quality) ? -inf : o.quality, std::isnan(o.cost) ? inf : o.cost,
          std::isnan(o.latency) ? inf : o.latency, std::isnan(o.effort) ? inf : o.effort};
}

std::set<std::array<double, 4>> keys(const std::vector<Objectives>& points, const std::vector<std::size_t>& front) {
  std::set<std::array<double, 4>> all;
  for (const std::size_t i : front) all.insert(key(points[i]));
  return all;
}

TEST(Chances, TheFirstThatIsSetAndMissed) {
  EXPECT_EQ(first_failed({}, 0.9), std::nullopt);
  Chances chances;
  chances.memory = 0.95, chances.accuracy = 0.5, chances.budget = 0.0;
  EXPECT_EQ(first_failed(chances, 0.9), Limit::accuracy);
  EXPECT_EQ(first_failed(chances, 0.99), Limit::memory);
  EXPECT_EQ(first_failed(chances, 0.5), Limit::budget);
  EXPECT_EQ(first_failed(chances, 0.0), std::nullopt) << "met exactly is met";
}

TEST(Chances, WhatIsNotANumberCountsAsNothing) {
  Chances chances;
  EXPECT_FALSE(chances.memory);
  EXPECT_EQ(std::optional<double>(chances.memory), std::nullopt);
  EXPECT_EQ(first_failed(chances, 0.9), std::nullopt) << "no limit is set";
  chances.memory = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(chances.memory);
  EXPECT_EQ(*chances.memory, 0);
  EXPECT_EQ(first_failed(chances, 0.9), Limit::memory);
}

TEST(Chances, EachLimitCanFail) {
  for (int i = 0; i < 6; ++i) {
    Chances chances{.memory = 1, .accuracy = 1, .ttft = 1, .tpot = 1, .budget = 1, .effort = 1};
    const std::array all{&chances.memory, &chances.accuracy, &chances.ttft,
                         &chances.tpot,   &chances.budget,   &chances.effort};
    *all[static_cast<std::size_t>(i)] = i % 2 == 0 ? 0.3 : std::nan("");
    const auto failed = first_failed(chances, 0.5);
    ASSERT_TRUE(failed);
    EXPECT_EQ(static_cast<int>(*failed), i);
  }
  EXPECT_EQ(name(Limit::memory), "memory");
  EXPECT_EQ(name(Limit::effort), "effort");
}

TEST(Chances, MoreConfidenceNeverForgives) {
  const Chances chances{.memory = 0.99, .accuracy = 0.8, .ttft = 0.7, .tpot = 0.6, .budget = 1, .effort = 0.9};
  bool failed = false;
  for (const double confidence : {0.5, 0.65, 0.75, 0.9, 0.999}) {
    const bool now = first_failed(chances, confidence).has_value();
    EXPECT_TRUE(now || !failed);
    failed = now;
  }
  EXPECT_TRUE(failed);
}

TEST(ParetoFront, HoldsNoDominatedPointAndADominatorOfEveryOther) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const auto points = random_points(random, 1 + random() % 80, 2 + static_cast<unsigned>(random() % 30));
    const auto front = pareto_front(points);
    ASSERT_FALSE(front.empty());
    EXPECT_TRUE(std::is_sorted(front.begin(), front.end()));
    for (const std::size_t i : front)
      for (const auto& other : points) EXPECT_FALSE(dominates(other, points[i]));
    for (std::size_t i = 0; i < points.size(); ++i)
      EXPECT_TRUE(std::any_of(front.begin(), front.end(), [&](std::size_t f) {
        return f == i || dominates(points[f], points[i]) || (f < i && key(points[f]) == key(points[i]));
      })) << i;
  }
}

TEST(ParetoFront, OrderOfInputDoesNotMatter) {
  std::mt19937 random(2);
  for (int round = 0; round < 100; ++round) {
    auto points = random_points(random, 60, 6);
    const auto expected = keys(points, pareto_front(points));
    std::shuffle(points.begin(), points.end(), random);
    EXPECT_EQ(keys(points, pareto_front(points)), expected);
  }
}

TEST(ParetoFront, AnotherPointNeverBringsADominatedOneBack) {
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    auto points = random_points(random, 40, 8);
    const auto before = keys(points, pareto_front(points));
    const auto added = random_points(random, 1, 8)[0];
    points.push_back(added);
    for (const auto& k : keys(points, pareto_front(points))) EXPECT_TRUE(before.contains(k) || k == key(added));
  }
}

TEST(ParetoFront, OfEqualPointsTheFirst) {
  const std::vector<Objectives> points{{1, 2, 3, 4}, {2, 2, 3, 4}, {2, 2, 3, 4}, {1, 1, 3, 4}};
  EXPECT_THAT(pareto_front(points), ElementsAre(1, 3));
  EXPECT_TRUE(pareto_front({}).empty());
}

TEST(ParetoFront, UnknownIsWorstButBetterElsewhereIsEnough) {
  const std::vector<Objectives> points{{1, inf, 1, 1}, {1, 5, 1, 1}, {2, std::nan(""), 1, 1}};
  EXPECT_THAT(pareto_front(points), ElementsAre(1, 2));
  EXPECT_TRUE(dominates(points[1], points[0]));
  EXPECT_FALSE(dominates(points[1], points[1])) << "not itself";
}

TEST(Dominators, AreTheFirstOfTheFrontInTheOrderGiven) {
  std::mt19937 random(4);
  for (int round = 0; round < 50; ++round) {
    const auto points = random_points(random, 60, 5);
    auto front = pareto_front(points);
    std::shuffle(front.begin(), front.end(), random);
    const auto by = dominators(points, front);
    ASSERT_EQ(by.size(), points.size());
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto at_least = [&](std::size_t f) {
        return dominates(points[f], points[i]) || key(points[f]) == key(points[i]);
      };
      EXPECT_EQ(by[i], *std::find_if(front.begin(), front.end(), at_least));
    }
  }
}

TEST(Dominators, WithoutAFrontEachPointStandsForItself) {
  EXPECT_THAT(dominators(std::vector<Objectives>{{1, 1, 1, 1}, {0, 2, 2, 2}}, {}), ElementsAre(0, 1));
}

Place place(std::string_view id, Objectives objectives, int changes = 1) { return {objectives, changes, id}; }

TEST(Lexicographic, PriorityDecides) {
  const std::vector<Place> places{place("good", {1.0, 9, 9, 9}), place("cheap", {0.9, 1, 8, 8}),
                                  place("fast", {0.8, 5, 1, 7}), place("soon", {0.7, 6, 6, 1})};
  const auto first = [&](std::vector<std::string> priority) { return places[lexicographic(places, priority)[0]].id; };
  EXPECT_EQ(first({"quality", "cost", "latency"}), "good");
  EXPECT_EQ(first({"cost", "quality"}), "cheap");
  EXPECT_EQ(first({"latency"}), "fast");
  EXPECT_EQ(first({"effort"}), "soon");
}

TEST(Lexicographic, IsATotalOrderWhateverTheOrderOfInput) {
  std::mt19937 random(5);
  const std::vector<std::string> priority{"quality", "cost", "latency", "effort"};
  for (int round = 0; round < 50; ++round) {
    const auto points = random_points(random, 50, 4);
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < points.size(); ++i) ids.push_back("v" + std::to_string(i));
    std::vector<Place> places;
    for (std::size_t i = 0; i < points.size(); ++i)
      places.push_back(place(ids[i], points[i], static_cast<int>(random() % 4)));
    const auto named = [&] {
      std::vector<std::string_view> order;
      for (const std::size_t i : lexicographic(places, priority)) order.push_back(places[i].id);
      return order;
    };
    const auto expected = named();
    EXPECT_EQ(std::set<std::string_view>(expected.begin(), expected.end()).size(), points.size());
    std::shuffle(places.begin(), places.end(), random);
    EXPECT_EQ(named(), expected);
  }
}

TEST(Lexicographic, TheFirstIsOnTheFrontWhenAllObjectivesCount) {
  std::mt19937 random(6);
  const std::vector<std::string> priority{"cost", "quality", "effort", "latency"};
  for (int round = 0; round < 50; ++round) {
    const auto points = random_points(random, 50, 9);  // whole numbers: no two within a step, up to e^(1/100)
    std::vector<Place> places;
    for (const auto& p : points) places.push_back(place("", p));
    const auto best = lexicographic(places, priority)[0];
    for (const auto& p : points) EXPECT_FALSE(dominates(p, points[best]));
  }
}

TEST(Lexicographic, NoiseIsATieThatTheNextObjectiveDecides) {
  const std::vector<Place> places{place("a", {0.9902, 5, 1, 1}), place("b", {0.9901, 2, 1, 1})};
  EXPECT_THAT(lexicographic(places, std::vector<std::string>{"quality", "cost"}), ElementsAre(1, 0));
}

TEST(Lexicographic, UnknownIsLastAndNothingIsFirst) {
  const std::vector<Place> places{place("a", {1, inf, 1, 1}), place("b", {1, 50, 1, 1}), place("c", {1, 0, 1, 1}),
                                  place("d", {1, std::nan(""), 1, 1})};
  EXPECT_THAT(lexicographic(places, std::vector<std::string>{"cost"}), ElementsAre(2, 1, 0, 3));
}

TEST(Lexicographic, TiesGoToFewerChangesThenToTheId) {
  const std::vector<Place> places{place("z", {1, 1, 1, 1}, 0), place("a", {1, 1, 1, 1}, 2), place("b", {1, 1, 1, 1}, 1),
                                  place("aa", {1, 1, 1, 1}, 1)};
  EXPECT_THAT(lexicographic(places, std::vector<std::string>{"quality"}), ElementsAre(0, 3, 2, 1));
}

TEST(Lexicographic, ASecondMentionOfAnObjectiveDecidesNothing) {
  const std::vector<Place> places{place("a", {1, 2, 1, 1}), place("b", {1, 1, 1, 1})};
  const std::vector<std::string> priority{"quality", "quality", "latency", "quality", "effort", "cost"};
  EXPECT_THAT(lexicographic(places, priority), ElementsAre(1, 0));
  EXPECT_THAT(decided_by(places[1], places[0], priority, 2), HasSubstr("at equal quality and latency and effort"));
}

TEST(Lexicographic, RefusesAnObjectiveThatItDoesNotKnow) {
  const std::vector<Place> places{place("a", {})};
  const std::vector<std::string> priority{"quality", "beauty"};
  EXPECT_THROW(lexicographic(places, priority), Error);
  EXPECT_THROW(decided_by(places[0], places[0], priority, 2), Error);
}

TEST(DecidedBy, IsTheFirstComparisonInWhichTheyDiffer) {
  const std::vector<std::string> priority{"quality", "cost", "latency", "effort"};
  const auto says = [&](const Place& a, const Place& b) { return decided_by(a, b, priority, 3); };
  EXPECT_THAT(says(place("a", {1, 4, 1, 1}), place("b", {1, 5, 1, 1})),
              AllOf(HasSubstr("ahead of #3: cost 4 USD per million tokens against 5"), HasSubstr("at equal quality")));
  EXPECT_THAT(says(place("a", {1, 4, 1, 1}), place("b", {0.9, 4, 1, 1})),
              HasSubstr("quality at least 100.0 % of the model in use against 90.0 %"));
  EXPECT_THAT(says(place("a", {1, 4, 0.01, 1}), place("b", {1, 4, inf, 1})),
              HasSubstr("latency 10 ms per token against unknown at equal quality and cost"));
  EXPECT_THAT(says(place("a", {1, 4, 1, 0.05}), place("b", {1, 4, 1, 2})), HasSubstr("effort 3 min against 2 h"));
  EXPECT_THAT(says(place("a", {1, 4, 1, 1}, 0), place("b", {1, 4, 1, 1}, 1)), HasSubstr("fewer changes at equal"));
  EXPECT_THAT(says(place("a", {1, 4, 1, 1}), place("b", {1, 4, 1, 1})), HasSubstr("by name only: equal quality"));
}

TEST(DecidedBy, AgreesWithTheOrder) {
  std::mt19937 random(7);
  const std::vector<std::string> priority{"cost", "latency"};
  const auto points = random_points(random, 60, 5);
  std::vector<Place> places;
  for (const auto& p : points) places.push_back(place("same", p));
  const auto order = lexicographic(places, priority);
  for (std::size_t i = 0; i + 1 < order.size(); ++i) {
    const auto &a = places[order[i]], &b = places[order[i + 1]];
    const auto text = decided_by(a, b, priority, static_cast<int>(i) + 2);
    const auto left = key(a.objectives), right = key(b.objectives);
    EXPECT_EQ(text.find("by name only") != std::string::npos, left == right) << text;
  }
}

TEST(Lexicographic, TheFirstIsNeverDominated) {
  std::mt19937 random(11);
  const std::vector<std::string> priority{"cost"};  // what is not named decides after it
  for (int round = 0; round < 50; ++round) {
    const auto points = random_points(random, 40, 3);
    std::vector<Place> places;
    for (const auto& p : points) places.push_back(place("same", p));
    const auto first = lexicographic(places, priority).front();
    for (const auto& p : points) EXPECT_FALSE(dominates(p, points[first]));
  }
}

TEST(Predicted, NeitherDominatesNorOutranksAMeasuredScore) {
  const Objectives measured{0.95, 5, 5, 1, false}, predicted{1.1, 1, 1, 0, true}, worse{1.0, 2, 2, 0, true};
  EXPECT_FALSE(dominates(predicted, measured));
  EXPECT_TRUE(dominates(predicted, worse));
  EXPECT_TRUE(dominates({1.1, 1, 1, 0, false}, predicted));
  const std::vector<Objectives> points{worse, predicted, measured};
  EXPECT_THAT(pareto_front(points), ElementsAre(1, 2));
  const std::vector<Place> places{{predicted, 2, "p"}, {measured, 1, "m"}};
  const std::vector<std::string> quality{"quality", "cost"}, cost{"cost", "quality"};
  EXPECT_THAT(lexicographic(places, quality), ElementsAre(1, 0));
  EXPECT_THAT(lexicographic(places, cost), ElementsAre(0, 1));  // who asks for cost first gets it
  EXPECT_EQ(decided_by(places[1], places[0], quality, 2),
            "ahead of #2: its score was measured, that of #2 is only predicted");
}

}  // namespace
}  // namespace advisor
