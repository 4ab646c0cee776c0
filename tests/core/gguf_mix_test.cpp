#include "core/gguf_mix.h"

#include <gtest/gtest.h>

namespace advisor {
namespace {

TEST(GgufMix, MoreBitsGoToTheEndsAndEveryThirdLayer) {
  // 32 layers: 0-3, 28-31, and of 4..27 those with (i - 4) % 3 == 2: 6, 9, ..., 27 = 8. Sixteen in all.
  const GgufModel model{32, 4, 0, false, false};
  const TensorGroup down{TensorRole::ffn_down, 1, 256, 1, 0, 32};
  EXPECT_DOUBLE_EQ(gguf_bytes(down, GgufMix::q4_k_m, false, model), 16 * 210 + 16 * 144);
  // Half of the model's layers: 0-3, 6, 9, 12, 15 of the first sixteen.
  const TensorGroup half{TensorRole::ffn_down, 1, 256, 1, 0, 16};
  EXPECT_DOUBLE_EQ(gguf_bytes(half, GgufMix::q4_k_m, false, model), 8 * 210 + 8 * 144);
}

TEST(GgufMix, RowsThatFitNoBlockFallBack) {
  const GgufModel model{32, 4, 0, true, false};
  // 896 columns (Qwen2.5-0.5B) are 28 blocks of 32 but not of 256: Q4_K becomes Q5_0, the head's Q6_K Q8_0.
  EXPECT_DOUBLE_EQ(gguf_bytes({TensorRole::attn_q, 10, 896}, GgufMix::q4_k_m, false, model), 10 * 28 * 22);
  EXPECT_DOUBLE_EQ(gguf_bytes({TensorRole::embedding, 10, 896}, GgufMix::q4_k_m, false, model), 10 * 28 * 34);
  EXPECT_DOUBLE_EQ(gguf_bytes({TensorRole::attn_q, 10, 100}, GgufMix::q4_k_m, false, model), 10 * 100 * 2);
  EXPECT_DOUBLE_EQ(gguf_bytes({TensorRole::vector, 1, 100}, GgufMix::q4_k_m, false, model), 400);
  EXPECT_DOUBLE_EQ(gguf_bytes({TensorRole::router, 8, 256}, GgufMix::q4_k_m, false, model), 8 * 256 * 4);
}

TEST(GgufMix, NamesAreThoseOfLlamaQuantize) {
  EXPECT_EQ(gguf_mix_named("Q4_K_M"), GgufMix::q4_k_m);
  EXPECT_EQ(gguf_mix_named("Q4_K"), GgufMix::q4_k_m);
  EXPECT_EQ(gguf_mix_named("IQ4_NL"), GgufMix::iq4_nl);
  EXPECT_EQ(gguf_mix_named("MXFP4_MOE"), GgufMix::mxfp4_moe);
  EXPECT_FALSE(gguf_mix_named("W4A16-g128"));
  EXPECT_EQ(gguf_block(GgufType::mxfp4).bytes, 17);
}

TEST(GgufMix, TypesOfSingleTensors) {
  const GgufModel model{32, 4, 0, false, false};
  const auto type = [&](TensorRole role, std::int64_t layer, const char* mix, bool imatrix = false,
                        std::int64_t columns = 4096) {
    return gguf_tensor_type({role, 16, columns}, layer, *gguf_mix_named(mix), imatrix, model);
  };
  EXPECT_EQ(type(TensorRole::ffn_down, 0, "Q4_K_M"), GgufType::q6_k);
  EXPECT_EQ(type(TensorRole::ffn_down, 5, "Q4_K_M"), GgufType::q4_k);
  EXPECT_EQ(type(TensorRole::attn_v, 1, "Q3_K_M"), GgufType::q5_k);
  EXPECT_EQ(type(TensorRole::attn_v, 2, "Q3_K_M"), GgufType::q4_k);
  EXPECT_EQ(type(TensorRole::head, 0, "Q4_0"), GgufType::q6_k);
  EXPECT_EQ(type(TensorRole::embedding, 0, "Q4_0"), GgufType::q4_0);
  EXPECT_EQ(type(TensorRole::ffn_down, 0, "IQ4_XS"), GgufType::q5_k);
  EXPECT_EQ(type(TensorRole::ffn_down, 0, "IQ4_XS", true), GgufType::iq4_xs);
  EXPECT_EQ(type(TensorRole::attn_q, 0, "Q3_K_S", false, 96), GgufType::iq4_nl);
  EXPECT_EQ(type(TensorRole::attn_q, 0, "Q6_K", false, 100), GgufType::f16);
}

TEST(GgufMix, EveryMixHasANameABaseAndANumber) {
  for (const std::string_view name : gguf_mix_names()) {
    const auto mix = gguf_mix_named(name);
    ASSERT_TRUE(mix) << name;
    EXPECT_EQ(gguf_mix_name(*mix), name);
  }
  EXPECT_EQ(gguf_mix_named("q4_k_m"), GgufMix::q4_k_m);
  EXPECT_EQ(gguf_base_type(GgufMix::q4_k_m), GgufType::q4_k);
  EXPECT_EQ(gguf_file_type(GgufMix::q4_k_m), 15);
  EXPECT_EQ(gguf_file_type(GgufMix::mxfp4_moe), 38);
}

}  // namespace
}  // namespace advisor
