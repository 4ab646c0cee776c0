#include "checkpoint/config.h"

#include "checkpoint/folder.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

ModelConfig parse(const std::string& text) { return parse_model_config(text, "m/config.json"); }

/// config_text with one piece replaced.
std::string with(const std::string& piece, const std::string& replacement) {
  std::string text = config_text;
  const auto at = text.find(piece);
  EXPECT_NE(at, std::string::npos) << piece;
  return text.replace(at, piece.size(), replacement);
}

TEST(ModelConfig, ReadsTheLlamaFields) {
  const ModelConfig c = parse(config_text);
  EXPECT_EQ(c.architecture, "LlamaForCausalLM");
  EXPECT_EQ(c.hidden, 4);
  EXPECT_EQ(c.intermediate, 8);
  EXPECT_EQ(c.layers, 1);
  EXPECT_EQ(c.heads, 2);
  EXPECT_EQ(c.kv_heads, 1);
  EXPECT_EQ(c.head_dim, 2);  // hidden / heads when not named
  EXPECT_EQ(c.vocab, 3);
  EXPECT_EQ(c.max_context, 16);
  EXPECT_EQ(c.rms_norm_eps, 1e-6);
  EXPECT_EQ(c.rope_theta, 10000);
  EXPECT_EQ(c.activation, "silu");
  EXPECT_FALSE(c.tie_embeddings);
  EXPECT_EQ(c.torch_dtype, "float32");
  EXPECT_EQ(c.bos, 1);
  EXPECT_EQ(c.eos, 2);  // the first of the list
  EXPECT_EQ(c.pad, std::nullopt);
  EXPECT_EQ(c.rope_scaling.type, "");
}

TEST(ModelConfig, ReadsVariantsOfTheFields) {
  EXPECT_EQ(parse(with(R"("num_key_value_heads": 1,)", "")).kv_heads, 2);
  EXPECT_EQ(parse(with(R"("hidden_size": 4)", R"("hidden_size": 4, "head_dim": 8)")).head_dim, 8);
  EXPECT_EQ(parse(with("\"torch_dtype\"", "\"dtype\"")).torch_dtype, "float32");
  EXPECT_EQ(
      parse(with(R"("hidden_size": 4)", R"("hidden_size": 4, "rope_scaling": {"type": "ntk"})")).rope_scaling.type,
      "ntk");
  EXPECT_EQ(parse(with(R"("hidden_size": 4)", R"("hidden_size": 4, "rope_scaling": {"rope_type": "default"})"))
                .rope_scaling.type,
            "");
}

TEST(ModelConfig, EachRequiredFieldIsMissedByName) {
  for (const std::string key : {"architectures", "hidden_size", "intermediate_size", "num_hidden_layers",
                                "num_attention_heads", "vocab_size", "max_position_embeddings"}) {
    expect_error([&] { parse(with("\"" + key + "\"", "\"renamed\"")); }, ErrorCode::parse_error,
                 {"m/config.json", "\"" + key + "\"", "missing"});
  }
}

TEST(ModelConfig, WrongTypesAndValuesAreRefusedByName) {
  const auto refused = [](const std::string& text, const std::vector<std::string>& words) {
    expect_error([&] { parse(text); }, ErrorCode::parse_error, words);
  };
  refused("", {"m/config.json", "not valid JSON"});
  refused("[]", {"JSON object"});
  refused("{}", {"architectures"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": "4")"), {"\"hidden_size\"", "integer", "string"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 0)"), {"\"hidden_size\"", "0"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": -4)"), {"\"hidden_size\"", "-4"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 1e9)"), {"\"hidden_size\"", "integer"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 18446744073709551615)"), {"\"hidden_size\"", "too large"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 4, "hidden_size": 8)"), {"\"hidden_size\"", "twice"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 5)"), {"head_dim"});
  refused(with(R"("num_key_value_heads": 1)", R"("num_key_value_heads": 3)"), {"num_key_value_heads"});
  refused(with(R"(["LlamaForCausalLM"])", "[]"), {"architectures"});
  refused(with(R"(["LlamaForCausalLM"])", "\"Llama\""), {"architectures"});
  refused(with("1e-6", "-1"), {"rms_norm_eps"});
  refused(with("1e-6", "\"small\""), {"rms_norm_eps", "number"});
  refused(with("[2, 0]", "[]"), {"eos_token_id"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 4, "rope_scaling": 2)"), {"rope_scaling"});
  refused(with(R"("hidden_size": 4)", R"("hidden_size": 4, "tie_word_embeddings": 1)"),
          {"tie_word_embeddings", "true or false"});
}

}  // namespace
}  // namespace advisor
