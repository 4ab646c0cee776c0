#include "estimate/speed_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "fixture.h"

namespace advisor {
namespace {

struct SpeedCasesTest : testing::Test {
  Knowledge knowledge;
  SpeedMeasurement row;

  SpeedCasesTest() {
    knowledge.models = {llama_8b()};
    auto blind = a100().device;
    blind.id = "blind", blind.bandwidth.reset();
    knowledge.devices = {a100().device, blind};
    row.source = "s", row.model = llama_8b().id, row.format = "W4A16-AWQ", row.weight_bits = 4;
    row.engine = "vllm", row.engine_version = "0.9.1", row.hardware = "a100", row.hardware_count = 2;
    row.concurrency = 4, row.load = "4", row.input_tokens = 100, row.output_tokens = 50;
    row.metric = "decode_tok_s", row.value = 300, row.locator = "table 1";
  }
  std::optional<SpeedCase> read() const { return SpeedCases(knowledge).read(row); }
  std::string refusal() const {
    std::string why;
    EXPECT_FALSE(SpeedCases(knowledge).read(row, &why));
    return why;
  }
};

TEST_F(SpeedCasesTest, ARowIsAQuestionAndItsAnswer) {
  const auto c = read();
  ASSERT_TRUE(c);
  EXPECT_EQ(c->model.layers, 32);
  EXPECT_EQ(c->variant.scheme, "W4A16-g128-asym");
  EXPECT_EQ(c->variant.engine, "vllm");
  EXPECT_EQ(c->hardware.count, 2);
  EXPECT_EQ(c->load.concurrency, 4);
  EXPECT_EQ(c->load.input_tokens, 100);
  EXPECT_EQ(c->quantity, "decode");
  EXPECT_DOUBLE_EQ(c->observed, std::log(300.0));
  EXPECT_EQ(c->engine_version, "0.9.1");
  EXPECT_EQ(c->where, "table 1");
  EXPECT_FALSE(c->mixture);
}

TEST_F(SpeedCasesTest, TimesAreSeconds) {
  row.metric = "tpot_ms", row.value = 12;
  EXPECT_EQ(read()->quantity, "tpot");
  EXPECT_DOUBLE_EQ(read()->observed, std::log(0.012));
  row.metric = "ttft_ms", row.value = 80;
  EXPECT_EQ(read()->quantity, "ttft");
}

TEST_F(SpeedCasesTest, RatesOverWholeRequestsAreThroughput) {
  row.metric = "total_tok_s", row.value = 300;
  EXPECT_EQ(read()->quantity, "throughput");
  EXPECT_NEAR(read()->observed, std::log(100.0), 1e-12) << "50 of 150 tokens are put out";
  row.metric = "requests_s", row.value = 3;
  EXPECT_NEAR(read()->observed, std::log(150.0), 1e-12);
  row.metric = "decode_tok_s", row.locator = "Tokens/sec (includes 2048-token prefill)";
  EXPECT_EQ(read()->quantity, "throughput");
}

TEST_F(SpeedCasesTest, LoadsThatAreNoNumbers) {
  row.concurrency.reset(), row.load = "10 req/s", row.metric = "tpot_ms", row.value = 20;
  EXPECT_DOUBLE_EQ(read()->load.requests_per_second, 10);
  row.load = "offline 100 req", row.metric = "decode_tok_s", row.value = 1000;
  EXPECT_EQ(read()->load.requests, 100);
  EXPECT_EQ(read()->quantity, "throughput");
  row.load = "max-num-seqs=8";
  EXPECT_EQ(read()->load.concurrency, 8);
  row.load = "max(infinite rate)";
  EXPECT_GT(read()->load.concurrency, 100);
  row.load = "a lot";
  EXPECT_EQ(refusal(), "load is neither a concurrency nor a rate");
}

TEST_F(SpeedCasesTest, LengthsAsPublished) {
  row.input_tokens.reset(), row.output_tokens.reset();
  row.input_length = "p50 28650", row.output_length = "<=256";
  EXPECT_EQ(read()->load.input_tokens, 28650);
  EXPECT_EQ(read()->load.output_tokens, 128) << "half of the cap";
  row.input_length = "ShareGPT";
  EXPECT_EQ(read()->load.input_tokens, 217);
  row.output_length = "ShareGPT";
  EXPECT_EQ(read()->load.output_tokens, 200);
  row.input_tokens = 32768, row.metric = "prefill_tok_s", row.value = 900;
  row.locator = "log=x.log test=pp2048 @ d32768 fa=True";
  EXPECT_EQ(read()->load.input_tokens, 2048);
  EXPECT_EQ(read()->load.past_tokens, 32768);
}

TEST_F(SpeedCasesTest, SuitesOfAccelMarkByTheirMeans) {
  row.concurrency.reset(), row.input_tokens.reset(), row.output_tokens.reset();
  row.load = "10 req/s", row.metric = "tpot_ms", row.value = 20;
  row.input_length = "p50 95 (ShareGPT short)", row.output_length = "<=256";
  row.locator = "results/verified/some_gpux1_suite_F_some_engine/result.json metrics.online";
  EXPECT_EQ(read()->load.input_tokens, 95) << "another source's row";
  row.source = "accelmark";
  EXPECT_EQ(read()->load.input_tokens, 103);
  EXPECT_EQ(read()->load.output_tokens, 211);
  EXPECT_EQ(read()->load.requests, 300);
  row.load = "10 req/s, at most 64";
  EXPECT_EQ(read()->load.concurrency, 64);
  row.locator = "of no suite";
  EXPECT_EQ(read()->load.requests, 0);
}

TEST_F(SpeedCasesTest, FormatsAsSchemes) {
  const auto scheme = [&](const char* engine, const char* format) {
    row.engine = engine, row.format = format;
    const auto c = read();
    return c ? c->variant.scheme + " " + c->variant.format : "";
  };
  EXPECT_EQ(scheme("vllm", "bf16"), "W16A16 safetensors");
  EXPECT_EQ(scheme("vllm", "W8A8-FP8"), "W8A8-fp8 compressed-tensors");
  EXPECT_EQ(scheme("llama.cpp", "fp16"), "F16 gguf");
  EXPECT_EQ(scheme("llama.cpp", "UD-Q4_K_XL"), "Q4_K_M gguf");
  EXPECT_EQ(scheme("llama.cpp", "Q8_K_XL"), "Q8_0 gguf");
  EXPECT_EQ(scheme("llama.cpp", "Unsloth-Dynamic-IQ4_XS"), "IQ4_XS gguf");
  EXPECT_EQ(scheme("mlx", "MLX-8bit"), "W8A16-g64-asym mlx");
  row.engine = "llama.cpp", row.format = "AVQ2", row.weight_bits.reset();
  EXPECT_EQ(refusal(), "number format says no bits: AVQ2");
}

TEST_F(SpeedCasesTest, WhatCannotBeScoredSaysWhy) {
  const auto good = row;
  const auto refused = [&](const std::function<void()>& spoil) {
    row = good;
    spoil();
    return refusal();
  };
  EXPECT_EQ(refused([&] { row.suspect = "126 %"; }), "marked as suspect");
  EXPECT_EQ(refused([&] { row.engine = "vllm+specdec"; }), "speculative decoding");
  EXPECT_EQ(refused([&] { row.engine = "ctranslate2"; }), "translation model");
  EXPECT_EQ(refused([&] { row.metric = "memory_gb"; }), "memory_gb is no speed that is estimated");
  EXPECT_EQ(refused([&] { row.hardware = "elsewhere"; }), "hardware is in no catalog");
  EXPECT_EQ(refused([&] { row.hardware = "blind"; }), "memory bandwidth of the hardware is unknown");
  EXPECT_EQ(refused([&] { row.model = "nobody/knows"; }), "size of the model is not stated");
  EXPECT_EQ(refused([&] { row.value = std::nan(""); }), "its value is no positive number");
  EXPECT_EQ(refused([&] { row.parallelism = "cpu-offload"; }), "part of the weights is in main memory");
  EXPECT_EQ(refused([&] { row.parallelism = "2 threads"; }), "fewer threads than the processor has cores");
  EXPECT_EQ(refused([&] { row.value = 1e6; }), "faster than the weights can be read");
  EXPECT_EQ(refused([&] { row.metric = "ttft_ms", row.input_tokens = 100000, row.value = 100; }),
            "faster than the prompt can be computed: a part of it was cached");
  EXPECT_EQ(refused([&] { row.model = "nobody/large", row.params = 700e9, row.value = 3; }),
            "the weights do not fit the device's memory");
}

TEST_F(SpeedCasesTest, FirstTokensAreJudgedByThePromptsThatCameBefore) {
  // 8 B parameters, 4000 tokens: 64 TFLOP, a tenth of a second at the two devices' peak of int8.
  row.metric = "ttft_ms", row.input_tokens = 4000, row.value = 60;
  row.concurrency = 64, row.load = "64";
  EXPECT_TRUE(read()) << "in a closed loop only its own";
  row.concurrency.reset(), row.load = "offline 64 req (infinite rate)";
  EXPECT_EQ(refusal(), "faster than the prompt can be computed: a part of it was cached");
  row.value = 60 * 32;
  EXPECT_TRUE(read()) << "in a burst half of them";
  row.metric = "prefill_tok_s", row.concurrency = 64, row.load = "64", row.value = 1e6;
  EXPECT_EQ(refusal(), "faster than the prompt can be computed: a part of it was cached");
}

TEST_F(SpeedCasesTest, ABurstFillsWhatTheEngineTakesAtOnce) {
  row.concurrency.reset(), row.load = "offline 3000 req (infinite rate)", row.value = 1000;
  const auto most = [&](const char* engine, const char* version, const char* device) {
    row.engine = engine, row.engine_version = version, row.hardware = device;
    return read()->load.concurrency;
  };
  auto h100 = a100().device;
  h100.id = "h100";
  knowledge.devices.push_back(h100);
  auto large = a100().device;
  large.id = "nvidia-a100-sxm4-80gb";
  knowledge.devices.push_back(large);
  EXPECT_EQ(most("vllm", "0.6.3", "h100"), 256);
  EXPECT_EQ(most("vllm", "0.11.0", "h100"), 1024);
  EXPECT_EQ(most("vllm", "0.11.0", "nvidia-a100-sxm4-80gb"), 256);
  EXPECT_EQ(most("sglang", "0.5.0", "h100"), 2048);
}

TEST_F(SpeedCasesTest, RunsAtARateSayHowManyRequests) {
  row.concurrency.reset(), row.load = "8 req/s", row.metric = "tpot_ms", row.value = 20;
  row.locator = "online.jsonl line 4; median TPOT; 2398 requests";
  EXPECT_EQ(read()->load.requests, 2398);
}

TEST_F(SpeedCasesTest, TwoSourcesOfOnePublisherAreOneWitness) {
  const auto publisher = [&] { return read()->publisher; };
  EXPECT_EQ(publisher(), "s") << "nobody is named";
  Source source;
  source.id = "s", source.publisher = "P";
  knowledge.sources = {source};
  EXPECT_EQ(publisher(), "P");
}

}  // namespace
}  // namespace advisor
