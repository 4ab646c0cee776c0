#include "estimate/throughput.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "estimate/fits.h"
#include "estimate/speed_fit.h"
#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

constexpr double efficiency = 0.7, per_layer = 1.2e-4;

/// A model between the two of the fixture, to have rows that are not of the model asked for.
Model llama_32b() { return llama("other/32B", 0, 60, 6656, 17920, 52); }

SpeedMeasurement row(const char* source, const Model& model, const char* format, double bits, double value) {
  SpeedMeasurement r;
  r.source = source, r.model = model.id, r.format = format, r.weight_bits = bits;
  r.engine = "vllm", r.engine_version = "0.9.1", r.hardware = "a100", r.concurrency = 1, r.load = "1";
  r.input_tokens = 1, r.output_tokens = 128;
  r.metric = "decode_tok_s", r.value = value;
  return r;
}

/// What a machine with this efficiency and launch time per layer would do.
double rate_of(const Model& model, const char* scheme) {
  const auto weights = estimate_weights(model, as(model, "rtn", scheme, "compressed-tensors", "vllm"));
  return 1 / (weights->read_bytes / (efficiency * 2.039e12) + per_layer * static_cast<double>(*model.layers));
}

struct Throughput : testing::Test {
  Knowledge knowledge;
  Model model = llama_8b(), large = llama_70b(), middle = llama_32b();
  Variant full = as(model, "none", "W16A16", "safetensors", "vllm");
  Load load{.input_tokens = 1, .output_tokens = 128};

  Throughput() {
    middle.params = 32e9;
    Device other = a100().device;  // the same class, half of the bandwidth
    other.id = "a30", other.bandwidth = 1e12;
    knowledge.devices = {a100().device, other};
    knowledge.models = {model, large, middle};
    for (const char* source : {"s", "t", "u"})
      for (const auto& [format, bits, scheme] :
           {std::tuple{"bf16", 16.0, "W16A16"}, std::tuple{"W4A16-GPTQ", 4.0, "W4A16-g128"}})
        for (const auto* m : {&middle, &large})
          for (const double repeat : {0.97, 1.03})
            if (m != &large || bits < 16)
              knowledge.speed.push_back(row(source, *m, format, bits, repeat * rate_of(*m, scheme)));
  }
  SpeedEstimator estimator() const { return SpeedEstimator(knowledge); }
  Hardware half() const { return {knowledge.devices[1], 1, "catalog"}; }
};

TEST_F(Throughput, WithoutAnyRowOfTheEngineItIsAGap) {
  EXPECT_FALSE(SpeedEstimator(Knowledge{}).decode(model, full, a100(), load));
  EXPECT_FALSE(estimator().decode(model, as(model, "none", "W16A16", "safetensors", "sglang"), a100(), load));
  EXPECT_TRUE(estimator().decode(model, full, a100(), load));
}

TEST_F(Throughput, EfficiencyCarriesOverToOtherModels) {
  const auto rate = estimator().decode(model, full, a100(), load);
  EXPECT_EQ(rate->basis, Basis::modelled);
  EXPECT_NEAR(std::exp(rate->log.mean), rate_of(model, "W16A16"), 0.15 * rate_of(model, "W16A16"));
  EXPECT_GT(rate->rows, 0);
  EXPECT_EQ(rate->sources, (std::vector<std::string>{"s", "t", "u"}));
  EXPECT_EQ(rate->engine_version, "0.9.1");
}

TEST_F(Throughput, MeasuredSetupsOutweighTheFit) {
  const double before = estimator().decode(model, full, a100(), load)->log.mean;
  const double measured = 1.4 * std::exp(before);
  knowledge.speed.push_back(row("v", model, "bf16", 16, measured));
  const auto rate = estimator().decode(model, full, a100(), load);
  EXPECT_EQ(rate->basis, Basis::measured);
  EXPECT_EQ(rate->rows, 1);
  EXPECT_EQ(rate->sources, std::vector<std::string>{"v"});
  EXPECT_GT(rate->log.mean, before + 0.5 * std::log(1.4)) << "nearer to the measured value than to the fit";
  EXPECT_GT(rate->log.sd, 0.05) << "one row never has zero spread";
}

TEST_F(Throughput, OtherSetupsOfTheModelPullLess) {
  const auto before = estimator().decode(model, full, a100(), load)->log;
  knowledge.speed.push_back(row("v", model, "W4A16-GPTQ", 4, 1.4 * rate_of(model, "W4A16-g128")));
  const auto rate = estimator().decode(model, full, a100(), load);
  EXPECT_EQ(rate->basis, Basis::transferred);
  EXPECT_GT(rate->log.mean, before.mean);
  EXPECT_LT(rate->log.mean, before.mean + std::log(1.4));
}

