#include "recommend/recommend.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"
#include "recommend/backend.h"
#include "recommend/fixture.h"
#include "report/explain.h"

namespace advisor {
namespace {

using testing::Contains;
using testing::Field;
using testing::HasSubstr;

struct Recommend : testing::Test {
  Knowledge knowledge = small_knowledge();
  Profile profile;
  Hardware hardware = a100();
  Recommend() {
    profile.model = "meta-llama/Llama-3.1-8B-Instruct";
    profile.hardware.id = "a100";
    profile.task.type = "closed_book_qa";
    profile.task.benchmark = "mmlu";
    profile.engine = "vllm";
    profile.allow.switch_model = false;
  }
  Recommendation ask() const { return recommend(profile, hardware, knowledge); }
  std::set<std::string> feasible() const {
    std::set<std::string> ids;
    const auto answer = ask();
    for (const auto& option : answer.options) ids.insert(option.variant.id());
    for (const auto& group : answer.dominated) ids.insert(group.variants.begin(), group.variants.end());
    return ids;
  }
};

bool subset(const std::set<std::string>& a, const std::set<std::string>& b) {
  return std::includes(b.begin(), b.end(), a.begin(), a.end());
}

TEST_F(Recommend, WhatFitsIsKept) {
  const auto answer = ask();
  EXPECT_EQ(answer.outcome, Outcome::recommended);
  ASSERT_EQ(answer.verdict, Verdict::keep);
  EXPECT_EQ(answer.options.front().quality->probability, 1.0);
  EXPECT_EQ(answer.defaults.at("accuracy.retain"), "0.9");
}

TEST_F(Recommend, WhatDoesNotFitIsCompressed) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  profile.workload.concurrency = 8;
  const auto answer = ask();
  ASSERT_EQ(answer.verdict, Verdict::compress);
  EXPECT_EQ(answer.options.front().variant.scheme, "W4A16-g128");
  EXPECT_THAT(answer.rejections,
              Contains(testing::AllOf(Field(&Rejection::action, "keep"), Field(&Rejection::code, "memory"),
                                      Field(&Rejection::because, HasSubstr("71.28 GiB available on 1 x A100")))));
  EXPECT_GT(answer.options.front().memory.kv_cache, 0);
}

TEST_F(Recommend, ExecutableOptionsCarryARecipe) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  const auto answer = ask();
  for (const auto& option : answer.options) {
    EXPECT_TRUE(option.recipe.has_value() || option.variant.technique == "autoround") << option.variant.id();
    if (!option.recipe) continue;
    const bool learns = needs_calibration(*option.recipe);
    EXPECT_EQ(learns, option.apply_command.find("--calibration TEXT") != std::string::npos) << option.variant.id();
    EXPECT_THAT(option.steps.front(), HasSubstr("with advisor compress and the recipe"));
    ASSERT_TRUE(option.route.hours);
    EXPECT_FALSE(option.route.hours->sources.empty()) << option.variant.id();
    EXPECT_FALSE(option.steps.empty());
    EXPECT_FALSE(option.launch.empty());
  }
}

TEST_F(Recommend, WhatTheBackendDoesNotRunIsMadeByOtherTools) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  for (auto& model : knowledge.models) model.architecture = "bloom";
  for (const auto& option : ask().options) {
    EXPECT_FALSE(option.recipe) << option.variant.id();
    EXPECT_EQ(option.apply_command, "");
    EXPECT_TRUE(option.action != "compress" || option.steps.front().find("libadvisor does not") != std::string::npos);
  }
}

TEST_F(Recommend, OtherToolsAreAdvisedWhereLibadvisorTakesTooLong) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  knowledge.rules.push_back(forbid("only-gptq", "rule", "variant.technique != \"gptq\"", "Another is wanted."));
  const auto judged = [&](double hours) {
    profile.budget.hours_to_compress = hours;
    return ask().options.at(0);
  };
  const auto slow = judged(1e4), fast = judged(60);
  ASSERT_TRUE(slow.recipe && slow.route.hours && fast.route.hours);
  EXPECT_FALSE(fast.recipe);
  EXPECT_LT(fast.route.hours->mean, slow.route.hours->mean);
  EXPECT_THAT(fast.steps.front(), HasSubstr("in llm-compressor: libadvisor would take longer"));
}

