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
  // 4 bits and a 16-bit scale per 128; 7 matrices in 32 layers with a shape of two 64-bit numbers each.
  const double expected = count.linear * 4.125 / 8 + (count.embedding + count.head + count.norm) * 2 + 7 * 32 * 16;
  EXPECT_NEAR(w4->bytes, expected, 1);
  // The GGUF file of Q8_0 stores the embeddings in blocks too: 8.5 bits for all matrices.
  const auto q8 = estimate_weights(m, as(m, "rtn", "Q8_0", "gguf", "llama.cpp"));
  EXPECT_NEAR(q8->bytes / 8.54e9, 1, 0.001);  // published file: 8.54 GB
}

Layout one_matrix(std::int64_t rows, std::int64_t columns) {
  Layout layout;
  layout.basis = "geometry";
  layout.groups = {{TensorRole::attn_q, rows, columns}};
  return layout;
}

double matrix_bytes(const char* scheme, const char* format, std::int64_t rows, std::int64_t columns) {
  Variant v;
  v.scheme = scheme, v.format = format;
  return weight_bytes(one_matrix(rows, columns), weight_format(v)).stored;
}

TEST(Weights, OneMatrixByHand) {
  // 64 rows of 256 inputs.
  const auto ct = [](const char* scheme) { return matrix_bytes(scheme, "compressed-tensors", 64, 256); };
  EXPECT_DOUBLE_EQ(ct("W16A16"), 64 * 256 * 2);
  // int4, group 128: 32 words a row; 2 scales of 2 bytes a row; the shape.
  EXPECT_DOUBLE_EQ(ct("W4A16-g128"), 64 * (32 * 4 + 2 * 2) + 16);
  // Asymmetric: zero points are packed along the rows, 64 / 8 words for each of the 2 groups.
  EXPECT_DOUBLE_EQ(ct("W4A16-g128-asym"), 64 * (32 * 4 + 2 * 2) + 8 * 4 * 2 + 16);
  // 3 bits: 256 · 3 / 32 = 24 words a row.
  EXPECT_DOUBLE_EQ(ct("W3A16-g128"), 64 * (24 * 4 + 2 * 2) + 16);
  EXPECT_DOUBLE_EQ(ct("W8A16-channel"), 64 * (256 + 2) + 16);
  // Codes of 8 bits as they are, one scale a row.
  EXPECT_DOUBLE_EQ(ct("W8A8-int8"), 64 * (256 + 2));
  EXPECT_DOUBLE_EQ(ct("W8A8-fp8"), 64 * (256 + 2));
  // nvfp4: half a byte, an 8-bit scale per 16, two global scales of 32 bits; mxfp4: an 8-bit exponent per 32.
  EXPECT_DOUBLE_EQ(ct("W4A4-nvfp4"), 64 * (128 + 16) + 8);
  EXPECT_DOUBLE_EQ(ct("W4A16-nvfp4"), 64 * (128 + 16) + 4);
  EXPECT_DOUBLE_EQ(ct("W4A16-mxfp4"), 64 * (128 + 8));
  // GPTQ keeps zero points even when symmetric, and the group of every input; AutoAWQ the zero points.
  EXPECT_DOUBLE_EQ(matrix_bytes("W4A16-g128", "gptq", 64, 256), 64 * (32 * 4 + 2 * 2) + 8 * 4 * 2 + 256 * 4);
  EXPECT_DOUBLE_EQ(matrix_bytes("W4A16-g128", "autoawq", 64, 256), 64 * (32 * 4 + 2 * 2) + 8 * 4 * 2);
  // GGUF: 8 blocks of 32 or one of 256 a row.
  EXPECT_DOUBLE_EQ(matrix_bytes("Q4_0", "gguf", 64, 256), 64 * 8 * 18);
  EXPECT_DOUBLE_EQ(matrix_bytes("Q5_1", "gguf", 64, 256), 64 * 8 * 24);
  EXPECT_DOUBLE_EQ(matrix_bytes("Q6_K", "gguf", 64, 256), 64 * 210);
  EXPECT_DOUBLE_EQ(matrix_bytes("TQ1_0", "gguf", 64, 256), 64 * 54);
  EXPECT_DOUBLE_EQ(matrix_bytes("TQ2_0", "gguf", 64, 256), 64 * 66);
}

TEST(Weights, PublishedSizesOfPublishedCheckpoints) {
  // vLLM's "Model loading took", GiB, on an H100 (llm-d, as in engine_memory_test): Llama-3.1-8B, 70B in FP8 with a
  // scale per channel.
  constexpr double gib = 1024.0 * 1024 * 1024;
  EXPECT_NEAR(estimate_weights(llama_8b(), as(llama_8b(), "none", "W16A16", "safetensors", "vllm"))->bytes / gib, 14.99,
              0.04);
  EXPECT_NEAR(
      estimate_weights(llama_70b(), as(llama_70b(), "rtn", "W8A8-fp8", "compressed-tensors", "vllm"))->bytes / gib,
      67.72, 0.1);
}

TEST(Weights, NativeMxfp4IsOfTheExpertsOnly) {
  Model m;  // gpt-oss-20b; its card says 12.8 GiB, and 60.8 for the 120b
  m.architecture = "gpt_oss", m.native_dtype = "mxfp4", m.tie_embeddings = false;
  m.layers = 24, m.hidden = 2880, m.intermediate = 2880, m.heads = 64, m.kv_heads = 8, m.head_dim = 64;
  m.vocab = 201088, m.experts = 32, m.experts_used = 4, m.moe_intermediate = 2880;
  constexpr double gib = 1024.0 * 1024 * 1024;
  const auto native = as(m, "none", "W4A16-mxfp4", "safetensors", "vllm");
  EXPECT_NEAR(estimate_weights(m, native)->bytes / gib, 12.8, 0.06);
  m.layers = 36, m.experts = 128;
  EXPECT_NEAR(estimate_weights(m, native)->bytes / gib, 60.8, 0.2);
  // ggml-org/gpt-oss-20b-GGUF: 12.1 GB; matrices outside the experts at 8 bits.
  m.layers = 24, m.experts = 32;
  EXPECT_NEAR(estimate_weights(m, as(m, "none", "MXFP4", "gguf", "llama.cpp"))->bytes / 1e9, 12.1, 0.06);
}

TEST(Weights, WithoutShapesThePublishedAverageIsTaken) {
  Model m;
  m.params = 8e9;
  EXPECT_NEAR(estimate_weights(m, as(m, "rtn", "Q4_K_M", "gguf", "llama.cpp"))->bytes, 8e9 * 4.8944 / 8, 1);
  EXPECT_NEAR(estimate_weights(m, as(m, "rtn", "W4A16-g128", "compressed-tensors", "vllm"))->bytes, 8e9 * 4.125 / 8, 1);
  EXPECT_EQ(estimate_weights(m, as(m, "rtn", "Q4_K_M", "gguf", "llama.cpp"))->basis, "parameters");
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
