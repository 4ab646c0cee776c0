#include "estimate/speed_model.h"

#include <gtest/gtest.h>

#include <cmath>

#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

/// η 0.8, a cache byte costs a weight byte, 0.1 ms per layer, ε 0.5, 5 ms per prompt, 10 us per sequence, β 0.5.
std::array<double, speed_terms> terms() {
  std::array<double, speed_terms> t{};
  t[memory_efficiency] = std::log(4.0);
  t[cache_cost] = 0;
  t[launch_time] = std::log(1e-4);
  t[compute_efficiency] = std::log(0.5);
  t[prompt_time] = std::log(5e-3);
  t[sequence_time] = std::log(1e-5);
  t[exchange_time] = std::log(1e-5);
  t[hop_time] = std::log(1e-4);
  t[batch_efficiency] = std::log(0.5);
  t[turn_share] = std::log(0.5);
  return t;
}

struct SpeedModel : testing::Test {
  Model model = llama_8b();
  Variant full = as(model, "none", "W16A16", "safetensors", "vllm");
  double read = estimate_weights(model, full)->read_bytes;
  double seconds(const Load& load, SpeedQuantity quantity, std::int64_t count = 1) const {
    return std::exp(log_seconds(*speed_work(model, full, a100(count), load), speed_rates(terms()), quantity).value);
  }
};

TEST_F(SpeedModel, SingleStreamByHand) {
  const Load load{.input_tokens = 1000, .output_tokens = 200};
  const double cache = 1100 * 131072.0;  // 2 · 8 heads · 128 · 32 layers · 2 bytes
  const double memory = (read + cache) / (0.8 * 2.039e12);
  EXPECT_NEAR(seconds(load, SpeedQuantity::decode), memory + 32e-4 + 1e-5, 0.002 * memory);
}

TEST_F(SpeedModel, LargeBatchesAreBoundByArithmetic) {
  const Load load{.input_tokens = 10, .output_tokens = 10, .concurrency = 4096};
  const auto active = estimate_weights(model, full)->active_params;
  const double compute = 2 * active * 4096 / (0.25 * 312e12);
  const double step = seconds(load, SpeedQuantity::decode) * 4096;
  EXPECT_NEAR(step, compute + 32e-4 + 4096e-5, 0.02 * step);
}

TEST_F(SpeedModel, APromptByHand) {
  const auto active = estimate_weights(model, full)->active_params;
  const double operations = 4000 * (2 * active + 2 * 32 * 4096 * 4000.0);
  const Load load{.input_tokens = 4000, .output_tokens = 1};
  const double expected = operations / (0.5 * 312e12) + 5e-3 + 32e-4;
  EXPECT_NEAR(seconds(load, SpeedQuantity::first_token), expected, 0.005 * expected);
  EXPECT_NEAR(seconds(load, SpeedQuantity::prefill), expected / 4000, 0.005 * expected / 4000);
}

TEST_F(SpeedModel, ThroughputCountsPrompts) {
  const Load load{.input_tokens = 4000, .output_tokens = 100, .concurrency = 1};
  const double whole = seconds(load, SpeedQuantity::throughput) * 100;
  EXPECT_NEAR(whole, seconds(load, SpeedQuantity::decode) * 100 + seconds(load, SpeedQuantity::first_token), 1e-9);
}

TEST_F(SpeedModel, ArrivalsFollowLittlesLaw) {
  const Load load{.input_tokens = 100, .output_tokens = 100, .concurrency = 256, .requests_per_second = 2};
  const double per_token = seconds(load, SpeedQuantity::per_token);
  // 2/s at about 1.3 s each are under way together.
  const double under_way = 2 * per_token * 100;
  const Load closed{
      .input_tokens = 100, .output_tokens = 100, .concurrency = std::max<std::int64_t>(1, std::llround(under_way))};
  EXPECT_NEAR(per_token, seconds(closed, SpeedQuantity::per_token), 0.05 * per_token);
}

TEST_F(SpeedModel, TheMiddleOfAnOverloadedRunWaitsForThoseBefore) {
  Load load{.input_tokens = 100, .output_tokens = 100, .concurrency = 4, .requests_per_second = 100, .requests = 400};
  const double first = seconds(load, SpeedQuantity::first_token);
  load.requests = 800;
  const double twice = seconds(load, SpeedQuantity::first_token);
  // Four at a time: each of 200 more takes a fourth of the life of a request, and came 10 ms after the one before.
  const Load closed{.input_tokens = 100, .output_tokens = 100, .concurrency = 4};
  const double life = 100 * seconds(closed, SpeedQuantity::throughput) * 4;
  EXPECT_NEAR(twice - first, 200 * (life / 4 - 0.01), 0.02 * twice);
  EXPECT_NEAR(seconds(load, SpeedQuantity::per_token), seconds(closed, SpeedQuantity::per_token), 1e-3);
}

