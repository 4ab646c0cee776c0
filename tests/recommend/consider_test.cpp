// "Why not X?": every variant that is asked about gets an answer, and asking changes nothing else.
#include "recommend/consider.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"
#include "recommend/fixture.h"
#include "recommend/recommend.h"
#include "report/explain.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Knowledge world() {
  auto knowledge = small_knowledge();
  knowledge.techniques.push_back({"awq", "", "quantization", true, false, ""});
  knowledge.techniques.push_back({"gptq", "", "quantization", true, false, ""});
  knowledge.techniques.push_back({"gguf-k", "", "quantization", false, false, ""});
  knowledge.techniques.push_back({"wanda", "", "pruning", true, false, ""});
  knowledge.techniques.push_back({"qat", "", "quantization", true, false, ""});
  knowledge.techniques.push_back({"joint", "", "mixed", true, false, ""});
  knowledge.rules.push_back(forbid("engine-not-wanted", "engine",
                                   "profile.engine != \"any\" and variant.engine != profile.engine",
                                   "The profile asks for {profile.engine}."));
  knowledge.rules.push_back(forbid("switch-not-allowed", "rule",
                                   "not profile.allow.switch and plan.action in [\"switch\", \"compress_and_switch\"]",
                                   "No other model is allowed."));
  knowledge.rules.push_back(
      forbid("not-trained-here", "rule", "plan.retrained and not plan.uses_published", "Nobody trains here."));
  return knowledge;
}

struct Consider : testing::Test {
  Knowledge knowledge = world();
  Toolbox tools{knowledge};
  Profile profile;
  Hardware hardware = a100();
  Consider() {
    profile.model = "meta-llama/Llama-3.1-8B-Instruct";
    profile.hardware.id = "a100";
    profile.task.benchmark = "mmlu";
    profile.engine = "vllm";
    profile.allow.switch_model = false;
  }
  Recommendation ask(const std::vector<std::string>& wishes) const {
    Profile with = profile;
    for (const auto& wish : wishes) set_field(with, "consider." + std::to_string(with.consider.size()), wish);
    return recommend(with, hardware, tools);
  }
  std::string refused(ErrorCode code, const std::string& wish) const {
    try {
      ask({wish});
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      return error.what();
    }
    return "no error";
  }
};

const std::vector<std::string>& questions() {
  static const std::vector<std::string> all{"rtn W4A16-g64",
                                            "wanda sparsity=50%",
                                            "W4A16-g128 rtn",
                                            "Q4_0",
                                            "kv=fp8",
                                            "model=meta-llama/Llama-3.1-70B-Instruct",
                                            "qat W4A16-g128",
                                            "wanda W4A16-g128 sparsity=50%",
                                            "none engine=sglang",
                                            "rtn W8A16-channel engine=transformers"};
  return all;
}

std::set<std::string> feasible(const Recommendation& answer) {
  std::set<std::string> ids;
  for (const auto& option : answer.options) ids.insert(option.variant.id());
  for (const auto& group : answer.dominated) ids.insert(group.variants.begin(), group.variants.end());
  return ids;
}

/// What is estimated of each option.
std::map<std::string, std::string> estimates(const Recommendation& answer) {
  std::map<std::string, std::string> all;
  for (auto option : answer.options) {
    option.rank = 0, option.decided_by.clear();
    option.apply_command.clear(), option.verify_command.clear();  // name the rank
    Recommendation one;
    one.options = {option};
    all[option.variant.id()] = to_json(one);
  }
  return all;
}

TEST_F(Consider, AskingAboutAVariantRemovesNoOptionAndChangesNoEstimate) {
  for (const bool may_switch : {false, true})
    for (const char* engine : {"vllm", "any"}) {
      profile.allow.switch_model = may_switch;
      profile.engine = engine;
      const auto plain = ask({});
      const auto before = feasible(plain);
      const auto then = estimates(plain);
      for (const auto& question : questions()) {
        SCOPED_TRACE(question);
        const auto answer = ask({question});
        const auto after = feasible(answer);
        EXPECT_TRUE(std::includes(after.begin(), after.end(), before.begin(), before.end()));
        EXPECT_LE(after.size(), before.size() + 1);
        for (const auto& [id, text] : estimates(answer))
          EXPECT_EQ(text, then.contains(id) ? then.at(id) : text) << id;
        EXPECT_EQ(answer.rejections.size(), plain.rejections.size());
      }
    }
}

TEST_F(Consider, TheOrderOfQuestionsChangesNothing) {
  auto forth = questions();
  auto back = forth;
  std::reverse(back.begin(), back.end());
  const auto one = ask(forth), other = ask(back);
  EXPECT_EQ(estimates(one), estimates(other));
  ASSERT_EQ(one.answered.size(), other.answered.size());
  for (std::size_t i = 0; i < one.answered.size(); ++i) {
    const auto &mine = one.answered[i], &theirs = other.answered[one.answered.size() - 1 - i];
    EXPECT_EQ(mine.asked, theirs.asked);
    EXPECT_EQ(mine.judgement, theirs.judgement);
    EXPECT_EQ(mine.because, theirs.because);
    EXPECT_EQ(mine.judged.variant.id(), theirs.judged.variant.id());
  }
}

