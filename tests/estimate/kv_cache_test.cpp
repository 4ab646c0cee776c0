#include "estimate/kv_cache.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fixture.h"

namespace advisor {
namespace {

Model attention(const char* architecture, std::int64_t layers, std::int64_t heads, std::int64_t kv_heads,
                std::int64_t head_dim) {
  Model m;
  m.architecture = architecture;
  m.layers = layers, m.heads = heads, m.kv_heads = kv_heads, m.head_dim = head_dim;
  return m;
}

Model sliding(const char* architecture, std::int64_t layers, std::int64_t full, std::int64_t window, std::int64_t heads,
              std::int64_t kv_heads, std::int64_t head_dim) {
  auto m = attention(architecture, layers, heads, kv_heads, head_dim);
  m.sliding_window = window, m.full_attention_layers = full;
  return m;
}

double bytes(const Model& m, std::int64_t context, std::int64_t sequences = 1, const char* kv = "fp16") {
  return estimate_kv_cache(m, kv, context, sequences)->bytes;
}

// Keys and values: 2. All by hand, at 16 bits unless said otherwise.

TEST(KvCache, MultiHeadLlama2) {
  // Llama-2-7B: 2 · 32 heads · 128 · 2 bytes · 32 layers = 524,288 bytes a token; 4096 tokens are 2 GiB.
  EXPECT_DOUBLE_EQ(bytes(attention("llama", 32, 32, 32, 128), 4096), 2.0 * 1024 * 1024 * 1024);
}

TEST(KvCache, GroupedQueriesLlama3) {
  // 8B: 2 · 8 · 128 · 2 · 32 = 131,072 a token. 70B: 2 · 8 · 128 · 2 · 80 = 327,680.
  EXPECT_DOUBLE_EQ(bytes(llama_8b(), 1000, 3), 131072.0 * 3000);
  EXPECT_DOUBLE_EQ(bytes(llama_70b(), 8192), 327680.0 * 8192);
}

TEST(KvCache, SlidingWindowOfMistral7B) {
  // v0.1: 32 layers, all slide over 4096 tokens: 131,072 · 4096 = 512 MiB is the most a sequence ever needs.
  const auto m = sliding("mistral", 32, 0, 4096, 32, 8, 128);
  EXPECT_DOUBLE_EQ(bytes(m, 1024), 131072.0 * 1024);
  EXPECT_DOUBLE_EQ(bytes(m, 32768), 512.0 * 1024 * 1024);
}

TEST(KvCache, Gemma2AlternatesFullAndSliding) {
  // 9B: 42 layers, 21 of each, 8 KV heads of 256: 2 · 8 · 256 · 2 = 8192 bytes a token and layer.
  // 8192 tokens: 21 · 8192 · 8192 + 21 · 8192 · 4096 = 1,409,286,144 + 704,643,072.
  EXPECT_DOUBLE_EQ(bytes(sliding("gemma2", 42, 21, 4096, 16, 8, 256), 8192), 2113929216.0);
}

TEST(KvCache, Gemma3SlidesInFiveOfSixLayers) {
  // 27B: 62 layers, 10 full, window 1024, 16 KV heads of 128: 2 · 16 · 128 · 2 = 8192 bytes a token and layer.
  // 131072 tokens: 10 · 8192 · 131072 = 10 GiB; 52 · 8192 · 1024 = 416 MiB.
  EXPECT_DOUBLE_EQ(bytes(sliding("gemma3", 62, 10, 1024, 32, 16, 128), 131072), (10240.0 + 416) * 1024 * 1024);
  // 1B: 26 layers, 4 full, window 512, 1 KV head of 256: 1024 bytes. 4 · 1024 · 32768 + 22 · 1024 · 512.
  EXPECT_DOUBLE_EQ(bytes(sliding("gemma3", 26, 4, 512, 4, 1, 256), 32768), 134217728.0 + 11534336);
}

TEST(KvCache, FullLayersOfGemma4HaveHeadsOfTheirOwn) {
  // 31B: 50 sliding layers of 16 heads of 256 (16,384 bytes), 10 full ones of 4 heads of 512 (8192 bytes).
  auto m = sliding("gemma4", 60, 10, 1024, 32, 16, 256);
  m.full_kv_heads = 4, m.full_head_dim = 512;
  EXPECT_DOUBLE_EQ(bytes(m, 4096), 10.0 * 8192 * 4096 + 50.0 * 16384 * 1024);
}

TEST(KvCache, AlternatingWindowOfGptOss) {
  // 20B: 24 layers, 12 full, window 128, 8 KV heads of 64: 2 · 8 · 64 · 2 = 2048 bytes a token and layer.
  EXPECT_DOUBLE_EQ(bytes(sliding("gpt_oss", 24, 12, 128, 64, 8, 64), 4096), 12.0 * 2048 * 4096 + 12.0 * 2048 * 128);
}

TEST(KvCache, LatentAttentionStoresLatentAndRopeKey) {
  // DeepSeek-V3: 61 layers of 512 + 64 values: 61 · 576 · 2 = 70,272 bytes a token. V2-Lite: 27 · 576 · 2 = 31,104.
  auto v3 = attention("deepseek_v3", 61, 128, 128, 56);
  v3.kv_lora_rank = 512, v3.qk_rope_head_dim = 64;
  EXPECT_DOUBLE_EQ(bytes(v3, 1), 70272);
  EXPECT_DOUBLE_EQ(bytes(v3, 4096, 8), 70272.0 * 4096 * 8);
  auto lite = v3;
  lite.layers = 27;
  EXPECT_DOUBLE_EQ(bytes(lite, 1), 31104);
  // V3.2 keeps an indexer key of 132 bytes a token and layer, whatever the cache's format: 61 · 132 = 8052.
  v3.indexer_bytes_per_token = 132;
  EXPECT_DOUBLE_EQ(bytes(v3, 1), 70272 + 8052);
  EXPECT_DOUBLE_EQ(bytes(v3, 1, 1, "fp8"), 70272 / 2 + 8052);
}

TEST(KvCache, MixtureOfExpertsCachesLikeADenseModel) {
  // Qwen3-30B-A3B: 48 layers, 4 KV heads of 128: 2 · 4 · 128 · 2 · 48 = 98,304. 235B-A22B: 94 layers: 192,512.
  EXPECT_DOUBLE_EQ(bytes(attention("qwen3_moe", 48, 32, 4, 128), 1), 98304);
  EXPECT_DOUBLE_EQ(bytes(attention("qwen3_moe", 94, 64, 4, 128), 1), 192512);
}

TEST(KvCache, HybridModelsKeepAConstantStateBesideTheirFullLayers) {
  // Qwen3.5-27B: 16 of 64 layers grow: 2 · 4 · 256 · 2 · 16 = 65,536 a token. The other 48 keep 48 heads of 128 x 128
  // in float32 (3,145,728) and a convolution of 3 x 10240 at 16 bits (61,440): 153,944,064 bytes a sequence.
  auto m = attention("qwen3_5", 64, 24, 4, 256);
  m.kv_layers = 16, m.state_bytes = 153944064;
  EXPECT_DOUBLE_EQ(bytes(m, 1000), 65536.0 * 1000 + 153944064);
  EXPECT_DOUBLE_EQ(bytes(m, 1000, 5), 5 * (65536.0 * 1000 + 153944064));
}

TEST(KvCache, LayersThatShareACacheAreCountedOnce) {
  auto m = sliding("gemma3n", 20, 4, 512, 8, 2, 256);  // 35 layers, of which 15 look into the others' caches
  m.layers = 35, m.kv_layers = 20;
  EXPECT_DOUBLE_EQ(bytes(m, 1024), 4.0 * 2048 * 1024 + 16.0 * 2048 * 512);
}

TEST(KvCache, FormatsStoreTheirScales) {
  const double full = bytes(llama_8b(), 256);
  EXPECT_DOUBLE_EQ(bytes(llama_8b(), 256, 1, "fp8"), full / 2);
  EXPECT_DOUBLE_EQ(bytes(llama_8b(), 256, 1, "q8_0"), full / 2 * 34 / 32);
  EXPECT_DOUBLE_EQ(bytes(llama_8b(), 256, 1, "q4_0"), full / 2 * 18 / 32);
  EXPECT_DOUBLE_EQ(bytes(llama_8b(), 256, 1, "int4"), full / 4 * 9 / 8);
}

TEST(KvCache, EnginesHandOutBlocks) {
  const auto layout = *kv_layout(llama_8b());
  // 100 tokens: 7 blocks of 16 in vLLM, 4 of 32 in TensorRT-LLM, padded to 256 in llama.cpp.
  EXPECT_DOUBLE_EQ(kv_bytes(layout, 2, 100, 3, kv_paging("vllm", llama_8b())), 131072.0 * 112 * 3);
  EXPECT_DOUBLE_EQ(kv_bytes(layout, 2, 100, 3, kv_paging("tensorrt-llm", llama_8b())), 131072.0 * 128 * 3);
  EXPECT_DOUBLE_EQ(kv_bytes(layout, 2, 100, 3, kv_paging("llama.cpp", llama_8b())), 131072.0 * 256 * 3);
}

TEST(KvCache, LlamaCppDoesNotSlideWhatItsFilesDoNotTellOf) {
  const auto mistral = sliding("mistral", 32, 0, 4096, 32, 8, 128);
  const auto layout = *kv_layout(mistral);
  EXPECT_DOUBLE_EQ(kv_bytes(layout, 2, 32768, 1, kv_paging("llama.cpp", mistral)), 131072.0 * 32768);
  const auto gemma = sliding("gemma2", 42, 21, 4096, 16, 8, 256);
  // Sliding layers keep the window and a micro-batch: 4096 + 512.
  EXPECT_DOUBLE_EQ(kv_bytes(*kv_layout(gemma), 2, 8192, 1, kv_paging("llama.cpp", gemma)),
                   21.0 * 8192 * 8192 + 21.0 * 8192 * 4608);
}

TEST(KvCache, TensorParallelGroupsStoreWhatTheyCannotSplitOnEveryDevice) {
  auto latent = attention("deepseek_v3", 61, 128, 128, 56);
  latent.kv_lora_rank = 512;
  EXPECT_EQ(kv_copies("vllm", latent, 8), 8);
  EXPECT_EQ(kv_copies("llama.cpp", latent, 8), 1) << "splits by layers";
  EXPECT_EQ(kv_copies("vllm", llama_8b(), 8), 1);
  EXPECT_EQ(kv_copies("vllm", attention("qwen3_moe", 48, 32, 4, 128), 8), 2);
  EXPECT_EQ(kv_copies("vllm", llama_8b(), 1), 1);
}

TEST(KvCache, WhoSaysNothingOfThePatternGetsTheUpperBound) {
  auto m = llama_8b();
  m.sliding_window = 1024;
  EXPECT_DOUBLE_EQ(bytes(m, 8192), 131072.0 * 8192);
  EXPECT_GT(estimate_kv_cache(m, "fp16", 8192, 1)->spread, 0);
  EXPECT_EQ(estimate_kv_cache(llama_8b(), "fp16", 8192, 1)->spread, 0);
}

TEST(KvCache, WithoutGeometryErrsHighAndSaysSo) {
  Model m;
  m.params = 8e9;
  const auto kv = estimate_kv_cache(m, "fp16", 1, 1);
  EXPECT_GT(kv->bytes, 131072);
  EXPECT_EQ(kv->basis, "parameters");
  EXPECT_GT(kv->spread, 0.3);
  EXPECT_FALSE(estimate_kv_cache(Model{}, "fp16", 1, 1));
}

TEST(KvCache, NeverShrinksWithContextOrSequences) {
  for (const auto& m :
       {llama_8b(), sliding("gemma3", 26, 4, 512, 4, 1, 256), sliding("mistral", 32, 0, 4096, 32, 8, 128)})
    for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"}) {
      const auto layout = *kv_layout(m);
      const auto paging = kv_paging(engine, m);
      double last = 0;
      for (double context = 1; context < 70000; context *= 1.3) {
        const double now = kv_bytes(layout, 2, std::floor(context), 2, paging);
        EXPECT_GE(now, last) << engine << " " << context;
        EXPECT_LE(now, kv_bytes(layout, 2, std::floor(context), 3, paging));
        last = now;
      }
    }
}

}  // namespace
}  // namespace advisor
