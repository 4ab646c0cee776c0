// What families of models say in config.json, in the spelling of transformers 4 and of 5.
#include <cmath>

#include "checkpoint/checkpoint.h"
#include "checkpoint/config.h"
#include "checkpoint/folder.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

std::string text(const std::string& architecture, const std::string& more) {
  return R"({"architectures": [")" + architecture + R"(ForCausalLM"], "hidden_size": 32, "intermediate_size": 40,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 64,
    "max_position_embeddings": 128)" +
         (more.empty() ? "" : ", " + more) + "}";
}

ModelConfig parse(const std::string& architecture, const std::string& more = "") {
  return parse_model_config(text(architecture, more), "m/config.json");
}

using Windows = std::vector<std::int64_t>;

TEST(ModelFamily, DefaultsAreThoseOfTheConfigurationClass) {
  EXPECT_EQ(parse("Llama").rms_norm_eps, 1e-6);
  EXPECT_EQ(parse("Phi3").rms_norm_eps, 1e-5);
  EXPECT_EQ(parse("Mixtral").rope_theta, 1e6);
  EXPECT_EQ(parse("Llama").rope_theta, 1e4);
  EXPECT_EQ(parse("Qwen3").head_dim, 128);
  EXPECT_EQ(parse("Gemma2").head_dim, 256);
  EXPECT_EQ(parse("Qwen2").head_dim, 8);
  EXPECT_TRUE(parse("Gemma2").tie_embeddings);
  EXPECT_FALSE(parse("Llama").tie_embeddings);
  EXPECT_EQ(parse("Gemma2").activation, "gelu_pytorch_tanh");
  EXPECT_EQ(parse("Gemma2").attention_cap, 50);
  EXPECT_EQ(parse("Gemma2").logit_cap, 30);
  EXPECT_EQ(parse("Gemma3").attention_cap, 0);
  EXPECT_EQ(parse("Gemma2").attention_scale, 1.0 / 16);
  EXPECT_EQ(parse("Mixtral").experts, 8);
  EXPECT_EQ(parse("Mixtral").experts_per_token, 2);
  EXPECT_EQ(parse("Mixtral").expert_intermediate, 40);
  EXPECT_TRUE(parse("Mixtral").normalize_experts);
  EXPECT_EQ(parse("Qwen3Moe").experts, 128);
  EXPECT_FALSE(parse("Qwen3Moe").normalize_experts);
}

TEST(ModelFamily, WindowsPerLayer) {
  EXPECT_EQ(parse("Llama", R"("sliding_window": 5)").windows, Windows());
  EXPECT_EQ(parse("Mistral").windows, Windows(4, 4096));
  EXPECT_EQ(parse("Mistral", R"("sliding_window": null)").windows, Windows());
  EXPECT_EQ(parse("Phi3", R"("sliding_window": 5)").windows, Windows(4, 5));
  EXPECT_EQ(parse("Phi3").windows, Windows());
  EXPECT_EQ(parse("Qwen2", R"("sliding_window": 5)").windows, Windows());
  EXPECT_EQ(parse("Qwen2", R"("sliding_window": 5, "use_sliding_window": true, "max_window_layers": 3)").windows,
            (Windows{0, 0, 0, 5}));
  EXPECT_EQ(parse("Gemma2", R"("sliding_window": 5)").windows, (Windows{5, 0, 5, 0}));
  EXPECT_EQ(parse("Gemma3", R"("sliding_window": 5)").windows, (Windows{5, 5, 5, 5}));
  EXPECT_EQ(parse("Gemma3", R"("sliding_window": 5, "sliding_window_pattern": 3)").windows, (Windows{5, 5, 0, 5}));
  EXPECT_EQ(parse("Gemma3", R"("sliding_window": 5, "layer_types": ["full_attention", "full_attention",
      "sliding_attention", "full_attention"])")
                .windows,
            (Windows{0, 0, 5, 0}));
  EXPECT_EQ(parse("Gemma2").window(0), 4096);
  EXPECT_EQ(parse("Llama").window(3), 0);
}

TEST(ModelFamily, RotaryScalingInBothSpellings) {
  for (const std::string key : {"rope_scaling", "rope_parameters"}) {
    const ModelConfig c = parse("Llama", "\"" + key + R"(": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1.5,
        "high_freq_factor": 4.5, "original_max_position_embeddings": 64, "rope_theta": 500000}, "rope_theta": 500000)");
    EXPECT_EQ(c.rope_theta, 500000);
    EXPECT_EQ(c.rope_scaling.type, "llama3");
    EXPECT_EQ(c.rope_scaling.factor, 8);
    EXPECT_EQ(c.rope_scaling.low_freq, 1.5);
    EXPECT_EQ(c.rope_scaling.high_freq, 4.5);
    EXPECT_EQ(c.rope_scaling.original_context, 64);
  }
  EXPECT_EQ(parse("Llama", R"("rope_scaling": {"type": "linear", "factor": 2.5})").rope_scaling.factor, 2.5);
  const ModelConfig yarn = parse("Qwen2", R"("rope_scaling": {"type": "yarn", "factor": 4, "beta_fast": 16,
      "original_max_position_embeddings": 32, "mscale": 1, "mscale_all_dim": 0.5})");
  EXPECT_EQ(yarn.rope_scaling.beta_fast, 16);
  EXPECT_EQ(yarn.rope_scaling.beta_slow, 1);
  EXPECT_NEAR(*yarn.rope_scaling.magnitude, (0.1 * std::log(4) + 1) / (0.05 * std::log(4) + 1), 1e-12);
  const ModelConfig phi = parse("Phi3", R"("original_max_position_embeddings": 32, "rope_scaling": {"type": "su",
      "short_factor": [1, 1, 1, 1], "long_factor": [1, 2, 3, 4]})");
  EXPECT_EQ(phi.rope_scaling.type, "longrope");
  EXPECT_EQ(phi.rope_scaling.original_context, 32);
  EXPECT_EQ(phi.rope_scaling.factor, 4);
  EXPECT_EQ(phi.rope_scaling.long_factor, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(parse("Phi3", R"("partial_rotary_factor": 0.75)").rotary_dim, 6);
}