TEST_F(Recommend, MixedPrecisionIsABudgetThatTheBackendSpends) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  profile.engine = "vllm";
  hardware.device.memory = 64.0 * (1 << 30);
  const auto rules = knowledge.rules;
  knowledge.rules.push_back(forbid("only-mixed", "rule", "variant.technique != \"mixed\"", "Another is wanted."));
  const auto mixed = ask().options.at(0);
  ASSERT_TRUE(mixed.recipe && mixed.recipe->budget);
  EXPECT_GT(mixed.recipe->budget->bits_per_weight, 4.125);
  EXPECT_LT(mixed.recipe->budget->bits_per_weight, 8);
  EXPECT_THAT(mixed.recipe->budget->candidates, testing::ElementsAre("W4A16-g128", "W8A16-channel"));
  // Where all layers fit with eight bits there is nothing to mix: rounding does it without a measurement.
  hardware.device.memory = 141.0 * (1 << 30);
  knowledge.rules = rules;
  set_field(profile, "consider.0", "mixed W4A16-g128 engine=vllm");
  const auto answer = ask();
  EXPECT_EQ(answer.answered.front().judgement, Judgement::dominated);
  for (const auto& option : answer.options) EXPECT_NE(option.variant.technique, "mixed");
}

TEST_F(Recommend, GgufRecipesNameTheBlockType) {
  profile.engine = "llama.cpp";
  profile.allow.compress = true;
  const auto options = ask().options;
  const auto q8 =
      std::find_if(options.begin(), options.end(), [](const Option& o) { return o.variant.scheme == "Q8_0"; });
  ASSERT_NE(q8, options.end());
  EXPECT_EQ(q8->recipe->formats.front().type, "Q8_0");
  EXPECT_EQ(q8->recipe->steps.front().technique, "none") << "the file rounds in its own blocks";
}

TEST_F(Recommend, TooBigIsInfeasibleAndSaysWhatWouldHelp) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  hardware.device.memory = 24.0 * (1 << 30);
  const auto answer = ask();
  EXPECT_EQ(answer.outcome, Outcome::infeasible);
  EXPECT_FALSE(answer.verdict);
  EXPECT_TRUE(answer.options.empty());
  const auto devices = std::find_if(answer.counterfactuals.begin(), answer.counterfactuals.end(),
                                    [](const auto& c) { return c.field == "hardware.count"; });
  ASSERT_NE(devices, answer.counterfactuals.end());
  hardware.count = std::stoll(devices->to);
  EXPECT_EQ(ask().outcome, Outcome::recommended) << "the counterfactual holds when asked";
}

TEST_F(Recommend, SwitchesWhenAnInputIsMissing) {
  profile.modality.in = {"text", "image"};
  EXPECT_EQ(ask().outcome, Outcome::infeasible);
  profile.allow.switch_model = true;
  const auto answer = ask();
  ASSERT_EQ(answer.verdict, Verdict::switch_model);
  EXPECT_EQ(answer.options.front().variant.model, "vision/11B");
  EXPECT_THAT(answer.rejections,
              Contains(testing::AllOf(Field(&Rejection::model, profile.model), Field(&Rejection::code, "modality"))));
}

TEST_F(Recommend, SwitchesToBetterScoresUnderTheLicence) {
  profile.allow.switch_model = true;
  profile.accuracy.min = 0.75;
  const auto answer = ask();
  ASSERT_EQ(answer.verdict, Verdict::compress_and_switch);
  EXPECT_EQ(answer.options.front().variant.model, "meta-llama/Llama-3.1-70B-Instruct");
  profile.accuracy.min = 0.5;
  profile.licence = {"llama3.1"};
  for (const auto& option : ask().options) EXPECT_NE(option.variant.model, "vision/11B");
}