TEST_F(Throughput, MoreRowsOfASetupNeverWidenIt) {
  double sd = estimator().decode(model, full, a100(), load)->log.sd;
  knowledge.fits = fit_speed(knowledge);
  for (int i = 0; i < 4; ++i) {
    knowledge.speed.push_back(row("v", model, "bf16", 16, rate_of(model, "W16A16")));
    const double now = estimator().decode(model, full, a100(), load)->log.sd;
    EXPECT_LE(now, sd + 1e-12);
    sd = now;
  }
}

TEST_F(Throughput, RecordedRowsSharpenAtOnce) {
  knowledge.fits = fit_speed(knowledge);
  const auto before = estimator().decode(model, full, a100(), load)->log;
  const auto neighbour =
      estimator().decode(large, as(large, "none", "W16A16", "safetensors", "vllm"), half(), load)->log;
  auto own = row("mine", model, "bf16", 16, 0.7 * std::exp(before.mean));
  own.recorded = "2026-11-20";
  knowledge.speed.push_back(own);
  const auto rate = estimator().decode(model, full, a100(), load);
  EXPECT_EQ(rate->basis, Basis::measured);
  EXPECT_EQ(rate->how, "measured here on 2026-11-20");
  EXPECT_LT(rate->log.mean, before.mean);
  EXPECT_LT(rate->log.sd, before.sd);
  const auto after = estimator().decode(large, as(large, "none", "W16A16", "safetensors", "vllm"), half(), load)->log;
  EXPECT_LT(after.mean, neighbour.mean) << "the levels moved, so other models on such hardware profit";
}

TEST_F(Throughput, UnknownGroundIsWider) {
  const auto speed = estimator();
  auto consumer = a100();
  consumer.device.id = "c", consumer.device.kind = "consumer-gpu";
  const auto known = speed.decode(model, full, a100(), load), unknown = speed.decode(model, full, consumer, load);
  EXPECT_GT(unknown->log.sd, known->log.sd);
  const auto format = speed.decode(model, as(model, "rtn", "W8A8-fp8", "compressed-tensors", "vllm"), a100(), load);
  EXPECT_GT(format->log.sd, known->log.sd);
}

TEST_F(Throughput, FourBitFloatsWithoutTheirUnitsRunAsWeightsOfFourBits) {
  Variant variant;
  variant.scheme = "W4A4-nvfp4", variant.format = "compressed-tensors", variant.engine = "vllm";
  Variant weights_only = variant;
  weights_only.scheme = "W4A16-g128";
  Device device = a100().device;
  device.fp4.reset();
  const auto emulated = speed_levels(variant, device, false), usual = speed_levels(weights_only, device, false);
  EXPECT_EQ(emulated.format, usual.format);
  EXPECT_EQ(emulated.arithmetic, usual.arithmetic);
  device.fp4 = 9e15;
  EXPECT_NE(speed_levels(variant, device, false).arithmetic, usual.arithmetic);
  EXPECT_NE(speed_levels(variant, device, false).format, usual.format);
}

TEST_F(Throughput, SliceAnswersAsTheWhole) {
  knowledge.fits = fit_speed(knowledge);
  knowledge.speed.push_back(row("v", model, "W4A16-GPTQ", 4, rate_of(model, "W4A16-g128")));
  Knowledge slice = knowledge;
  std::erase_if(slice.speed, [&](const auto& r) { return r.model != model.id; });
  std::erase_if(slice.models, [&](const auto& m) { return m.id != model.id; });
  const auto whole = estimator().decode(model, full, a100(), load);
  const auto part = SpeedEstimator(slice).decode(model, full, a100(), load);
  EXPECT_EQ(whole->log.mean, part->log.mean);
  EXPECT_EQ(whole->log.sd, part->log.sd);
  EXPECT_EQ(whole->sources, part->sources);
}

TEST_F(Throughput, MoreBandwidthIsNeverSlowerAndMoreBitsAreNeverFaster) {
  const auto speed = estimator();
  double last = -1e9;
  for (const double bandwidth : {1.0e12, 1.5e12, 2.0e12, 3.0e12}) {
    auto machine = a100();
    machine.device.id.clear(), machine.device.bandwidth = bandwidth;
    const double now = speed.decode(model, full, machine, load)->log.mean;
    EXPECT_GT(now, last);
    last = now;
  }
  last = 1e9;  // formats without rows of their own have the efficiency of the engine on the class
  for (const char* scheme : {"W3A16-g128", "W5A16-g128", "W6A16-g128", "W8A16-g128"}) {
    const double now =
        speed.decode(model, as(model, "rtn", scheme, "compressed-tensors", "vllm"), a100(), load)->log.mean;
    EXPECT_LT(now, last) << scheme;
    last = now;
  }
}