TEST(ModelFamily, GemmaThreeHasTwoRotations) {
  const ModelConfig four = parse("Gemma3", R"("rope_theta": 1000, "rope_local_base_freq": 100,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0})");
  const ModelConfig five = parse("Gemma3", R"("rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000},
      "sliding_attention": {"rope_type": "default", "rope_theta": 100}})");
  for (const ModelConfig& c : {four, five}) {
    EXPECT_EQ(c.rope_theta, 1000);
    EXPECT_EQ(c.rope_local_theta, 100);
    EXPECT_EQ(c.rope_scaling.type, "linear");
    EXPECT_EQ(c.rope_scaling.factor, 8);
  }
  EXPECT_EQ(parse("Gemma3").rope_theta, 1e6);
  EXPECT_EQ(parse("Gemma3").rope_local_theta, 1e4);
}

TEST(ModelFamily, WhatAForwardPassWouldGetWrongIsSaid) {
  const auto said = [](const std::string& architecture, const std::string& more, const std::string& word) {
    EXPECT_THAT(parse(architecture, more).unsupported, ::testing::HasSubstr(word));
  };
  EXPECT_EQ(parse("Gemma3").unsupported, "");
  said("Llama", R"("partial_rotary_factor": 0.5)", "partial_rotary_factor");
  said("Llama", R"("rope_local_base_freq": 100)", "window");
  said("Gemma3", R"("use_bidirectional_attention": true)", "both directions");
  said("Gemma3", R"("rope_parameters": {"sliding_attention": {"rope_type": "linear", "factor": 2}})", "window");
  said("Qwen3Moe", R"("mlp_only_layers": [1])", "some of the layers");
  said("Qwen3Moe", R"("decoder_sparse_step": 2)", "some of the layers");
  said("Qwen2", R"("rope_scaling": {"type": "yarn", "factor": 2, "truncate": false})", "truncation");
}

TEST(ModelFamily, WrittenConfigurationsReadBack) {
  for (const char* name :
       {"llama2", "llama3", "llama-linear-bias", "mistral", "mixtral", "qwen2", "qwen2-yarn", "qwen3", "qwen3-moe",
        "qwen3-moe-unnormalized", "gemma2", "gemma3", "phi3", "phi3-longrope"}) {
    const auto source = open_checkpoint(std::string(ADVISOR_SOURCE_DIR) + "/tests/lm/parity/" + name);
    ModelConfig want = source->config();
    ModelConfig got = parse_model_config(write_model_config(want), name);
    EXPECT_NEAR(got.attention_scale, want.attention_scale, 1e-12) << name;
    got.name = want.name;
    got.torch_dtype = want.torch_dtype;
    got.attention_scale = want.attention_scale;
    EXPECT_EQ(got, want) << name;
  }
}

TEST(ModelFamily, WrongValuesAreRefusedByName) {
  const auto refused = [](const std::string& architecture, const std::string& more,
                          const std::vector<std::string>& words, ErrorCode code = ErrorCode::parse_error) {
    expect_error([&] { parse(architecture, more); }, code, words);
  };
  refused("Llama", R"("rope_scaling": {"type": "llama3", "factor": 8})", {"low_freq_factor"});
  refused("Llama", R"("rope_scaling": {"type": "linear"})", {"\"factor\""});
  refused("Llama", R"("rope_scaling": {"type": "linear", "factor": -1})", {"\"factor\""});
  refused("Llama", R"("rope_parameters": [1])", {"rope_parameters"});
  refused("Llama", R"("rope_theta": 0)", {"rope_theta"});
  refused("Phi3", R"("rope_scaling": {"type": "longrope", "short_factor": [0]})", {"short_factor"});
  refused("Phi3", R"("rope_scaling": {"type": "longrope", "short_factor": 1})", {"short_factor", "list"});
  refused("Phi3", R"("partial_rotary_factor": 0.01)", {"partial_rotary_factor"});
  refused("Gemma2", R"("query_pre_attn_scalar": 0)", {"query_pre_attn_scalar"});
  refused("Gemma2", R"("attn_logit_softcapping": -1)", {"attn_logit_softcapping"});
  refused("Gemma2", R"("layer_types": ["full_attention"])", {"layer_types"});
  refused("Gemma3", R"("sliding_window": null, "layer_types": ["full_attention", "full_attention",
      "sliding_attention", "full_attention"])",
          {"sliding_window"});
  refused("Gemma3", R"("sliding_window_pattern": -2)", {"sliding_window_pattern"});
  refused("Gemma3", R"("layer_types": ["full_attention", "full_attention", "chunked_attention", "full_attention"])",
          {"chunked_attention"}, ErrorCode::unsupported);
  expect_error(
      [] {
        std::string huge = text("Mistral", "");
        huge.replace(huge.find("\"num_hidden_layers\": 4"), 22, "\"num_hidden_layers\": 2000000000");
        parse_model_config(huge, "m/config.json");
      },
      ErrorCode::parse_error, {"num_hidden_layers"});
  refused("Mistral", R"("sliding_window": 0)", {"sliding_window"});
  refused("Mixtral", R"("num_experts_per_tok": 9)", {"experts"});
  refused("Mixtral", R"("num_local_experts": 0)", {"num_local_experts"});
}

}  // namespace
}  // namespace advisor