TEST_F(Recommend, NoEvidenceIsSaidAndNotGuessed) {
  knowledge.quality.clear();
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  const auto answer = ask();
  EXPECT_EQ(answer.outcome, Outcome::insufficient_evidence);
  EXPECT_FALSE(answer.gaps.empty());
}

TEST_F(Recommend, AbsoluteLimitNeedsAScore) {
  knowledge.scores.clear();
  profile.accuracy.min = 0.6;
  auto answer = ask();
  EXPECT_EQ(answer.outcome, Outcome::insufficient_evidence) << "one score of one other model predicts too little";
  EXPECT_THAT(answer.gaps, Contains(Field(&Gap::needs, HasSubstr("a score of meta-llama/Llama-3.1-8B-Instruct on "
                                                                 "mmlu: predicted"))));
  for (auto& row : knowledge.quality) row.task = "another";
  answer = ask();
  EXPECT_EQ(answer.outcome, Outcome::insufficient_evidence) << "nobody was scored on mmlu";
  EXPECT_THAT(answer.gaps, Contains(Field(&Gap::needs, HasSubstr("accuracy.min is absolute"))));
}

TEST_F(Recommend, PredictedScoresLoseByTheirWidth) {
  profile.allow.switch_model = true;
  profile.accuracy.min = 0.6;
  knowledge.scores.pop_back();  // that of vision/11B, and the only licence that is allowed
  profile.licence = {"other"};
  const auto answer = ask();
  EXPECT_NE(answer.outcome, Outcome::recommended) << "two scores of other models say too little of a third";
  profile.licence.clear();
  for (const auto& option : ask().options) {
    const bool predicted = std::any_of(option.evidence.begin(), option.evidence.end(),
                                       [](const Evidence& evidence) { return evidence.kind == "prediction"; });
    EXPECT_EQ(predicted, option.variant.model == "vision/11B");
    EXPECT_NE(option.variant.model, "vision/11B");
  }
}

TEST_F(Recommend, LimitsOfSpeedAndMoneyReject) {
  profile.slo.tpot = 1e-5;
  EXPECT_THAT(ask().rejections, Contains(Field(&Rejection::code, "latency")));
  profile.slo.tpot.reset();
  profile.budget.usd_per_hour = 1.5;
  EXPECT_THAT(ask().rejections, Contains(Field(&Rejection::code, "budget")));
  profile.budget.usd_per_hour = 2.5;
  EXPECT_EQ(ask().outcome, Outcome::recommended);
}

TEST_F(Recommend, UnknownNamesAreErrorsWithSuggestions) {
  const auto message = [&] {
    try {
      ask();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::not_found);
      return std::string(error.what());
    }
    return std::string("no error");
  };
  profile.model = "meta-llama/Llama-3.1-8B-Instuct";
  EXPECT_THAT(message(), HasSubstr("meta-llama/Llama-3.1-8B-Instruct"));
  profile.model = "meta-llama/Llama-3.1-8B-Instruct";
  profile.task.benchmark = "mmlu2";
  EXPECT_THAT(message(), HasSubstr("did you mean \"mmlu\""));
  profile.task.benchmark.clear();
  profile.task.type = "closed_book";
  EXPECT_THAT(message(), HasSubstr("closed_book_qa"));
}

TEST_F(Recommend, HardwareWithoutMemoryIsRefused) {
  hardware.device.memory = 0;
  EXPECT_THROW(ask(), Error);
  hardware = a100(0);
  EXPECT_THROW(ask(), Error);
}

TEST_F(Recommend, CheckpointFoldersAreJudgedByTheirGeometry) {
  profile.model = "somewhere/on/disk";
  auto own = llama_8b();
  own.id = "somewhere/on/disk";
  const auto answer = recommend(profile, hardware, knowledge, &own);
  ASSERT_EQ(answer.verdict, Verdict::keep);
  const auto& value = answer.options.front().quality->value;
  EXPECT_EQ(value.basis, Basis::modelled) << "nobody scored it";
  EXPECT_GT(value.high - value.low, 0.3);
  EXPECT_THAT(explain(answer), HasSubstr("no score of somewhere/on/disk on mmlu is known: predicted"));
  for (auto& score : knowledge.scores) score.task = "another";
  for (auto& row : knowledge.quality) row.task = "another";
  const auto without = recommend(profile, hardware, knowledge, &own);
  ASSERT_EQ(without.verdict, Verdict::keep);
  EXPECT_TRUE(std::isnan(without.options.front().quality->value.mean)) << "nobody was scored on it";
  EXPECT_THAT(to_json(without), HasSubstr("\"mean\": null"));
}

