#include "estimate/quality_noise.h"

#include <gtest/gtest.h>

namespace advisor {
namespace {

TEST(QualityNoise, GrowsWithTheFourthRootOfTheDamageAndNoFurtherThanAllOfIt) {
  EXPECT_NEAR(noise_share(std::log(1.0 / 16)), 0.5, 1e-12);
  EXPECT_EQ(noise_share(2), 1);
  EXPECT_GT(noise_share(-1e9), 0) << "the fit divides by it";
  EXPECT_NEAR(mean_squared_noise_share(-4, 0), noise_share(-4) * noise_share(-4), 1e-12);
  EXPECT_GT(mean_squared_noise_share(-4, 1), mean_squared_noise_share(-4, 0.5)) << "damage may be larger than thought";
  EXPECT_EQ(mean_squared_noise_share(-1, 1e9), 1);
}

TEST(QualityNoise, MostAnswersAreInDoubtHalfWay) {
  EXPECT_EQ(answers_in_doubt(0.5), 1);
  EXPECT_NEAR(answers_in_doubt(0.9), answers_in_doubt(0.1), 1e-12);
  EXPECT_LT(answers_in_doubt(0.97), answers_in_doubt(0.9));
  EXPECT_GT(answers_in_doubt(1), 0);
  EXPECT_GT(answers_in_doubt(0), 0);
}

TEST(QualityNoise, LongTestsAreQuiet) {
  TestNoise noise;
  const auto brief = noise.add("math", "aime", 30), lengthy = noise.add("math", "gsm8k", 3000);
  noise.finish();
  EXPECT_NEAR(noise.at_full_damage(brief), 10 * noise.at_full_damage(lengthy), 1e-9);
}

TEST(QualityNoise, ALengthThatNobodyStatesIsThatOfTheFamilysOtherTests) {
  TestNoise noise;
  noise.add("math", "aime", 10), noise.add("math", "gsm8k", 1000), noise.add("reading", "boolq", 100000);
  const auto other = noise.add("math", "own questions", {});
  const auto stranger = noise.add("tool_use", "own tools", {});
  noise.finish();
  EXPECT_NEAR(noise.test(other).per_question, 1 / std::sqrt(100), 1e-12) << "the geometric mean";
  EXPECT_NEAR(noise.test(stranger).per_question, 1 / std::sqrt(1000), 1e-12) << "that of all";
  EXPECT_NEAR(noise.expected("no such family", {}), noise.expected("no such family", 1000), 1e-12);
}

TEST(QualityNoise, RowsSpeakForTheirTestThenItsFamily) {
  TestNoise noise;
  const auto loud = noise.add("code", "a", 100), same_family = noise.add("code", "b", 100);
  const auto other = noise.add("math", "c", 100);
  noise.finish();
  const double before = noise.at_full_damage(other);
  for (int i = 0; i < 30; ++i) noise.update({400, 0, 0}, {100, 0, 0});  // a unit of 2
  EXPECT_NEAR(noise.test(loud).unit, 2, 0.05);
  EXPECT_GT(noise.at_full_damage(same_family), noise.at_full_damage(other)) << "no rows: the family's";
  EXPECT_GT(noise.at_full_damage(other), before) << "no rows of its family: what all have";
  EXPECT_NEAR(noise.expected("code", 100), noise.at_full_damage(same_family), 1e-9);
}

}  // namespace
}  // namespace advisor
