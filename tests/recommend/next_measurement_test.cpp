#include "recommend/next_measurement.h"

#include <gmock/gmock.h>

#include <cmath>

#include "recommend/fixture.h"
#include "recommend/recommend.h"

namespace advisor {
namespace {

using testing::HasSubstr;

struct NextMeasurements : testing::Test {
  Knowledge knowledge = small_knowledge();
  Profile profile;
  Hardware hardware = a100();
  NextMeasurements() {
    profile.model = "meta-llama/Llama-3.1-8B-Instruct";
    profile.task.type = "closed_book_qa", profile.task.benchmark = "mmlu";
    profile.engine = "vllm";
    profile.allow.switch_model = false;
  }
  Recommendation ask() const { return recommend(profile, hardware, knowledge); }
};

TEST_F(NextMeasurements, AScoreThatNobodyKnowsDecidesEitherWay) {
  knowledge.scores.clear();
  profile.accuracy.min = 0.6;
  const auto answer = ask();
  ASSERT_EQ(answer.outcome, Outcome::insufficient_evidence);
  ASSERT_FALSE(answer.measure.empty());
  const auto& first = answer.measure.front();
  EXPECT_EQ(first.model, profile.model);
  EXPECT_EQ(first.technique, "none");
  EXPECT_EQ(first.task, "mmlu");
  EXPECT_THAT(first.command, HasSubstr("advisor record"));
  const auto measured_as = [&](double value) {
    knowledge.scores = {{profile.model, "mmlu", "knowledge", "acc", "5", "", "x", value, "url", "", "proportion"}};
    return ask().outcome;
  };
  EXPECT_EQ(measured_as(0.7), Outcome::recommended);
  EXPECT_NE(measured_as(0.4), Outcome::recommended);
}

TEST_F(NextMeasurements, AreLikeliestFirstAndFew) {
  hardware.device.memory = 12.0 * (1 << 30);  // 16 bits do not fit
  for (const double retain : {0.9, 0.95, 0.97, 0.98, 0.99}) {
    profile.accuracy.retain = retain;
    const auto answer = ask();
    EXPECT_LE(answer.measure.size(), most_measurements);
    double before = 1;
    for (const auto& one : answer.measure) {
      EXPECT_LE(std::round(one.probability * 100), std::round(before * 100));
      EXPECT_GT(one.probability, 0.1) << "what is ruled out is not worth it";
      EXPECT_LT(one.probability, 0.9) << "what is certain enough needs none";
      EXPECT_FALSE(one.because.empty());
      before = one.probability;
    }
  }
}

TEST_F(NextMeasurements, NoneWhereAccuracyIsNotTheReason) {
  profile.licence = {"mit"};
  const auto answer = ask();
  EXPECT_EQ(answer.outcome, Outcome::infeasible);
  EXPECT_TRUE(answer.measure.empty());
}

}  // namespace
}  // namespace advisor
