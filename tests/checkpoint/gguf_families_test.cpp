// Models of every family through a GGUF file and back. What llama.cpp expects (names, +1 on Gemma's norms, stacked
// experts, rotary factors) is looked up in the file itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "checkpoint/gguf_fixture.h"

namespace advisor {
namespace {

using namespace gguf_fixture;
using ::testing::HasSubstr;

/// A model of tests/lm/parity, changed where llama.cpp holds less than transformers.
struct Model {
  std::unique_ptr<Checkpoint> source;
  OutputPlan plan;

  explicit Model(const std::string& name)
      : source(open_checkpoint(std::string(ADVISOR_SOURCE_DIR) + "/tests/lm/parity/" + name)) {
    plan.config = source->config();
    plan.config.name = "tiny";
    plan.tokenizer = tokenizer(plan.config.vocab);
    plan.type = "F32";
    fit();
    for (const TensorInfo& tensor : source->tensors()) {
      if (!dropped(tensor.name)) plan.tensors.push_back({tensor, std::nullopt});
    }
  }

  void fit() {
    ModelConfig& c = plan.config;
    c.normalize_experts = true;
    if (c.architecture == "Qwen3ForCausalLM") c.attention_bias = false;
    if (c.architecture.starts_with("Gemma")) {
      const std::int64_t every = c.architecture == "Gemma2ForCausalLM" ? 2 : 6;
      for (std::size_t i = 0; i < c.windows.size(); ++i) {
        c.windows[i] = (static_cast<std::int64_t>(i) + 1) % every == 0 ? 0 : 4;
      }
      c.attention_scale = 1 / std::sqrt(static_cast<double>(c.head_dim));
      if (c.rope_local_theta > 0) c.rope_local_theta = 10000;
    }
  }
  bool dropped(const std::string& name) const {
    return plan.config.architecture == "Qwen3ForCausalLM" && name.ends_with(".bias");
  }
  std::filesystem::path write(const Folder& folder) const {
    auto writer = gguf_format.create(plan, folder.path());
    for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
      writer->write_rows(i, 0, source->load(plan.tensors[i].source.name).span());
    }
    writer->finish();
    return std::filesystem::directory_iterator(folder.path())->path();
  }
};

gguf::Header header_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return gguf::parse_header(
      [&](std::int64_t offset, std::span<std::byte> out) {
        file.seekg(offset);
        file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()));
      },
      static_cast<std::int64_t>(std::filesystem::file_size(path)), "test");
}

std::vector<float> stored(const std::filesystem::path& path, const std::string& name) {
  for (const gguf::TensorEntry& entry : header_of(path).tensors) {
    if (entry.name != name) continue;
    std::vector<float> out(static_cast<std::size_t>(element_count(entry.shape)));
    std::ifstream file(path, std::ios::binary);
    file.seekg(entry.offset);
    file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size() * 4));
    return out;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

class GgufFamilies : public ::testing::TestWithParam<const char*> {};

