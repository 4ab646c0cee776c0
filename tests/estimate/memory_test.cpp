#include "estimate/memory.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace advisor {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

TEST(KvCache, FullAttentionByHand) {
  // 2 · 8 heads · 128 · 2 bytes · 32 layers = 131072 bytes per token.
  EXPECT_DOUBLE_EQ(estimate_kv_cache(llama_8b(), "fp16", 1000, 3)->bytes, 131072.0 * 3000);
  EXPECT_DOUBLE_EQ(estimate_kv_cache(llama_8b(), "fp8", 1000, 3)->bytes, 131072.0 * 1500);
}

TEST(KvCache, SlidingWindowCapsTokens) {
  auto m = llama_8b();
  m.sliding_window = 1024;
  EXPECT_DOUBLE_EQ(estimate_kv_cache(m, "fp16", 8192, 1)->bytes, 131072.0 * 8192) << "nobody says which layers slide";
  m.notes = "computed; 8 of 32 layers use full attention; tied";
  EXPECT_DOUBLE_EQ(estimate_kv_cache(m, "fp16", 8192, 1)->bytes, 131072.0 * (0.25 * 8192 + 0.75 * 1024));
  EXPECT_DOUBLE_EQ(estimate_kv_cache(m, "fp16", 512, 1)->bytes, 131072.0 * 512);
}

TEST(KvCache, LatentAttentionStoresTheLatent) {
  Model m;  // DeepSeek-V3: 61 layers, latent 512, rope key 64
  m.layers = 61, m.kv_lora_rank = 512, m.qk_rope_head_dim = 64;
  EXPECT_DOUBLE_EQ(estimate_kv_cache(m, "fp16", 1, 1)->bytes, 61.0 * 576 * 2);
}

TEST(KvCache, WithoutGeometryErrsHighAndSaysSo) {
  Model m;
  m.params = 8e9;
  const auto kv = estimate_kv_cache(m, "fp16", 1, 1);
  EXPECT_GT(kv->bytes, 131072);
  EXPECT_EQ(kv->basis, "parameters");
  EXPECT_FALSE(estimate_kv_cache(Model{}, "fp16", 1, 1));
}

TEST(Memory, VllmFractionAndPublishedFigure) {
  const auto m = llama_70b();
  const auto estimate = estimate_memory(m, as(m, "none", "W16A16", "safetensors", "vllm"), a100(), 4096, 1);
  EXPECT_DOUBLE_EQ(estimate->available, 72 * gib);
  EXPECT_NEAR(estimate->weights / gib, 131.4, 0.1);  // 70.55 B · 2 bytes
  EXPECT_GT(estimate->total, estimate->available);
  EXPECT_EQ(estimate->context, 4096);
}

TEST(Memory, MoreContextSequencesAndDevicesNeedMore) {
  const auto m = llama_8b();
  for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"}) {
    const auto v = as(m, "none", "W16A16", "safetensors", engine);
    const double base = estimate_memory(m, v, a100(), 4096, 2)->total;
    EXPECT_GT(estimate_memory(m, v, a100(), 8192, 2)->total, base) << engine;
    EXPECT_GT(estimate_memory(m, v, a100(), 4096, 4)->total, base) << engine;
    EXPECT_GT(estimate_memory(m, v, a100(4), 4096, 2)->available, usable_memory(engine, a100())) << engine;
  }
}

TEST(Memory, NeedsDoNotDependOnTheMemoryThatIsThere) {
  const auto m = llama_8b();
  auto small = a100();
  small.device.memory = 10 * gib;
  for (const char* engine : {"vllm", "llama.cpp", "transformers"}) {
    const auto v = as(m, "none", "W16A16", "safetensors", engine);
    EXPECT_DOUBLE_EQ(estimate_memory(m, v, small, 4096, 1)->total, estimate_memory(m, v, a100(), 4096, 1)->total);
  }
}

TEST(Memory, LlamaCppBufferIsThatOfTheModel) {
  // llama.cpp reports a 258.5 MiB compute buffer for an 8B model with 128256 tokens of vocabulary and short context.
  const auto m = llama_8b();
  Hardware cpu;
  cpu.device.memory = 32 * gib;
  const auto estimate = estimate_memory(m, as(m, "none", "F16", "gguf", "llama.cpp"), cpu, 512, 1);
  EXPECT_NEAR(estimate->overhead / (1024 * 1024), 258.5, 1);
}

TEST(Memory, UnknownSizeGivesNoEstimate) { EXPECT_FALSE(estimate_memory(Model{}, Variant{}, a100(), 4096, 1)); }

}  // namespace
}  // namespace advisor