TEST_F(Recommend, MoreMemoryNeverRemovesAnOption) {
  profile.allow.switch_model = true;
  profile.engine = "any";
  std::set<std::string> last;
  for (const double gib : {8, 12, 16, 24, 40, 48, 69, 71, 80, 96, 141, 192, 400}) {
    hardware.device.memory = gib * (1 << 30);
    const auto now = feasible();
    EXPECT_TRUE(subset(last, now)) << gib;
    last = now;
  }
  EXPECT_FALSE(last.empty());
}

TEST_F(Recommend, TighterLimitsNeverAddAnOption) {
  profile.allow.switch_model = true;
  const auto check = [&](auto set, const std::vector<double>& loose_to_tight) {
    const Profile original = profile;
    std::set<std::string> last;
    bool first = true;
    for (const double value : loose_to_tight) {
      set(value);
      const auto now = feasible();
      EXPECT_TRUE(first || subset(now, last)) << value;
      last = now, first = false;
    }
    profile = original;
  };
  check([&](double v) { profile.accuracy.retain = v; }, {0.5, 0.8, 0.9, 0.95, 0.98, 0.999});
  check([&](double v) { profile.accuracy.min = v; }, {0.3, 0.6, 0.68, 0.8, 0.9});
  check([&](double v) { profile.confidence = v; }, {0.5, 0.7, 0.9, 0.95, 0.99});
  check([&](double v) { profile.slo.tpot = v; }, {1, 0.1, 0.03, 0.01, 0.001});
  check([&](double v) { profile.slo.ttft = v; }, {10, 1, 0.3, 0.1, 0.01});
  check([&](double v) { profile.budget.usd_per_hour = v; }, {10, 3, 1});
  check([&](double v) { profile.workload.context = static_cast<std::int64_t>(v); }, {2048, 8192, 32768, 131072});
  check([&](double v) { profile.workload.concurrency = static_cast<std::int64_t>(v); }, {1, 4, 16, 64});
}

TEST_F(Recommend, OrderOfKnowledgeChangesNoByte) {
  profile.allow.switch_model = true;
  profile.engine = "any";
  const auto expected = to_json(ask());
  std::mt19937 random(3);
  for (int i = 0; i < 3; ++i) {
    std::shuffle(knowledge.models.begin(), knowledge.models.end(), random);
    std::shuffle(knowledge.quality.begin(), knowledge.quality.end(), random);
    std::shuffle(knowledge.scores.begin(), knowledge.scores.end(), random);
    std::shuffle(knowledge.rules.begin(), knowledge.rules.end(), random);
    std::shuffle(knowledge.tasks.begin(), knowledge.tasks.end(), random);
    EXPECT_EQ(to_json(ask()), expected);
  }
}

TEST_F(Recommend, ExplanationSaysVerdictReasonsAndDefaults) {
  profile.model = "meta-llama/Llama-3.1-70B-Instruct";
  const auto text = explain(ask());
  EXPECT_THAT(text, testing::StartsWith("COMPRESS meta-llama/Llama-3.1-70B-Instruct: "));
  for (const char* part :
       {"memory", "Options that meet every limit", "Rejected", "Defaults applied", "accuracy.retain = 0.9"})
    EXPECT_THAT(text, HasSubstr(part));
  hardware.device.memory = 1 << 30;
  EXPECT_THAT(explain(ask()), testing::StartsWith("INFEASIBLE"));
  knowledge.quality.clear();
  hardware = a100();
  EXPECT_THAT(explain(ask()), testing::StartsWith("NOT ENOUGH EVIDENCE"));
}

}  // namespace
}  // namespace advisor
