#include "recommend/routing.h"

#include <gmock/gmock.h>

#include <random>

#include "core/fields.h"
#include "recommend/fixture.h"
#include "recommend/recommend.h"

namespace advisor {
namespace {

TEST(ShareToSmall, IsTheLargestThatMeetsTheLimit) {
  std::mt19937 random(3);
  const auto uniform = [&](double a, double b) { return std::uniform_real_distribution<double>(a, b)(random); };
  int between = 0;
  for (int i = 0; i < 2000; ++i) {
    const Distribution small{uniform(0.4, 0.8), uniform(0.001, 0.05), 30},
        large{uniform(0.5, 0.9), uniform(0.001, 0.05), 30};
    const double limit = uniform(0.4, 0.9), confidence = uniform(0.5, 0.99);
    const double share = share_to_small(small, large, limit, confidence);
    ASSERT_GE(share, 0);
    ASSERT_LE(share, 1);
    const auto holds = [&](double x) {  // both err together: the mixture is a t of mixed mean and scale
      const Distribution mixture{x * small.mean + (1 - x) * large.mean, x * small.sd + (1 - x) * large.sd, 30};
      return mixture.probability_above(limit) >= confidence;
    };
    if (share > 0 && share < 1) {
      ++between;
      EXPECT_TRUE(holds(share - 1e-6));
      EXPECT_FALSE(holds(share + 1e-6));
    }
    if (share == 1) {
      EXPECT_TRUE(holds(1) || limit - small.quantile(1 - confidence) < 1e-9);
    }
    EXPECT_GE(share, share_to_small(small, large, limit + 0.01, confidence)) << "a tighter limit never sends more";
  }
  EXPECT_GT(between, 200);
}

TEST(Routing, SendsNoMoreThanTheLimitAllowsAndSavesMoney) {
  const auto knowledge = small_knowledge();
  const Toolbox tools(knowledge);
  Profile profile;
  profile.model = "meta-llama/Llama-3.1-8B-Instruct";
  profile.hardware.id = "a100", profile.engine = "vllm", profile.allow.switch_model = false;
  set_field(profile, "tasks.0.task.benchmark", "mmlu");
  set_field(profile, "tasks.0.accuracy.retain", "0.9");
  set_field(profile, "tasks.0.share", "3");
  set_field(profile, "tasks.1.task.benchmark", "mmlu");
  int routed = 0;
  double before = 1;
  for (const double retain : {0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 1.0}) {
    profile.tasks[1].accuracy.retain = retain;
    const auto answer = recommend(profile, a100(), tools);
    for (const auto& one : answer.routing) {
      ++routed;
      EXPECT_EQ(one.task, "mmlu");
      EXPECT_NE(one.small, one.large);
      EXPECT_GE(one.share_small, 0.01);
      EXPECT_LE(one.share_small, before + 1e-9);
      before = one.share_small;
      const auto& small = answer.options[static_cast<std::size_t>(one.small - 1)];
      const auto& large = answer.options[static_cast<std::size_t>(one.large - 1)];
      ASSERT_TRUE(one.quality && one.usd_per_million_tokens);
      EXPECT_LT(one.usd_per_million_tokens->mean, large.usd_per_million_tokens->mean);
      EXPECT_GT(one.usd_per_million_tokens->mean, small.usd_per_million_tokens->mean);
      EXPECT_LE(one.quality->low, one.quality->mean);
      EXPECT_LE(one.quality->mean, one.quality->high);
      EXPECT_THAT(one.because, testing::HasSubstr("err together"));
    }
  }
  EXPECT_GT(routed, 0);
}

}  // namespace
}  // namespace advisor
