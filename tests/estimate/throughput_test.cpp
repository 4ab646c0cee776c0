#include "estimate/throughput.h"

#include <gtest/gtest.h>

#include <cmath>

#include "estimate/cost.h"
#include "fixture.h"

namespace advisor {
namespace {

SpeedMeasurement run(const char* source, const char* model, double params, double value) {
  SpeedMeasurement r;
  r.source = source, r.model = model, r.params = params, r.format = "fp16", r.weight_bits = 16;
  r.engine = "vllm", r.hardware = "a100", r.concurrency = 1, r.metric = "decode_tok_s", r.value = value;
  return r;
}

struct Throughput : testing::Test {
  Knowledge knowledge;
  Model model = llama_8b();
  Variant full = as(model, "none", "W16A16", "safetensors", "vllm");
  Throughput() { knowledge.devices = {a100().device}; }
};

TEST_F(Throughput, WithoutRowsItIsAPriorAndWide) {
  const auto rate = SpeedEstimator(knowledge).decode(model, full, a100(), {});
  EXPECT_EQ(rate->basis, Basis::prior);
  const auto e = rate->estimate();
  // Roofline: 16.06 GB / 2.039 TB/s = 7.9 ms; nothing is faster.
  EXPECT_LT(e.mean, 127);
  EXPECT_GT(e.high / e.low, 2);
}

TEST_F(Throughput, EfficiencyCarriesOverToOtherModels) {
  // 0.7 of the roofline on a 7B model, with 1.2e-4 s per layer on top.
  for (int i = 0; i < 5; ++i) {
    const double layers = 32 * std::cbrt(7.0 / 8), step = 14e9 / (0.7 * 2.039e12) + 1.2e-4 * layers;
    knowledge.speed.push_back(run("s", "other/7B", 7e9, 1 / step));
  }
  const auto rate = SpeedEstimator(knowledge).decode(model, full, a100(), {.input_tokens = 1, .output_tokens = 1});
  const double read = 16.06e9 - 128256.0 * 4096 * 2, step = read / (0.7 * 2.039e12) + 1.2e-4 * 32;
  EXPECT_EQ(rate->basis, Basis::transferred);
  EXPECT_NEAR(rate->estimate().mean, 1 / step, 0.01 / step);
}

TEST_F(Throughput, MeasuredOnThisMachineComesFirst) {
  knowledge.speed = {run("s", model.id.c_str(), 8e9, 77)};
  const auto rate = SpeedEstimator(knowledge).decode(model, full, a100(), {});
  EXPECT_EQ(rate->basis, Basis::measured);
  EXPECT_NEAR(rate->estimate().mean, 77, 1e-9);
  EXPECT_LT(rate->estimate().low, 77);
}

TEST_F(Throughput, SuspectSpeculativeAndImpossibleRowsDoNotCount) {
  for (int i = 0; i < 6; ++i) {
    auto suspect = run("s", "other/7B", 7e9, 90), speculative = suspect, impossible = suspect, load = suspect;
    suspect.suspect = "mislabelled";
    speculative.engine = "vllm+specdec";
    impossible.value = 5000;
    load.concurrency.reset();
    knowledge.speed.insert(knowledge.speed.end(), {suspect, speculative, impossible, load});
  }
  EXPECT_EQ(SpeedEstimator(knowledge).decode(model, full, a100(), {})->basis, Basis::prior);
}

TEST_F(Throughput, LayerSplitDoesNotDecodeFaster) {
  const SpeedEstimator speed(knowledge);
  const auto gguf = as(model, "none", "F16", "gguf", "llama.cpp");
  EXPECT_DOUBLE_EQ(speed.decode(model, gguf, a100(4), {})->log.mean, speed.decode(model, gguf, a100(1), {})->log.mean);
  EXPECT_GT(speed.decode(model, full, a100(4), {})->log.mean, speed.decode(model, full, a100(1), {})->log.mean);
}

TEST_F(Throughput, BatchesRaiseTheTotalAndSlowEachStream) {
  const SpeedEstimator speed(knowledge);
  const double one = speed.decode(model, full, a100(), {.concurrency = 1})->estimate().mean;
  const double many = speed.decode(model, full, a100(), {.concurrency = 16})->estimate().mean;
  EXPECT_GT(many, one);
  EXPECT_LT(many / 16, one);
}

TEST_F(Throughput, UnknownBandwidthGivesNoEstimate) {
  auto blind = a100();
  blind.device.bandwidth.reset();
  EXPECT_FALSE(SpeedEstimator(knowledge).decode(model, full, blind, {}));
  EXPECT_FALSE(SpeedEstimator(knowledge).first_token(model, full, blind, {}));
}

TEST_F(Throughput, FirstTokenGrowsWithThePrompt) {
  const SpeedEstimator speed(knowledge);
  EXPECT_GT(speed.first_token(model, full, a100(), {.input_tokens = 8000})->log.mean,
            speed.first_token(model, full, a100(), {.input_tokens = 1000})->log.mean);
}

TEST_F(Throughput, CostFollowsTheFormula) {
  knowledge.prices = {{"p", "sku", "a100", 8, 16, "on-demand", "", "u", ""},
                      {"q", "sku", "a100", 1, 1, "spot", "", "u", ""}};
  const auto hour = hourly_cost(knowledge, a100(2));
  EXPECT_DOUBLE_EQ(hour->mean, 4) << "2 USD per device, spot offers left out";
  Rate rate;
  rate.log = {std::log(100.0), 0.1, 10};
  EXPECT_NEAR(cost_per_million(*hour, rate, 0.5).mean, 4 / (100 * 0.5 * 3600) * 1e6, 1e-9);
  EXPECT_FALSE(hourly_cost(knowledge, Hardware{}));
}

}  // namespace
}  // namespace advisor