TEST_F(SpeedModel, AShortRunEndsBeforeTheBatchIsFull) {
  Load load{.input_tokens = 100, .output_tokens = 400, .concurrency = 256, .requests_per_second = 40, .requests = 40};
  const double brief = seconds(load, SpeedQuantity::per_token);
  load.requests = 4000;
  EXPECT_LT(brief, seconds(load, SpeedQuantity::per_token));
  load.requests = 40;
  EXPECT_LT(seconds(load, SpeedQuantity::first_token), 0.1) << "nobody waits while there is room";
}

TEST_F(SpeedModel, TheMiddleOfABurstWaitsForHalfThePrompts) {
  const Load alone{.input_tokens = 1000, .output_tokens = 100};
  const double prompt = seconds(alone, SpeedQuantity::first_token);
  Load burst{.input_tokens = 1000, .output_tokens = 100, .concurrency = 64, .requests = 64};
  const double first = seconds(burst, SpeedQuantity::first_token);
  EXPECT_GT(first, 31 * (prompt - 5e-3 - 32e-4));
  EXPECT_LT(first, 33 * prompt);
  burst.concurrency = 16;  // no room for the rest: they wait for the answers of those before
  EXPECT_GT(seconds(burst, SpeedQuantity::first_token), first);
}

TEST_F(SpeedModel, ClientsWithoutRoomWaitForAnswers) {
  Load load{.input_tokens = 2000, .output_tokens = 100, .concurrency = 64};
  auto work = *speed_work(model, full, a100(), load);
  const auto first = [&] {
    return std::exp(log_seconds(work, speed_rates(terms()), SpeedQuantity::first_token).value);
  };
  const double room = first();
  work.capacity = 32;
  const double half = first();
  const double life = 100 * std::exp(log_seconds(work, speed_rates(terms()), SpeedQuantity::per_token).value);
  EXPECT_GT(half, life) << "32 of 64 wait for a whole answer";
  EXPECT_GT(half, room);
}

TEST_F(SpeedModel, DevicesSplitTheWorkAndTalk) {
  const Load load{.input_tokens = 1, .output_tokens = 2};
  const double one = seconds(load, SpeedQuantity::decode, 1), four = seconds(load, SpeedQuantity::decode, 4);
  const double link = 2 * 32 * 4096 * 2 * 1.5 / 31.5e9;  // two sums per layer, 16 bits, six fourths through each link
  EXPECT_NEAR(four, (one - 32e-4 - 1e-5) / 4 + 32e-4 + 1e-5 + 2 * 32e-5 + link, 1e-4 * one);
  EXPECT_TRUE(splits_layers("llama.cpp"));
  EXPECT_FALSE(splits_layers("vllm"));
}

TEST_F(SpeedModel, MixturesReadMoreExpertsInBatches) {
  auto mixture = model;
  mixture.id = "m", mixture.params = 47e9, mixture.active_params = 13e9, mixture.experts = 8, mixture.experts_used = 2;
  const auto step = [&](std::int64_t batch) {
    const auto work = speed_work(mixture, full, a100(4), {.input_tokens = 1, .output_tokens = 2, .concurrency = batch});
    EXPECT_LT(work->used, 1);
    return std::exp(log_seconds(*work, speed_rates(terms()), SpeedQuantity::decode).value) * static_cast<double>(batch);
  };
  EXPECT_GT(step(8), 2 * step(1));
  EXPECT_LT(step(64), 1.5 * step(8)) << "after a dozen sequences all experts are read";
}

TEST_F(SpeedModel, SlopesAreDerivatives) {
  for (const auto quantity : {SpeedQuantity::decode, SpeedQuantity::throughput, SpeedQuantity::prefill,
                              SpeedQuantity::first_token, SpeedQuantity::per_token})
    for (const double arrivals : {0.0, 1.0}) {
      const Load load{.input_tokens = 700, .output_tokens = 90, .concurrency = 12, .requests_per_second = arrivals};
      const auto work = speed_work(model, full, a100(2), load);
      const auto at = log_seconds(*work, speed_rates(terms()), quantity);
      for (std::size_t t = 0; t < speed_terms; ++t) {
        auto up = terms(), down = terms();
        up[t] += 1e-5, down[t] -= 1e-5;
        const double slope = (log_seconds(*work, speed_rates(up), quantity).value -
                              log_seconds(*work, speed_rates(down), quantity).value) /
                             2e-5;
        EXPECT_NEAR(at.slope[t], slope, 1e-4) << t;
      }
    }
}

TEST_F(SpeedModel, WhatIsUnknownGivesNoWork) {
  auto blind = a100();
  blind.device.bandwidth.reset();
  EXPECT_FALSE(speed_work(model, full, blind, {}));
  EXPECT_FALSE(speed_work(Model{}, full, a100(), {}));
}

}  // namespace
}  // namespace advisor
