#include "estimate/layout.h"

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <vector>

#include "estimate/weights.h"
#include "fixture.h"

namespace advisor {
namespace {

Model dense(const char* architecture, std::int64_t layers, std::int64_t hidden, std::int64_t intermediate,
            std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim, std::int64_t vocab, bool tied) {
  Model m;
  m.architecture = architecture;
  m.layers = layers, m.hidden = hidden, m.intermediate = intermediate, m.heads = heads, m.kv_heads = kv_heads;
  m.head_dim = head_dim, m.vocab = vocab, m.tie_embeddings = tied;
  return m;
}

double elements(const Model& m) { return layout_from_geometry(m)->elements(); }

// Published numbers of parameters (sums over the tensors of the checkpoints).

TEST(Layout, DenseModelsAreCountedExactly) {
  EXPECT_EQ(elements(llama_8b()), 8030261248.0);
  EXPECT_EQ(elements(llama_70b()), 70553706496.0);
  EXPECT_EQ(elements(dense("llama", 32, 4096, 11008, 32, 32, 128, 32000, false)), 6738415616.0);   // Llama-2-7B
  EXPECT_EQ(elements(dense("mistral", 32, 4096, 14336, 32, 8, 128, 32000, false)), 7241732096.0);  // Mistral-7B-v0.1
  EXPECT_EQ(elements(dense("qwen2", 28, 3584, 18944, 28, 4, 128, 152064, false)), 7615616512.0);   // Qwen2.5-7B: biases
  EXPECT_EQ(elements(dense("gemma2", 26, 2304, 9216, 8, 4, 256, 256000, true)), 2614341888.0);     // tied, four norms
}

TEST(Layout, FusedProjectionsHoldTheSameParameters) {
  // Phi-3-mini: 3,821,079,552.
  const auto m = dense("phi3", 32, 3072, 8192, 32, 32, 96, 32064, false);
  EXPECT_EQ(elements(m), 3821079552.0);
  const auto layout = *layout_from_geometry(m);
  for (const auto& group : layout.groups) {
    EXPECT_NE(group.role, TensorRole::attn_q);
    EXPECT_NE(group.role, TensorRole::ffn_gate);
  }
}

TEST(Layout, PlainMlpHasNoGate) {
  // Falcon-7B: 6,921,720,704 with its norms and their biases (2 · 4544 · 33).
  const auto m = dense("falcon", 32, 4544, 18176, 71, 1, 64, 65024, true);
  EXPECT_NEAR(elements(m) / 6921720704.0, 1, 1e-4);
}

TEST(Layout, MixturesOfExperts) {
  auto mixtral = dense("mixtral", 32, 4096, 14336, 32, 8, 128, 32000, false);
  mixtral.experts = 8, mixtral.experts_used = 2;
  EXPECT_EQ(elements(mixtral), 46702792704.0);

  auto qwen = dense("qwen3_moe", 48, 2048, 6144, 32, 4, 128, 151936, false);
  qwen.experts = 128, qwen.experts_used = 8, qwen.moe_intermediate = 768;
  // 30,532,122,624 with 48 · 2 · 128 weights of the query and key norms.
  EXPECT_EQ(elements(qwen) + 48 * 2 * 128, 30532122624.0);
  const auto layout = *layout_from_geometry(qwen);
  EXPECT_DOUBLE_EQ(layout.used_experts, 8.0 / 128);
}

TEST(Layout, LatentAttentionAndSharedExperts) {
  // DeepSeek-V3 without the multi-token head: 671,026,419,200; the router's 58 · 256 correction biases are left out.
  auto m = dense("deepseek_v3", 61, 7168, 18432, 128, 128, 56, 129280, false);
  m.kv_lora_rank = 512, m.qk_rope_head_dim = 64, m.q_lora_rank = 1536, m.qk_nope_head_dim = 128, m.v_head_dim = 128;
  m.experts = 256, m.experts_used = 8, m.moe_intermediate = 2048, m.shared_expert_intermediate = 2048;
  m.dense_layers = 3;
  EXPECT_NEAR(elements(m) / 671026419200.0, 1, 1e-6);
  m.qk_nope_head_dim.reset();
  EXPECT_FALSE(layout_from_geometry(m)) << "the projections cannot be counted";
}

TEST(Layout, BlocksTheCatalogDoesNotDescribeAreNotCounted) {
  EXPECT_FALSE(layout_from_geometry(dense("qwen3_next", 48, 2048, 5120, 16, 2, 256, 151936, false)));
  EXPECT_FALSE(layout_from_geometry(Model{}));
  EXPECT_FALSE(layout_of(Model{}));
}

TEST(Layout, NamesOfSizesAreNotSizes) {
  auto m = dense("mistral", 32, 4096, 14336, 32, 8, 128, 32000, false);
  m.params = 7e9;  // "7B"
  EXPECT_EQ(layout_of(m)->basis, "geometry");
  EXPECT_EQ(layout_of(m)->elements(), 7241732096.0);
  m.params = 6.5e9;
  EXPECT_EQ(layout_of(m)->basis, "parameters");
  EXPECT_EQ(layout_of(m)->elements(), 6.5e9);
}

TEST(Layout, WhatATowerAddsStaysWide) {
  auto m = dense("qwen2_5_vl", 36, 2048, 11008, 16, 2, 128, 151936, true);
  m.params = 3.75e9;
  EXPECT_EQ(layout_of(m)->basis, "parameters");
  m.modalities_in = {"text", "image"};
  const auto layout = *layout_of(m);
  EXPECT_EQ(layout.basis, "geometry");
  EXPECT_NEAR(layout.elements(), 3.75e9, 2048);
  EXPECT_EQ(layout.groups.back().role, TensorRole::wide);
}

TEST(Layout, TensorsOfACheckpointMakeTheGroupsOfItsGeometry) {
  const auto m = dense("llama", 3, 128, 384, 4, 2, 32, 4096, true);
  std::vector<NamedShape> tensors{{"model.embed_tokens.weight", {4096, 128}}, {"model.norm.weight", {128}}};
  for (int layer = 0; layer < 3; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer) + ".";
    for (const auto& [name, rows, columns] : {std::tuple{"self_attn.q_proj", 128, 128},
                                              {"self_attn.k_proj", 64, 128},
                                              {"self_attn.v_proj", 64, 128},
                                              {"self_attn.o_proj", 128, 128},
                                              {"mlp.gate_proj", 384, 128},
                                              {"mlp.up_proj", 384, 128},
                                              {"mlp.down_proj", 128, 384}})
      tensors.push_back({block + name + ".weight", {rows, columns}});
    tensors.push_back({block + "input_layernorm.weight", {128}});
    tensors.push_back({block + "post_attention_layernorm.weight", {128}});
    tensors.push_back({block + "self_attn.rotary_emb.inv_freq", {16}});  // not stored by anybody
  }
  Model checkpoint;
  checkpoint.layers = 3, checkpoint.heads = 4, checkpoint.kv_heads = 2;
  checkpoint.tensors = group_tensors(tensors);
  const auto layout = *layout_of(checkpoint);
  EXPECT_EQ(layout.basis, "checkpoint");
  EXPECT_TRUE(layout.gguf.tied);
  EXPECT_EQ(layout.elements(), elements(m));
  for (const char* scheme : {"Q4_0", "Q4_K_M", "Q8_0", "Q2_K"})
    EXPECT_DOUBLE_EQ(
        weight_bytes(layout, weight_format(as(m, "none", scheme, "gguf", "llama.cpp"))).stored,
        weight_bytes(*layout_from_geometry(m), weight_format(as(m, "none", scheme, "gguf", "llama.cpp"))).stored)
        << scheme;
}

TEST(Layout, ExpertsOfACheckpoint) {
  std::vector<NamedShape> tensors{{"model.layers.0.mlp.gate.weight", {4, 64}},
                                  {"model.layers.1.mlp.experts.gate_up_proj", {4, 64, 96}}};
  for (int expert = 0; expert < 4; ++expert)
    tensors.push_back({"model.layers.0.mlp.experts." + std::to_string(expert) + ".down_proj.weight", {64, 32}});
  const auto groups = group_tensors(tensors);
  ASSERT_EQ(groups.size(), 3u);
  double routed = 0;
  for (const auto& group : groups) {
    if (group.routed) {
      EXPECT_EQ(group.copies, 4);
      routed += group.elements();
    } else {
      EXPECT_EQ(group.role, TensorRole::router);
    }
  }
  EXPECT_EQ(routed, 4 * 64 * 32 + 4 * 64 * 96);
}

}  // namespace
}  // namespace advisor