TEST_F(Consider, EveryQuestionIsAnsweredWithAReason) {
  auto answer = ask(questions());
  ASSERT_EQ(answer.answered.size(), questions().size());
  for (const auto& one : answer.answered) {
    EXPECT_FALSE(one.because.empty()) << one.asked;
    if (one.judgement == Judgement::option || one.judgement == Judgement::dominated) {
      ASSERT_GE(one.option, 1) << one.asked;
      ASSERT_LE(static_cast<std::size_t>(one.option), answer.options.size());
    }
    if (one.judgement == Judgement::option) {
      EXPECT_EQ(answer.options[static_cast<std::size_t>(one.option) - 1].variant.id(), one.judged.variant.id());
    }
    EXPECT_THAT(explain(answer), HasSubstr(one.asked));
  }
  EXPECT_EQ(answer.answered[3].rule, "engine-not-wanted");
  EXPECT_EQ(answer.answered[5].judgement, Judgement::rejected);
  EXPECT_EQ(answer.answered[6].rule, "not-trained-here");
  EXPECT_EQ(answer.answered[7].judged.variant.technique, "joint");
  for (auto& option : answer.options) option.recipe.reset();  // are not read back here
  const auto text = to_json(answer);
  EXPECT_EQ(text, to_json(recommendation_from_json(text, nullptr)));
}

TEST_F(Consider, WhatIsLookedAtAnywayIsNotLookedAtTwice) {
  const auto plain = ask({}), asked = ask({"rtn W4A16-g128", "rtn W4A16-g128 engine=vllm"});
  EXPECT_EQ(asked.variants_considered, plain.variants_considered);
  EXPECT_EQ(asked.answered[0].because, asked.answered[1].because);
  EXPECT_EQ(ask({"Q4_0"}).variants_considered, plain.variants_considered + 1) << "on an engine that is not tried";
}

TEST_F(Consider, AModelThatIsRuledOutIsJudgedToo) {
  const auto answer = ask({"model=vision/11B"});
  EXPECT_EQ(answer.answered.front().rule, "switch-not-allowed");
  profile.allow.switch_model = true;
  profile.accuracy.min = 0.8;
  EXPECT_EQ(ask({"model=vision/11B"}).answered.front().judgement, Judgement::rejected);
}

TEST_F(Consider, NonsenseIsToldAsSuch) {
  knowledge.models.front().native_dtype = "mxfp4";
  const Toolbox other(knowledge);
  Profile with = profile;
  set_field(with, "consider.0", "rtn W8A16-channel");
  const auto answer = recommend(with, hardware, other);
  EXPECT_EQ(answer.answered.front().judgement, Judgement::rejected);
  EXPECT_THAT(answer.answered.front().because, HasSubstr("published in MXFP4"));
}

TEST_F(Consider, APortfolioAnswersForEachTask) {
  profile.task.benchmark.clear();
  set_field(profile, "tasks.0.task.benchmark", "mmlu");
  set_field(profile, "tasks.1.task", "closed_book_qa");
  const auto answer = ask({"rtn W4A16-g64", "Q4_0"});
  ASSERT_EQ(answer.answered.size(), 4u);
  for (const auto& one : answer.answered) EXPECT_FALSE(one.task.empty() || one.because.empty());
}

TEST_F(Consider, Refusals) {
  EXPECT_THAT(refused(ErrorCode::not_found, "wandaa sparsity=50%"),
              AllOf(HasSubstr("consider.0"), HasSubstr("\"wanda\"")));
  EXPECT_THAT(refused(ErrorCode::not_found, "model=meta-llama/Llama-3.1-8B-Instuct"),
              HasSubstr("Llama-3.1-8B-Instruct"));
  EXPECT_THAT(refused(ErrorCode::not_found, "kv=fp9"), HasSubstr("\"fp8\""));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "W4B16"), AllOf(HasSubstr("consider.0.scheme"), HasSubstr("W4B16")));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "gptq"), HasSubstr("how many bits"));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "wanda"), HasSubstr("removes how much"));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "gptq W4A16-g128 sparsity=50%"), HasSubstr("removes no weights"));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "joint W4A16-g128 sparsity=30%"), HasSubstr("too little"));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "wanda sparsity=30% pattern=2:4"), HasSubstr("half of the weights"));
  EXPECT_THAT(refused(ErrorCode::invalid_argument, "wanda sparsity=150%"), HasSubstr("consider.0.sparsity"));
}

TEST_F(Consider, ARefusalSaysWhereItStands) {
  profile.consider.resize(2);
  profile.consider[0].scheme = "W4A16-g128";
  profile.consider[1].technique = "gptp";
  profile.consider[1].where = {"p.yaml", 7, 5};
  try {
    recommend(profile, hardware, tools);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(testing::StartsWith("p.yaml:7:5: consider.1.technique"), HasSubstr("\"gptq\"")));
  }
}

}  // namespace
}  // namespace advisor