TEST_P(GgufFamilies, WeightsAndConfigurationComeBack) {
  const Model model(GetParam());
  const Folder folder;
  ASSERT_EQ(gguf_format.refuses(model.plan), std::nullopt);
  const auto path = model.write(folder);
  EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(path)), gguf_format.bytes(model.plan));
  const auto back = open_gguf(path);
  EXPECT_EQ(back->tensors().size(), model.plan.tensors.size());
  for (const PlannedTensor& planned : model.plan.tensors) {
    const TensorInfo* info = back->find(planned.source.name);
    ASSERT_NE(info, nullptr) << planned.source.name;
    ASSERT_EQ(info->shape, planned.source.shape);
    const Tensor expected = model.source->load(planned.source.name), got = back->load(planned.source.name);
    for (std::size_t i = 0; i < expected.span().size(); ++i) {  // + 1 - 1 rounds
      ASSERT_NEAR(got.span()[i], expected.span()[i], 2e-7) << planned.source.name;
    }
    Tensor row({1, std::max<std::int64_t>(expected.cols(), 1)});  // one row alone
    back->read_rows(*info, info->shape[0] - 1, info->shape[0], row.span());
    EXPECT_EQ(row.span()[0], got.row(info->shape[0] - 1)[0]) << planned.source.name;
  }
  const ModelConfig &want = model.plan.config, &c = back->config();
  EXPECT_EQ(c.architecture, want.architecture == "MistralForCausalLM" ? "LlamaForCausalLM" : want.architecture);
  EXPECT_EQ(std::tie(c.hidden, c.intermediate, c.layers, c.heads, c.kv_heads, c.head_dim, c.vocab, c.max_context),
            std::tie(want.hidden, want.intermediate, want.layers, want.heads, want.kv_heads, want.head_dim, want.vocab,
                     want.max_context));
  EXPECT_EQ(std::tie(c.activation, c.tie_embeddings, c.attention_bias, c.mlp_bias, c.experts, c.experts_per_token,
                     c.expert_intermediate, c.rotary_dim, c.attention_cap, c.logit_cap, c.rope_theta, c.rms_norm_eps),
            std::tie(want.activation, want.tie_embeddings, want.attention_bias, want.mlp_bias, want.experts,
                     want.experts_per_token, want.expert_intermediate, want.rotary_dim, want.attention_cap,
                     want.logit_cap, want.rope_theta, want.rms_norm_eps));
  if (want.architecture.starts_with("Gemma") || want.architecture.starts_with("Phi")) {
    EXPECT_EQ(c.windows, want.windows);
    EXPECT_EQ(c.rope_local_theta, want.rope_local_theta);
    EXPECT_NEAR(c.attention_scale, want.attention_scale, 1e-9);
  }
  EXPECT_EQ(gguf::metadata_refuses(c, model.plan.tokenizer), std::nullopt);  // could be written again
}

