#include "estimate/weights.h"

#include <gtest/gtest.h>

#include "fixture.h"

namespace advisor {
namespace {

TEST(Weights, ParametersOfPublishedModelsAreCountedExactly) {
  // Published: 8,030,261,248 and 70,553,706,496 parameters.
  EXPECT_EQ(count_parameters(llama_8b())->total(), 8030261248.0);
  EXPECT_EQ(count_parameters(llama_70b())->total(), 70553706496.0);
  EXPECT_EQ(count_parameters(llama_8b())->basis, "geometry");
}

TEST(Weights, TiedHeadIsCountedOnce) {
  auto m = llama_8b();
  m.params.reset();
  m.tie_embeddings = true;
  const auto tied = count_parameters(m);
  m.tie_embeddings = false;
  EXPECT_EQ(count_parameters(m)->total() - tied->total(), 128256.0 * 4096);
}

TEST(Weights, DisagreeingGeometryFallsBackToTheStatedSize) {
  auto m = llama_8b();
  m.params = 9.5e9;  // a vision tower, say
  const auto count = count_parameters(m);
  EXPECT_EQ(count->basis, "parameters");
  EXPECT_DOUBLE_EQ(count->total(), 9.5e9);
}

TEST(Weights, UnknownSizeIsUnknown) { EXPECT_FALSE(count_parameters(Model{})); }

TEST(Weights, QuantizedLinearsKeepEmbeddingsWide) {
  const auto m = llama_8b();
  const auto count = *count_parameters(m);
  const auto w4 = estimate_weights(m, as(m, "rtn", "W4A16-g128", "compressed-tensors", "vllm"));
  const double expected = count.linear * 4.125 / 8 + (count.embedding + count.head + count.norm) * 2;
  EXPECT_NEAR(w4->bytes, expected, 1);
  // The GGUF file of Q8_0 stores the embeddings in blocks too: 8.5 bits for all matrices.
  const auto q8 = estimate_weights(m, as(m, "rtn", "Q8_0", "gguf", "llama.cpp"));
  EXPECT_NEAR(q8->bytes / 8.54e9, 1, 0.005);  // published file: 8.54 GB
}

TEST(Weights, FewerBitsNeverNeedMoreBytes) {
  const auto m = llama_70b();
  double last = 1e300;
  for (const char* scheme : {"W16A16", "W8A16-channel", "W4A16-g32", "W4A16-g128"}) {
    const double bytes = estimate_weights(m, as(m, "rtn", scheme, "compressed-tensors", "vllm"))->bytes;
    EXPECT_LT(bytes, last) << scheme;
    last = bytes;
  }
}

TEST(Weights, MixturesReadOnlyActiveExperts) {
  Model m;
  m.params = 100e9, m.active_params = 10e9, m.experts = 64, m.experts_used = 4;
  const auto estimate = estimate_weights(m, as(m, "none", "W16A16", "safetensors", "vllm"));
  EXPECT_NEAR(estimate->read_bytes, 20e9, 1e9);
  EXPECT_NEAR(estimate->bytes, 200e9, 1);
  EXPECT_NEAR(touched_share(m, 1), 4.0 / 64, 1e-12);
  EXPECT_GT(touched_share(m, 64), 0.98);
}

}  // namespace
}  // namespace advisor
