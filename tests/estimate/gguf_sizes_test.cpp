#include <gtest/gtest.h>

#include "core/gguf_mix.h"
#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

double file_bytes(const Model& model, const char* type, bool imatrix) {
  auto format = weight_format(as(model, "none", type, "gguf", "llama.cpp"));
  format.imatrix = imatrix;
  return weight_bytes(*layout_of(model), format).stored;
}

struct Published {
  const char* type;
  double size;
  bool imatrix;
};

TEST(GgufSizes, BitsPerWeightOfTheEightBillionModelAsLlamaCppPublishesThem) {
  // tools/quantize/README.md of llama.cpp, Llama-3.1-8B, 8,030,261,248 weights. The IQ4 files were made without an
  // importance matrix, those below without one cannot be made.
  constexpr Published table[] = {
      {"IQ1_S", 2.0042, true},   {"IQ1_M", 2.1460, true},   {"IQ2_XXS", 2.3824, true}, {"IQ2_XS", 2.5882, true},
      {"IQ2_S", 2.7403, true},   {"IQ2_M", 2.9294, true},   {"IQ3_XXS", 3.2548, true}, {"IQ3_XS", 3.4977, true},
      {"IQ3_S", 3.6606, true},   {"IQ3_M", 3.7628, true},   {"IQ4_XS", 4.4597, false}, {"IQ4_NL", 4.6818, false},
      {"Q2_K_S", 2.9697, true},  {"Q2_K", 3.1593, false},   {"Q3_K_S", 3.6429, false}, {"Q3_K_L", 4.2979, false},
      {"Q4_K_S", 4.6672, false}, {"Q4_K_M", 4.8944, false}, {"Q5_K_S", 5.5704, false}, {"Q5_K_M", 5.7036, false},
      {"Q6_K", 6.5633, false},   {"Q8_0", 8.5008, false},   {"F16", 16.0005, false}};
  for (const auto& row : table)
    EXPECT_NEAR(file_bytes(llama_8b(), row.type, row.imatrix) * 8 / 8030261248.0, row.size, 1e-4) << row.type;
}

TEST(GgufSizes, FilesOfTheSeventyBillionModel) {
  // bartowski/Llama-3.1-70B-GGUF, GB, made with an importance matrix: 80 layers have rules of their own. The files hold
  // about 8 MB of vocabulary besides.
  constexpr Published table[] = {{"Q8_0", 74.98, true},   {"Q6_K", 57.89, true},   {"Q5_K_M", 49.95, true},
                                 {"Q5_K_S", 48.66, true}, {"Q4_K_M", 42.52, true}, {"Q4_K_S", 40.35, true},
                                 {"Q4_0", 40.12, true},   {"IQ4_XS", 37.90, true}, {"Q3_K_L", 37.14, true},
                                 {"Q3_K_M", 34.27, true}, {"IQ3_M", 31.94, true},  {"Q3_K_S", 30.91, true}};
  for (const auto& row : table)
    EXPECT_NEAR(file_bytes(llama_70b(), row.type, true) / 1e9 / row.size, 1, 1e-3) << row.type;
}

TEST(GgufSizes, FilesOfMixturesOfExperts) {
  Model mixtral;  // Mixtral-8x22B: eight experts have rules of their own
  mixtral.architecture = "mixtral";
  mixtral.layers = 56, mixtral.hidden = 6144, mixtral.intermediate = 16384, mixtral.heads = 48, mixtral.kv_heads = 8;
  mixtral.head_dim = 128, mixtral.vocab = 32000, mixtral.experts = 8, mixtral.experts_used = 2;
  mixtral.tie_embeddings = false;
  // bartowski/Mixtral-8x22B-v0.1-GGUF, GB.
  constexpr Published table[] = {{"Q5_K_M", 99.96, true}, {"Q5_K_S", 96.97, true}, {"Q4_K_M", 85.58, true},
                                 {"Q4_K_S", 80.47, true}, {"Q3_K_L", 72.57, true}, {"Q3_K_M", 67.78, true},
                                 {"Q3_K_S", 61.49, true}, {"Q2_K", 52.10, true}};
  for (const auto& row : table) EXPECT_NEAR(file_bytes(mixtral, row.type, true) / 1e9 / row.size, 1, 1e-3) << row.type;

  Model qwen;  // Qwen3-30B-A3B
  qwen.architecture = "qwen3_moe";
  qwen.layers = 48, qwen.hidden = 2048, qwen.intermediate = 6144, qwen.heads = 32, qwen.kv_heads = 4;
  qwen.head_dim = 128, qwen.vocab = 151936, qwen.experts = 128, qwen.experts_used = 8, qwen.moe_intermediate = 768;
  qwen.tie_embeddings = false;
  // bartowski/Qwen3-30B-A3B-GGUF, GB.
  constexpr Published files[] = {{"BF16", 61.10, true},
                                 {"Q8_0", 32.48, true},
                                 {"Q6_K", 25.10, true},
                                 {"Q5_K_M", 21.74, true},
                                 {"Q5_K_S", 21.10, true}};
  for (const auto& row : files) EXPECT_NEAR(file_bytes(qwen, row.type, true) / 1e9 / row.size, 1, 2e-3) << row.type;
}

}  // namespace
}  // namespace advisor
