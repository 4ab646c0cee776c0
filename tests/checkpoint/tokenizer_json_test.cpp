#include "checkpoint/folder.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

std::string tokenizer(const std::string& pre, const std::string& merges = R"(["a b"])", const std::string& extra = "") {
  return R"({"added_tokens": [{"id": 3, "content": "<s>"}], "pre_tokenizer": )" + pre + extra +
         R"(, "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": )" + merges + "}}";
}
const std::string byte_level = R"({"type": "ByteLevel", "add_prefix_space": false, "use_regex": true})";

TokenizerData parse(const std::string& text, const std::string& settings = "", const ModelConfig& config = {}) {
  return parse_tokenizer(text, settings, config, "m/tokenizer.json");
}

TEST(TokenizerJson, ReadsVocabularyMergesAndSpecialTokens) {
  const TokenizerData d = parse(tokenizer(byte_level));
  EXPECT_EQ(d.model, "bpe");
  EXPECT_THAT(d.tokens, testing::ElementsAre("a", "b", "ab", "<s>"));
  EXPECT_THAT(d.merges, testing::ElementsAre("a b"));
  EXPECT_THAT(d.special, testing::ElementsAre(3));
  EXPECT_EQ(d.pre, "gpt2");
  EXPECT_FALSE(d.add_prefix_space);
  EXPECT_EQ(d.bos, std::nullopt);
  EXPECT_FALSE(d.add_bos);
}

TEST(TokenizerJson, ReadsNewerSpellings) {
  EXPECT_THAT(parse(tokenizer(byte_level, R"([["a", "b"]])")).merges, testing::ElementsAre("a b"));
  const TokenizerData split = parse(tokenizer(
      R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "\\d+"}, "behavior": "Isolated"},
          {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]})"));
  EXPECT_EQ(split.pre, "\\d+");
  EXPECT_EQ(parse(tokenizer(R"({"type": "Metaspace"})")).pre, "Metaspace");
  EXPECT_EQ(parse(tokenizer(byte_level, "[]", R"(, "normalizer": {"type": "NFC"})")).normalizer, "NFC");
}

TEST(TokenizerJson, TheBeginningTokenComesFromWhoeverNamesIt) {
  EXPECT_EQ(parse(tokenizer(byte_level), R"({"bos_token": "<s>"})").bos, 3);
  EXPECT_EQ(parse(tokenizer(byte_level), R"({"bos_token": {"content": "<s>"}})").bos, 3);
  EXPECT_TRUE(parse(tokenizer(byte_level), R"({"bos_token": "<s>", "add_bos_token": true})").add_bos);
  EXPECT_FALSE(parse(tokenizer(byte_level), R"({"bos_token": "<s>", "add_bos_token": false})").add_bos);
  ModelConfig config;
  config.bos = 3;
  EXPECT_EQ(parse(tokenizer(byte_level), "", config).bos, 3);
  config.bos = 99;  // not in the table
  EXPECT_EQ(parse(tokenizer(byte_level), "", config).bos, std::nullopt);
  const std::string with_template =
      tokenizer(byte_level, "[]",
                R"(, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]})");
  EXPECT_TRUE(parse(with_template, R"({"bos_token": "<s>"})").add_bos);
}

TEST(TokenizerJson, DamageIsRefusedByName) {
  const auto refused = [](const std::string& text, const std::vector<std::string>& words,
                          const std::string& settings = "") {
    expect_error([&] { parse(text, settings); }, ErrorCode::parse_error, words);
  };
  refused("{", {"m/tokenizer.json", "not valid JSON"});
  refused("[]", {"JSON object"});
  refused("{}", {"\"model\""});
  refused(R"({"model": 1})", {"\"model\""});
  refused(R"({"model": {"type": "BPE", "merges": []}})", {"\"vocab\""});
  refused(R"({"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}})", {"-1", "token id"});
  refused(R"({"model": {"type": "BPE", "vocab": {"a": 1e3}, "merges": []}})", {"token id"});
  refused(R"({"model": {"type": "BPE", "vocab": {"a": 4000000000}, "merges": []}})", {"4000000000"});
  refused(R"({"model": {"type": "BPE", "vocab": {"a": 0, "a": 1}, "merges": []}})", {"\"a\" appears twice"});
  refused(tokenizer(byte_level, R"(["ab"])"), {"merge", "ab"});
  refused(tokenizer(byte_level, R"([["a"]])"), {"merge"});
  refused(tokenizer("7"), {"pre_tokenizer"});
  refused(tokenizer(byte_level), {"tokenizer_config.json"}, "[]");
  refused(tokenizer(byte_level), {"bos_token"}, R"({"bos_token": 5})");
}

TEST(TokenizerJson, AFolderWithoutOneSaysSo) {
  const TempFolder folder;
  expect_error([&] { read_tokenizer(folder.path(), {}); }, ErrorCode::not_found,
               {"tokenizer.json", folder.path().string()});
}

}  // namespace
}  // namespace advisor
