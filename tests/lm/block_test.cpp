#include "lm/block.h"

#include <cmath>
#include <map>
#include <random>
#include <set>

#include "lm/decoder.h"
#include "lm/memory_checkpoint.h"
#include "lm/parity_models.h"

namespace advisor {
namespace {

using testing::expect_refusal;
using testing::MemoryCheckpoint;
using testing::parity_folder;

Tensor random_stream(std::int64_t rows, std::int64_t hidden) {
  std::mt19937 random(5);
  Tensor x({rows, hidden});
  for (float& value : x.span()) {
    value = static_cast<float>(random() % 2001) / 1000.0F - 1;
  }
  return x;
}

Tensor copy(const Tensor& x) {
  Tensor out(x.shape());
  std::ranges::copy(x.span(), out.data());
  return out;
}

double distance(const Tensor& a, const Tensor& b) {
  double most = 0, scale = 0;
  for (std::size_t i = 0; i < a.span().size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(a.span()[i]) - static_cast<double>(b.span()[i])));
    scale = std::max(scale, std::abs(static_cast<double>(a.span()[i])));
  }
  return most / scale;
}

/// One block of a tiny model, ready to run.
struct Model {
  std::unique_ptr<Checkpoint> checkpoint;
  const ModelConfig& config;
  const Architecture& architecture;
  BlockWeights block;

  explicit Model(const std::string& name, std::int64_t layer = 0)
      : checkpoint(open_checkpoint(parity_folder(name))),
        config(checkpoint->config()),
        architecture(find_architecture(config.architecture)),
        block(load_block(*checkpoint, layer, 1)) {}
  Tensor run(const Tensor& x, const Observe& observe = {}, std::optional<SiteKind> until = {}) const {
    Tensor out = copy(x);
    forward_block(config, architecture, 0, block, out, observe, until);
    return out;
  }
};

class EveryModel : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryModel, TheObserverSeesTheInputOfEveryLinear) {
  Model model(GetParam());
  Tensor x = random_stream(9, model.config.hidden);
  std::map<SiteKind, std::int64_t> rows, cols;
  Tensor plain = model.run(x),
         watched = model.run(x, [&](Site site, const float*, std::int64_t n, std::int64_t width, std::int64_t ld) {
           rows[site.kind] += n;
           cols[site.kind] = width;
           EXPECT_GE(ld, width);
           EXPECT_EQ(site.expert >= 0, site.kind == SiteKind::expert_in || site.kind == SiteKind::expert_down_in);
         });
  EXPECT_EQ(distance(plain, watched), 0);
  const BlockWeights& b = model.block;
  EXPECT_EQ(rows[SiteKind::attention_in], 9);
  EXPECT_EQ(cols[SiteKind::attention_in], b.qkv.weight.cols());
  EXPECT_EQ(rows[SiteKind::attention_out], 9);
  EXPECT_EQ(cols[SiteKind::attention_out], b.attention_out.weight.cols());
  EXPECT_EQ(rows[SiteKind::mlp_in], 9);
  if (b.experts.empty()) {
    EXPECT_EQ(rows[SiteKind::down_in], 9);
    EXPECT_EQ(cols[SiteKind::down_in], b.down.weight.cols());
    EXPECT_EQ(rows.count(SiteKind::expert_in), 0U);
  } else {  // each token goes to experts_per_token experts
    EXPECT_EQ(rows[SiteKind::expert_in], 9 * model.config.experts_per_token);
    EXPECT_EQ(rows[SiteKind::expert_down_in], 9 * model.config.experts_per_token);
    EXPECT_EQ(cols[SiteKind::expert_down_in], b.experts[0].down.weight.cols());
    EXPECT_EQ(rows.count(SiteKind::down_in), 0U);
  }
}

TEST_P(EveryModel, StopsBehindTheSiteAskedFor) {
  Model model(GetParam());
  Tensor x = random_stream(5, model.config.hidden);
  std::vector<SiteKind> all;
  model.run(x, [&](Site site, auto...) { all.push_back(site.kind); });
  std::set<SiteKind> kinds(all.begin(), all.end());
  for (SiteKind until : kinds) {
    std::vector<SiteKind> seen;
    model.run(
        x, [&](Site site, auto...) { seen.push_back(site.kind); }, until);
    EXPECT_EQ(seen.back(), until);
    EXPECT_EQ(std::ranges::count(seen, until), std::ranges::count(all, until));
  }
}

/// Scales of about one, one per column.
std::vector<float> random_scales(std::int64_t count) {
  std::mt19937 random(9);
  std::vector<float> out;
  for (std::int64_t i = 0; i < count; ++i) {
    out.push_back(0.5F + static_cast<float>(random() % 1000) / 500.0F);
  }
  return out;
}

void scale_columns(Linear& linear, std::span<const float> scales) {
  for (std::int64_t r = 0; r < linear.weight.rows() && linear.weight.size() != 0; ++r) {
    std::ranges::transform(linear.weight.row(r), scales, linear.weight.row(r).begin(), std::multiplies<>());
  }
}

