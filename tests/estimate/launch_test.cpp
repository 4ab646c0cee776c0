#include "estimate/launch.h"

#include <gmock/gmock.h>

#include "estimate/engine_memory.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

Variant served(const std::string& engine, const std::string& kv = "fp16") {
  Variant variant;
  variant.model = "a/b";
  variant.engine = engine;
  variant.kv = kv;
  variant.format = engine == "llama.cpp" ? "gguf" : "safetensors";
  return variant;
}

Hardware machine(const std::string& kind, std::int64_t count = 1) {
  Hardware hardware;
  hardware.device.kind = kind;
  hardware.device.generation = "Ampere";
  hardware.device.memory = 80e9;
  hardware.count = count;
  return hardware;
}

TEST(Launch, SettingsAreWhatTheEstimateAssumed) {
  const auto vllm = launch_settings(served("vllm"), machine("datacenter-gpu", 2), 4096, 300);
  EXPECT_EQ(vllm.at("max-num-seqs"), "300");
  EXPECT_EQ(vllm.at("max-model-len"), "4096");
  EXPECT_EQ(vllm.at("tensor-parallel-size"), "2");
  EXPECT_EQ(vllm.at("max-num-batched-tokens"),
            std::to_string(prefill_tokens("vllm", machine("datacenter-gpu").device)));
  EXPECT_FALSE(vllm.contains("kv-cache-dtype"));
  EXPECT_EQ(launch_settings(served("llama.cpp"), machine("cpu"), 4096, 3).at("ctx-size"), "12288");
  EXPECT_EQ(launch_settings(served("sglang"), machine("datacenter-gpu"), 8192, 3).at("context-length"), "8192");
  EXPECT_EQ(launch_settings(served("tensorrt-llm"), machine("datacenter-gpu"), 8192, 3).at("max_seq_len"), "8192");
  EXPECT_EQ(launch_settings(served("transformers"), machine("datacenter-gpu"), 8192, 3).at("device_map"), "auto");
  EXPECT_TRUE(launch_settings(served("executorch"), machine("cpu"), 8192, 1).empty());
}

TEST(Launch, TheCachesNumberFormatIsAskedFor) {
  const auto gpu = machine("datacenter-gpu");
  EXPECT_EQ(launch_settings(served("vllm", "fp8"), gpu, 4096, 1).at("kv-cache-dtype"), "fp8");
  EXPECT_EQ(launch_settings(served("sglang", "fp8"), gpu, 4096, 1).at("kv-cache-dtype"), "fp8_e4m3");
  EXPECT_EQ(launch_settings(served("llama.cpp", "q8_0"), gpu, 4096, 1).at("cache-type-v"), "q8_0");
  EXPECT_EQ(launch_settings(served("llama.cpp", "q8_0"), gpu, 4096, 1).at("flash-attn"), "on");
  EXPECT_THAT(launch(served("tensorrt-llm", "fp8"), gpu, 4096, 1, "out").command,
              AllOf(StartsWith("echo 'kv_cache_config: {dtype: fp8}' > options.yaml && trtllm-serve out"),
                    HasSubstr("--extra_llm_api_options options.yaml"), Not(HasSubstr("--kv_cache_config.dtype"))));
}

TEST(Launch, LlamaCppOffloadsWhereThereIsAGpu) {
  EXPECT_EQ(launch_settings(served("llama.cpp"), machine("apple-soc"), 4096, 1).at("n-gpu-layers"), "999");
  EXPECT_FALSE(launch_settings(served("llama.cpp"), machine("cpu"), 4096, 1).contains("n-gpu-layers"));
}

TEST(Launch, CommandsAreOneShellLine) {
  const auto gpu = machine("consumer-gpu");
  EXPECT_THAT(launch(served("vllm"), gpu, 4096, 1, "out dir/it's").command,
              AllOf(StartsWith("vllm serve 'out dir/it'\\''s' --gpu-memory-utilization 0.9 "), Not(HasSubstr("\n"))));
  EXPECT_THAT(launch(served("llama.cpp"), gpu, 4096, 2, "m.gguf").command,
              AllOf(StartsWith("llama-server --model m.gguf "), HasSubstr("--ctx-size 8192")));
  EXPECT_THAT(launch(served("sglang"), gpu, 4096, 2, "m").command,
              StartsWith("python -m sglang.launch_server --model"));
  EXPECT_EQ(launch(served("transformers"), gpu, 4096, 2, "m").command, "");
}

TEST(Launch, WhatLiesWithTheHostIsASettingOfLlamaCpp) {
  Hardware card;
  card.device.kind = "consumer-gpu";
  Variant variant;
  variant.engine = "llama.cpp", variant.format = "gguf", variant.scheme = "Q4_K_M";
  const HostShare experts{"experts", 36, 48}, layers{"layers", 24, 40};
  auto settings = launch_settings(variant, card, 4096, 1, &experts);
  EXPECT_EQ(settings.at("n-cpu-moe"), "36");
  EXPECT_EQ(settings.at("n-gpu-layers"), "999");
  settings = launch_settings(variant, card, 4096, 1, &layers);
  EXPECT_EQ(settings.at("n-gpu-layers"), "17") << "16 layers and the output";
  EXPECT_FALSE(settings.contains("n-cpu-moe"));
  EXPECT_NE(launch(variant, card, 4096, 1, "m.gguf", &experts).command.find("--n-cpu-moe 36"), std::string::npos);
}

}  // namespace
}  // namespace advisor