TEST_F(Throughput, LongerContextsAndPromptsAreNeverFaster) {
  const auto speed = estimator();
  double decode = 1e9, first = 0;
  for (const std::int64_t tokens : {128, 1024, 8192, 65536}) {
    const Load longer{.input_tokens = tokens, .output_tokens = 128};
    const double rate = speed.decode(model, full, a100(), longer)->log.mean;
    const double wait = speed.first_token(model, full, a100(), longer)->log.mean;
    EXPECT_LT(rate, decode);
    EXPECT_GT(wait, first == 0 ? -1e9 : first);
    decode = rate, first = wait;
  }
}

TEST_F(Throughput, LayerSplitDoesNotDecodeFaster) {
  for (auto& r : knowledge.speed) {
    r.engine = "llama.cpp";
    r.format = r.format == "bf16" ? "bf16" : "Q4_0";
  }
  const auto speed = estimator();
  const auto gguf = as(model, "none", "F16", "gguf", "llama.cpp");
  EXPECT_LE(speed.decode(model, gguf, a100(4), load)->log.mean, speed.decode(model, gguf, a100(1), load)->log.mean);
  EXPECT_LT(speed.first_token(model, gguf, a100(4), {.input_tokens = 8192})->log.mean,
            speed.first_token(model, gguf, a100(1), {.input_tokens = 8192})->log.mean)
      << "prompts go through the devices as a pipeline";
}

TEST_F(Throughput, TensorParallelDecodesFasterButNotInProportion) {
  const auto speed = estimator();
  const double one = std::exp(speed.decode(large, full, a100(1), load)->log.mean);
  const double four = std::exp(speed.decode(large, full, a100(4), load)->log.mean);
  EXPECT_GT(four, one);
  EXPECT_LT(four, 4 * one);
}

TEST_F(Throughput, BatchesRaiseTheTotalAndSlowEachStream) {
  const auto speed = estimator();
  const Load many{.input_tokens = 512, .output_tokens = 128, .concurrency = 16},
      one{.input_tokens = 512, .output_tokens = 128};
  const double total = std::exp(speed.decode(model, full, a100(), many)->log.mean);
  const double single = std::exp(speed.decode(model, full, a100(), one)->log.mean);
  EXPECT_GT(total, single);
  EXPECT_LT(total / 16, single);
  EXPECT_GT(speed.time_per_token(model, full, a100(), many)->log.mean,
            speed.time_per_token(model, full, a100(), one)->log.mean);
  EXPECT_LT(speed.throughput(model, full, a100(), many)->log.mean, speed.decode(model, full, a100(), many)->log.mean)
      << "prompts take time too";
}

TEST_F(Throughput, ArrivalsBeyondWhatIsServedMakeAQueue) {
  const auto speed = estimator();
  double last = -1e9;
  for (const double arrivals : {0.5, 5.0, 50.0, 500.0}) {
    const Load open{.input_tokens = 1024, .output_tokens = 256, .concurrency = 256, .requests_per_second = arrivals};
    const double wait = speed.first_token(model, full, a100(), open)->log.mean;
    EXPECT_GE(wait, last);
    last = wait;
  }
  EXPECT_GT(std::exp(last), 1) << "half of a hundred prompts are computed first";
}

TEST_F(Throughput, NoIntervalIsWiderThanWhatTheFormulaCanDo) {
  const auto speed = estimator();
  for (double arrivals = 0.5; arrivals < 500; arrivals *= 1.05) {  // one of them is where the machine saturates
    const Load open{.input_tokens = 1024, .output_tokens = 256, .concurrency = 256, .requests_per_second = arrivals};
    const auto wait = speed.first_token(model, full, a100(), open);
    EXPECT_LT(wait->log.sd, std::log(1e4)) << arrivals;
    EXPECT_GT(wait->log.sd, 0.1) << arrivals;
  }
}

TEST_F(Throughput, PlainNumbersAreTheSameNumbers) {
  const auto speed = estimator();
  const auto rate = speed.decode(model, full, a100(), load);
  const auto work = speed_work(model, full, a100(), load);
  const auto setup = speed.setup(model, full, a100());
  const auto plain =
      SpeedEstimator::answer(*work, *setup, SpeedQuantity::decode, speed.spread(*work, SpeedQuantity::decode, "vllm"));
  EXPECT_DOUBLE_EQ(-plain.mean, rate->log.mean);
  EXPECT_DOUBLE_EQ(plain.sd, rate->log.sd);
}

TEST_F(Throughput, UnknownBandwidthOrSizeGivesNoEstimate) {
  auto blind = a100();
  blind.device.bandwidth.reset();
  EXPECT_FALSE(estimator().decode(model, full, blind, load));
  EXPECT_FALSE(estimator().first_token(model, full, blind, load));
  EXPECT_FALSE(estimator().decode(Model{}, full, a100(), load));
}

}  // namespace
}  // namespace advisor