void divide_norm(Norm& norm, bool plus_one, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    float& w = norm.weight.span()[i];
    w = plus_one ? (1 + w) / scales[i] - 1 : w / scales[i];
  }
}

void divide_rows(Linear& linear, std::int64_t begin, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    for (float& w : linear.weight.row(begin + static_cast<std::int64_t>(i))) {
      w /= scales[i];
    }
    if (linear.bias.size() != 0) {
      linear.bias.span()[static_cast<std::size_t>(begin) + i] /= scales[i];
    }
  }
}

void apply_fold(Fold fold, const Architecture& architecture, const ModelConfig& config, BlockWeights& b) {
  switch (fold.source) {
    case FoldSource::attention_norm: {
      auto scales = random_scales(config.hidden);
      scale_columns(b.qkv, scales);
      return divide_norm(b.attention_norm, architecture.norm_plus_one, scales);
    }
    case FoldSource::value_rows: {
      auto scales = random_scales(config.kv_heads * config.head_dim);
      auto columns = scales;
      columns.clear();
      for (std::int64_t head = 0; head < config.heads; ++head) {  // those that share a value head share its scales
        auto first = scales.begin() + head / (config.heads / config.kv_heads) * config.head_dim;
        columns.insert(columns.end(), first, first + config.head_dim);
      }
      scale_columns(b.attention_out, columns);
      return divide_rows(b.qkv, (config.heads + config.kv_heads) * config.head_dim, scales);
    }
    case FoldSource::mlp_norm: {
      auto scales = random_scales(config.hidden);
      scale_columns(b.gate_up, scales);
      scale_columns(b.router, scales);
      for (Expert& expert : b.experts) {
        scale_columns(expert.gate_up, scales);
      }
      return divide_norm(b.mlp_norm, architecture.norm_plus_one, scales);
    }
    case FoldSource::up_rows: {
      auto fold_mlp = [](Linear& gate_up, Linear& down) {
        auto scales = random_scales(down.weight.cols());
        scale_columns(down, scales);
        divide_rows(gate_up, down.weight.cols(), scales);
      };
      if (b.experts.empty()) {
        return fold_mlp(b.gate_up, b.down);
      }
      for (Expert& expert : b.experts) {
        fold_mlp(expert.gate_up, expert.down);
      }
    }
  }
}

TEST_P(EveryModel, FoldedScalesChangeNothing) {
  Model model(GetParam());
  Tensor x = random_stream(9, model.config.hidden);
  Tensor expected = model.run(x);
  std::vector<Fold> all = folds(model.architecture);
  EXPECT_EQ(all.size(), 4U);
  for (Fold fold : all) {
    Model changed(GetParam());
    apply_fold(fold, changed.architecture, changed.config, changed.block);
    EXPECT_LT(distance(expected, changed.run(x)), 1e-5) << static_cast<int>(fold.source);
  }
}

