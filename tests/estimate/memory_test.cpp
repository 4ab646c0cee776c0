#include "estimate/memory.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace advisor {
namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

TEST(Memory, VllmFractionAndPublishedFigure) {
  const auto m = llama_70b();
  const auto estimate = estimate_memory(m, as(m, "none", "W16A16", "safetensors", "vllm"), a100(), 4096, 1);
  EXPECT_DOUBLE_EQ(estimate->available, 0.9 * 0.99 * 80 * gib);  // of what the driver shows
  EXPECT_NEAR(estimate->weights / gib, 131.4, 0.1);              // 70.55 B · 2 bytes
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
  // llama.cpp reports a 258.5 MiB compute buffer for an 8B model with 128256 tokens of vocabulary and short context:
  // 512 · 128256 · 4 bytes of logits and 512 · 4096 · 4 of residual stream; the mask is another half MiB.
  const auto m = llama_8b();
  Hardware cpu;
  cpu.device.memory = 32 * gib;
  const auto estimate = estimate_memory(m, as(m, "none", "F16", "gguf", "llama.cpp"), cpu, 512, 1);
  EXPECT_NEAR(estimate->overhead / (1024 * 1024), 258.5, 1);
}

TEST(Memory, EveryTermIsThereAndTheyAddUp) {
  const auto m = llama_8b();
  for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"}) {
    const auto e = *estimate_memory(m, as(m, "none", "W16A16", "safetensors", engine), a100(), 4096, 4);
    EXPECT_DOUBLE_EQ(e.total, e.weights + e.kv_cache + e.overhead) << engine;
    EXPECT_GE(e.overhead, e.activations) << engine;
    EXPECT_GT(e.activations, 0) << engine;
    EXPECT_GT(e.overhead_sd, 0) << engine;
    EXPECT_GT(e.weights_sd, 0) << engine;
    EXPECT_FALSE(e.assumed.empty()) << engine;
    EXPECT_EQ(e.context, 4096);
    EXPECT_EQ(e.concurrency, 4);
    EXPECT_EQ(e.basis, "geometry");
  }
}

TEST(Memory, MoreMemoryNeverRemovesAFit) {
  const auto m = llama_8b();
  for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"}) {
    const auto v = as(m, "none", "W16A16", "safetensors", engine);
    double last = -1;
    for (double size = 8; size < 200; size += 3) {
      auto h = a100();
      h.device.memory = size * gib;
      const auto e = *estimate_memory(m, v, h, 8192, 8);
      const double fits = memory_distribution(e).probability_below(e.available);
      EXPECT_GE(fits, last - 1e-9) << engine << " " << size;
      last = fits;
    }
    EXPECT_GT(last, 0.99) << engine;
  }
}

TEST(Memory, LongerContextsAndMoreSequencesNeverNeedLess) {
  auto gemma = llama_8b();
  gemma.sliding_window = 1024, gemma.full_attention_layers = 8;
  for (const auto& m : {llama_8b(), gemma})
    for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"}) {
      const auto v = as(m, "none", "W16A16", "safetensors", engine);
      for (std::int64_t context = 100; context < 100000; context = context * 3 / 2)
        for (std::int64_t concurrency = 1; concurrency < 600; concurrency *= 3) {
          const double base = estimate_memory(m, v, a100(), context, concurrency)->total;
          EXPECT_GE(estimate_memory(m, v, a100(), context + 77, concurrency)->total, base) << engine;
          EXPECT_GE(estimate_memory(m, v, a100(), context, concurrency + 1)->total, base) << engine;
        }
    }
}

TEST(Memory, UnknownGeometryIsNeverNarrower) {
  const auto known = llama_8b();
  Model unknown;
  unknown.id = "somebody/8b", unknown.params = known.params;
  auto towered = unknown;
  towered.modalities_in = {"text", "image"};
  for (const char* engine : {"vllm", "sglang", "tensorrt-llm", "llama.cpp", "transformers"})
    for (const char* scheme : {"W16A16", "W4A16-g128"}) {
      const auto a = *estimate_memory(known, as(known, "rtn", scheme, "compressed-tensors", engine), a100(), 4096, 4);
      for (const auto& m : {unknown, towered}) {
        const auto b = *estimate_memory(m, as(m, "rtn", scheme, "compressed-tensors", engine), a100(), 4096, 4);
        EXPECT_EQ(b.basis, "parameters");
        EXPECT_GE(memory_distribution(b).sd / b.total, memory_distribution(a).sd / a.total) << engine << " " << scheme;
        EXPECT_GE(memory_distribution(b).sd, memory_distribution(a).sd) << engine << " " << scheme;
      }
    }
}

TEST(Memory, SharesOfTheMemoryLeaveTheRestIdle) {
  const auto m = llama_8b();
  // SGLang: weights and cache fill at most 0.9 of the memory. A cache of 200 GB leaves 22 GB to the buffers.
  const auto sglang = *estimate_memory(m, as(m, "none", "W16A16", "safetensors", "sglang"), a100(4), 32768, 48);
  EXPECT_NEAR(sglang.overhead, (sglang.weights + sglang.kv_cache) / 9, 1);
  EXPECT_GT(sglang.overhead, sglang.activations);
  // TensorRT-LLM: the cache fills 0.9 of what is free after loading.
  const auto trt = *estimate_memory(m, as(m, "none", "W16A16", "safetensors", "tensorrt-llm"), a100(4), 32768, 48);
  const double free = trt.total - trt.weights - (trt.overhead - trt.kv_cache / 9);
  EXPECT_NEAR(trt.kv_cache, 0.9 * free, 1e3);
}

TEST(Memory, UnknownSizeGivesNoEstimate) { EXPECT_FALSE(estimate_memory(Model{}, Variant{}, a100(), 4096, 1)); }

}  // namespace
}  // namespace advisor