INSTANTIATE_TEST_SUITE_P(Models, GgufFamilies,
                         ::testing::Values("llama2", "llama3", "llama-linear-bias", "mistral", "mixtral", "qwen2",
                                           "qwen2-yarn", "qwen3", "qwen3-moe", "gemma2", "gemma3", "phi3",
                                           "phi3-longrope"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(GgufFamily, NormsOfGemmaAreStoredWithTheOne) {
  const Model model("gemma2");
  const Folder folder;
  const auto path = model.write(folder);
  const auto check = [&](const std::string& name, const std::string& in_file) {
    const Tensor w = model.source->load(name);
    EXPECT_EQ(stored(path, in_file)[5], w.span()[5] + 1);
  };
  check("model.norm.weight", "output_norm.weight");
  check("model.layers.1.post_attention_layernorm.weight", "blk.1.post_attention_norm.weight");
  check("model.layers.1.pre_feedforward_layernorm.weight", "blk.1.ffn_norm.weight");
  check("model.layers.1.post_feedforward_layernorm.weight", "blk.1.post_ffw_norm.weight");
}

TEST(GgufFamily, ExpertsAreStackedAndOnlyLlamaIsInterleaved) {
  const Folder one, two;
  const Model mixtral("mixtral"), qwen("qwen3-moe");
  const auto path = mixtral.write(one);
  const Tensor w2 = mixtral.source->load("model.layers.1.block_sparse_moe.experts.3.w2.weight");
  const std::vector<float> down = stored(path, "blk.1.ffn_down_exps.weight");
  ASSERT_EQ(static_cast<std::int64_t>(down.size()), 4 * w2.size());
  EXPECT_EQ(down[static_cast<std::size_t>(3 * w2.size()) + 7], w2.span()[7]);
  const Tensor query = mixtral.source->load("model.layers.0.self_attn.q_proj.weight");
  const std::vector<float> attn_q = stored(path, "blk.0.attn_q.weight");
  EXPECT_EQ(attn_q[32], query.row(4)[0]);  // heads of 8: rows 0 and 4 rotate together
  const auto other = qwen.write(two);
  const Tensor plain = qwen.source->load("model.layers.0.self_attn.q_proj.weight");
  EXPECT_TRUE(std::ranges::equal(stored(other, "blk.0.attn_q.weight"), plain.span()));
  EXPECT_EQ(stored(other, "blk.0.ffn_gate_inp.weight").size(), 6U * 32);
}

TEST(GgufFamily, RotaryFactors) {
  const Folder one, two;
  const std::vector<float> llama = stored(Model("llama3").write(one), "rope_freqs.weight");
  // theta 500, 12 dimensions, context 32, factor 8: by the formula of Llama 3.1, worked out apart
  const std::vector<double> expected = {1, 2.7731721, 8, 8, 8, 8};
  ASSERT_EQ(llama.size(), expected.size());
  for (std::size_t i = 0; i < llama.size(); ++i) EXPECT_NEAR(llama[i], expected[i], 2e-6) << i;
  const auto path = Model("phi3-longrope").write(two);
  EXPECT_EQ(stored(path, "rope_factors_long.weight"), (std::vector<float>{1.5F, 3.0F}));
  EXPECT_EQ(stored(path, "rope_factors_short.weight"), (std::vector<float>{1.0F, 1.1F}));
  const auto back = open_gguf(path);
  EXPECT_EQ(back->config().rope_scaling.original_context, 8);
  EXPECT_NEAR(*back->config().rope_scaling.magnitude, std::sqrt(1 + std::log(8.0) / std::log(8.0)), 1e-6);
}

TEST(GgufFamily, WhatLlamaCppWouldRunDifferentlyIsRefused) {
  const auto refused = [](const std::string& name, const std::string& word, auto change) {
    Model model(name);
    change(model.plan);
    EXPECT_THAT(gguf_format.refuses(model.plan).value_or("accepted"), HasSubstr(word)) << name;
  };
  refused("qwen3-moe", "sum to 1", [](auto& p) { p.config.normalize_experts = false; });
  refused("qwen3", "biases", [](auto& p) { p.config.attention_bias = true; });
  refused("gemma2", "every 2 layers", [](auto& p) { p.config.windows[1] = 4; });
  refused("gemma2", "every 2 layers", [](auto& p) { p.config.windows.clear(); });
  refused("gemma2", "query_pre_attn_scalar", [](auto& p) { p.config.attention_scale = 0.25; });
  refused("gemma2", "caps", [](auto& p) { p.config.logit_cap = 0; });
  refused("gemma3", "caps", [](auto& p) { p.config.logit_cap = 30; });
  refused("gemma3", "rotation of layers", [](auto& p) { p.config.rope_local_theta = 100; });
  refused("gemma2", "gelu", [](auto& p) { p.config.activation = "silu"; });
  refused("phi3", "hidden size", [](auto& p) { p.config.head_dim = 16; });
  refused("qwen2", "whole heads", [](auto& p) { p.config.rotary_dim = 4; });
  refused("qwen2", "llama3", [](auto& p) { p.config.rope_scaling.type = "llama3"; });
  refused("qwen2-yarn", "yarn", [](auto& p) { p.config.rope_scaling.beta_fast = 16; });
  refused("llama2", "dynamic", [](auto& p) { p.config.rope_scaling.type = "dynamic"; });
  refused("llama2", "some reason", [](auto& p) { p.config.unsupported = "some reason"; });
  refused("llama2", "architecture", [](auto& p) { p.config.architecture = "MambaForCausalLM"; });
  refused("mixtral", "of 4 experts", [](auto& p) {
    std::erase_if(p.tensors, [](const auto& t) { return t.source.name.find("0.block_sparse_moe.experts.1.w1") < 99; });
  });
  refused("mixtral", "no name", [](auto& p) { p.config.experts = 3; });
}

}  // namespace
}  // namespace advisor