TEST_P(EveryModel, OptionsScoreAsIfEachWereAlone) {  // windows and rotation of branches
  auto checkpoint = open_checkpoint(parity_folder(GetParam()));
  Decoder decoder(*checkpoint);
  std::vector<std::vector<std::int32_t>> options = {{5}, {9, 8, 7, 6, 5, 4, 3, 2, 1}, {3, 4}, {1, 2, 3, 4, 5, 6}};
  for (std::vector<std::int32_t> prefix : {std::vector<std::int32_t>{7}, {4, 9, 63, 12, 0, 1, 2, 3}}) {
    if (checkpoint->config().rope_scaling.type == "longrope") {
      prefix.resize(9, 11);  // all sequences beyond the original context: within it each has other factors
    }
    std::vector<double> together = decoder.score_options(prefix, options);
    for (std::size_t i = 0; i < options.size(); ++i) {
      std::vector<std::int32_t> whole = prefix;
      whole.insert(whole.end(), options[i].begin(), options[i].end());
      double alone = 0;
      for (double p : decoder.log_probabilities(whole, static_cast<std::int64_t>(prefix.size()))) {
        alone += p;
      }
      EXPECT_NEAR(together[i], alone, 1e-3) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, EveryModel, ::testing::ValuesIn(testing::parity_models), [](const auto& info) {
  std::string name = info.param;
  std::ranges::replace(name, '-', '_');
  return name;
});

TEST(Block, PartsNameTheStoredRows) {
  Model model("qwen2");
  ASSERT_EQ(model.block.qkv.parts.size(), 3U);
  EXPECT_EQ(model.block.qkv.parts[1].name, "model.layers.0.self_attn.k_proj.weight");
  EXPECT_EQ(model.block.qkv.parts[1].begin, 32);
  EXPECT_EQ(model.block.qkv.parts[1].rows, 16);
  Tensor key = model.checkpoint->load(model.block.qkv.parts[1].name);
  EXPECT_TRUE(std::ranges::equal(key.row(3), model.block.qkv.weight.row(35)));
  Tensor bias = model.checkpoint->load("model.layers.0.self_attn.k_proj.bias");
  EXPECT_EQ(bias.span()[3], model.block.qkv.bias.span()[35]);
  EXPECT_EQ(model.block.attention_norm.name, "model.layers.0.input_layernorm.weight");
  EXPECT_EQ(Model("phi3").block.qkv.parts.size(), 1U);
  EXPECT_EQ(Model("mixtral").block.experts[2].gate_up.parts[1].name,
            "model.layers.0.block_sparse_moe.experts.2.w3.weight");
}

TEST(Block, AnExpertWithoutTokensIsNotShown) {
  Model model("mixtral");
  std::set<int> seen;
  model.run(random_stream(1, model.config.hidden), [&](Site site, auto...) { seen.insert(site.expert); });
  EXPECT_EQ(seen.size(), 1U + 2U);  // -1 and two of four experts
}

TEST(Block, ALayerWithoutItsTensorsIsRefused) {
  Model model("llama2");
  expect_refusal([&] { load_block(*model.checkpoint, 2, 1); }, ErrorCode::not_found, {"model.layers.2."});
}

TEST(Architecture, SharedSchemesAndLayersKeptDense) {
  auto group = [](const char* id, const char* tensor) { return fused_group(find_architecture(id), tensor); };
  const std::string query = "model.layers.3.self_attn.q_proj.weight";
  EXPECT_EQ(group("LlamaForCausalLM", "model.layers.3.self_attn.v_proj.weight"), query);
  EXPECT_EQ(group("LlamaForCausalLM", query.c_str()), query);
  EXPECT_NE(group("LlamaForCausalLM", "model.layers.4.self_attn.v_proj.weight"), query);
  EXPECT_EQ(group("LlamaForCausalLM", "model.layers.3.mlp.up_proj.weight"), "model.layers.3.mlp.gate_proj.weight");
  EXPECT_EQ(group("LlamaForCausalLM", "lm_head.weight"), "lm_head.weight");
  EXPECT_EQ(group("Phi3ForCausalLM", "model.layers.3.self_attn.qkv_proj.weight"),
            "model.layers.3.self_attn.qkv_proj.weight");
  EXPECT_EQ(group("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.0.w1.weight"),
            group("MixtralForCausalLM", "model.layers.0.block_sparse_moe.experts.7.w3.weight"));
  EXPECT_EQ(group("Qwen3MoeForCausalLM", "model.layers.0.mlp.experts.5.down_proj.weight"),
            group("Qwen3MoeForCausalLM", "model.layers.0.mlp.experts.1.down_proj.weight"));
  EXPECT_NE(group("Qwen3MoeForCausalLM", "model.layers.0.mlp.experts.5.down_proj.weight"),
            group("Qwen3MoeForCausalLM", "model.layers.0.mlp.experts.5.gate_proj.weight"));
  EXPECT_TRUE(never_quantized(find_architecture("LlamaForCausalLM"), "lm_head.weight"));
  EXPECT_FALSE(never_quantized(find_architecture("LlamaForCausalLM"), query));
  EXPECT_TRUE(never_quantized(find_architecture("MixtralForCausalLM"), "model.layers.0.block_sparse_moe.gate.weight"));
  EXPECT_TRUE(never_quantized(find_architecture("Qwen3MoeForCausalLM"), "model.layers.9.mlp.gate.weight"));
  EXPECT_FALSE(
      never_quantized(find_architecture("Qwen3MoeForCausalLM"), "model.layers.9.mlp.experts.0.gate_proj.weight"));
}

TEST(Block, RefusesConfigurationsItWouldGetWrong) {
  auto refused = [](const char* name, auto change, std::initializer_list<const char*> parts) {
    auto source = open_checkpoint(parity_folder(name));
    MemoryCheckpoint model(*source, TokenizerData());
    change(model.change());
    expect_refusal([&] { check_model(model); }, ErrorCode::unsupported, parts);
    expect_refusal([&] { load_block(model, 0, 1); }, ErrorCode::unsupported, parts);
  };
  refused("llama3", [](auto& c) { c.rope_scaling.factor = 0; }, {"llama3", "factors"});
  refused("llama3", [](auto& c) { c.rope_scaling.high_freq = 0.5; }, {"llama3", "factors"});
  refused("phi3-longrope", [](auto& c) { c.rope_scaling.long_factor.pop_back(); }, {"longrope", "2"});
  refused("phi3-longrope", [](auto& c) { c.rotary_dim = 12; }, {"rotary", "12"});
  refused("gemma2", [](auto& c) { c.windows.pop_back(); }, {"windows", "2"});
  refused("gemma2", [](auto& c) { c.attention_cap = std::nan(""); }, {"caps"});
  refused("gemma2", [](auto& c) { c.unsupported = "some reason"; }, {"some reason"});
  refused("gemma2", [](auto& c) { c.activation = "silu"; }, {"silu", "gelu_pytorch_tanh"});
  refused("mixtral", [](auto& c) { c.experts = 0; }, {"experts"});
  refused("mixtral", [](auto& c) { c.experts_per_token = 5; }, {"5 of 4"});
  refused("llama2", [](auto& c) { c.experts = 4; }, {"experts"});
}

}  // namespace
}  // namespace advisor
