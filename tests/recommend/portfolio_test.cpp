#include "recommend/portfolio.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "core/fields.h"
#include "core/json.h"
#include "recommend/fixture.h"
#include "recommend/knobs.h"
#include "recommend/recommend.h"
#include "report/explain.h"

namespace advisor {
namespace {

using testing::HasSubstr;

constexpr double gib = 1073741824.0;

struct PortfolioTest : testing::Test {
  Knowledge knowledge = small_knowledge();
  Toolbox tools{knowledge};
  Profile profile;
  Hardware hardware = a100();
  PortfolioTest() {
    profile.model = "meta-llama/Llama-3.1-8B-Instruct";
    profile.hardware.id = "a100";
    profile.engine = "vllm";
    profile.allow.switch_model = false;
    set_field(profile, "tasks.0.task.benchmark", "mmlu");
    set_field(profile, "tasks.0.accuracy.retain", "0.9");
    set_field(profile, "tasks.0.share", "3");
    set_field(profile, "tasks.1.task.type", "closed_book_qa");
    set_field(profile, "tasks.1.accuracy.retain", "1");
    validate(profile);
  }
  Recommendation ask() const { return recommend(profile, hardware, tools); }
  Portfolio decide() const { return decide_portfolio(tools, profile, hardware, nullptr); }
};

TEST_F(PortfolioTest, EachTaskGoesToTheCheapestVariantThatMeetsItsLimit) {
  const auto answer = ask();
  ASSERT_EQ(answer.verdict, Verdict::portfolio) << explain(answer);
  ASSERT_EQ(answer.options.size(), 2u);
  ASSERT_EQ(answer.assignments.size(), 2u);
  EXPECT_EQ(answer.options[0].action, "compress") << "three quarters of the requests come first";
  EXPECT_EQ(answer.options[1].action, "keep") << "nothing else keeps all of the score";
  EXPECT_EQ(answer.assignments[0].task, "mmlu");
  EXPECT_EQ(answer.assignments[1].task, "closed_book_qa");
  EXPECT_EQ(answer.assignments[0].option, 1);
  EXPECT_EQ(answer.assignments[1].option, 2);
  EXPECT_DOUBLE_EQ(answer.assignments[0].share, 0.75);
  EXPECT_LT(answer.options[0].usd_per_million_tokens->mean, answer.options[1].usd_per_million_tokens->mean);
  for (const auto& option : answer.options) {
    EXPECT_FALSE(option.launch.empty());
    EXPECT_THAT(option.warnings, testing::Contains(HasSubstr("shares the hardware")));
  }
  for (const auto& one : answer.assignments) EXPECT_GE(*one.probability, profile.confidence);
  EXPECT_THAT(explain(answer), HasSubstr("PORTFOLIO of 2 variants for 2 tasks"));
  EXPECT_EQ(to_json(answer), to_json(ask())) << "same input, same bytes";
}

TEST_F(PortfolioTest, WhatDoesNotFitTogetherIsOneVariant) {
  hardware.device.memory = 20 * gib;  // 16 bits alone, not beside another
  const auto answer = ask();
  ASSERT_EQ(answer.verdict, Verdict::keep);
  ASSERT_EQ(answer.options.size(), 1u);
  EXPECT_EQ(answer.assignments[0].option, 1);
  EXPECT_EQ(answer.assignments[1].option, 1);
  EXPECT_TRUE(answer.routing.empty());
}

TEST_F(PortfolioTest, OneLimitForAllIsOneVariant) {
  set_field(profile, "tasks.1.accuracy.retain", "0.9");
  const auto answer = ask();
  ASSERT_EQ(answer.verdict, Verdict::compress);
  EXPECT_EQ(answer.options.size(), 1u);
}

TEST_F(PortfolioTest, TasksWithoutALimitTakeThatOfTheProfile) {
  profile.tasks[0].accuracy = {}, profile.tasks[1].accuracy = {};
  set_field(profile, "accuracy.retain", "1");
  const auto answer = ask();
  EXPECT_EQ(answer.verdict, Verdict::keep);
}

TEST_F(PortfolioTest, FitsTogetherAndCostsNoMoreThanTheBestSingleVariant) {
  for (const double memory : {16.0, 20.0, 24.0, 40.0, 80.0}) {
    for (const double retain : {0.9, 0.97, 0.99, 1.0}) {
      hardware.device.memory = memory * gib;
      profile.tasks[1].accuracy.retain = retain;
      const auto portfolio = decide();
      if (portfolio.outcome != Outcome::recommended) continue;
      EXPECT_GE(portfolio.together.probability, profile.confidence);
      std::map<std::pair<int, int>, std::pair<std::size_t, double>> singles;
      for (const auto& task : portfolio.tasks)
        for (const int index : task.decision.ranked) {
          const auto& cell = task.decision.cells[static_cast<std::size_t>(index)];
          auto& [tasks, cost] = singles[{cell.model, cell.treatment}];
          ++tasks, cost += task.share * cell.objectives.cost;
        }
      for (const auto& [key, single] : singles) {
        if (single.first == portfolio.tasks.size()) {
          EXPECT_LE(portfolio.together.cost, single.second * (1 + 1e-9));
        }
      }
    }
  }
}

TEST_F(PortfolioTest, OrderOfTasksChangesNothingButOrder) {
  for (const double memory : {16.0, 20.0, 80.0}) {
    hardware.device.memory = memory * gib;
    const auto before = ask();
    auto turned = profile;
    std::swap(turned.tasks[0], turned.tasks[1]);
    const auto after = recommend(turned, hardware, tools);
    ASSERT_EQ(before.verdict, after.verdict);
    ASSERT_EQ(before.options.size(), after.options.size());
    for (std::size_t i = 0; i < before.options.size(); ++i)
      EXPECT_EQ(before.options[i].variant.id(), after.options[i].variant.id());
    for (std::size_t i = 0; i < before.assignments.size(); ++i) {
      EXPECT_EQ(before.assignments[i].task, after.assignments[1 - i].task);
      EXPECT_EQ(before.assignments[i].option, after.assignments[1 - i].option);
    }
  }
}

TEST_F(PortfolioTest, TheTaskThatKillsItIsNamedAndWhatHelpsReallyHelps) {
  set_field(profile, "tasks.1.accuracy.min", "0.75");
  profile.tasks[1].accuracy.retain.reset();
  const auto answer = ask();
  ASSERT_NE(answer.outcome, Outcome::recommended);
  EXPECT_THAT(answer.rejections, testing::Contains(testing::Field(&Rejection::because,
                                                                  HasSubstr("closed_book_qa, which nothing serves"))));
  ASSERT_FALSE(answer.counterfactuals.empty());
  for (const auto& change : answer.counterfactuals) {
    const auto then = changed({profile, hardware}, knowledge.devices, change.field, change.to);
    const auto flipped = recommend(then.profile, then.hardware, tools);
    ASSERT_EQ(flipped.outcome, Outcome::recommended) << change.field << " = " << change.to;
    EXPECT_EQ(name(*flipped.verdict), change.then_verdict);
    EXPECT_EQ(flipped.options.front().variant.id(), change.then_variant);
  }
  EXPECT_THAT(answer.counterfactuals,
              testing::Contains(testing::Field(&Counterfactual::field, "tasks.1.accuracy.min")));
}

TEST_F(PortfolioTest, NothingFitsTogetherButEachAlone) {
  set_field(profile, "workload.concurrency", "64");
  set_field(profile, "tasks.0.share", "1");
  bool seen = false;
  for (double memory = 10; memory < 40; memory += 0.5) {
    hardware.device.memory = memory * gib;
    const auto portfolio = decide();
    const bool alone = std::all_of(portfolio.tasks.begin(), portfolio.tasks.end(),
                                   [](const PortfolioTask& task) { return !task.decision.ranked.empty(); });
    if (portfolio.outcome == Outcome::recommended || !alone) continue;
    seen = true;
    EXPECT_GT(portfolio.together.memory, portfolio.available * 0.8);
    EXPECT_EQ(ask().rejections.front().code, "memory");
    EXPECT_THAT(ask().rejections.front().because, HasSubstr("together the nearest set needs"));
  }
  EXPECT_TRUE(seen);
}

TEST_F(PortfolioTest, SpeedsMustHoldWhileOthersTakeTurns) {
  const auto free = decide();
  ASSERT_EQ(free.deployed.size(), 2u);
  double slowest = 0, round = 0;
  for (const auto& one : free.deployed) {
    const double token = std::exp(one.cell.log_tpot.quantile(profile.confidence));
    slowest = std::max(slowest, token), round += token;
  }
  profile.slo.tpot = slowest * 1.02;  // each alone, but not both in turns
  EXPECT_EQ(decide().deployed.size(), 1u);
  profile.slo.tpot = round * 1.1;
  EXPECT_EQ(decide().deployed.size(), 2u);
}

}  // namespace
}  // namespace advisor
