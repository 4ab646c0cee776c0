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
  EXPECT_THAT(d.added, testing::ElementsAre(AddedToken{3}));
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
  EXPECT_EQ(parse(tokenizer(R"({"type": "Whitespace"})")).pre, "Whitespace");
  EXPECT_THAT(parse(tokenizer(byte_level, "[]", R"(, "normalizer": {"type": "NFC"})")).normalizer,
              testing::ElementsAre(NormalizerStep{"NFC", "", ""}));
}

TEST(TokenizerJson, ReadsWhatSentencePieceVocabulariesSay) {
  const std::string text = R"({
    "added_tokens": [{"id": 3, "content": "<u>", "special": false, "normalized": true, "rstrip": true}],
    "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "_"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "_"},
      {"type": "Replace", "pattern": {"Regex": "x+"}, "content": "x"}]},
    "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "first", "split": false},
    "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "_"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "a", "fuse_unk": true, "byte_fallback": true,
              "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})";
  const TokenizerData d = parse(text);
  EXPECT_FALSE(d.byte_level);
  EXPECT_THAT(d.added, testing::ElementsAre(AddedToken{3, false, true, false, true, false}));
  EXPECT_THAT(d.normalizer,
              testing::ElementsAre(NormalizerStep{"Prepend", "", "_"}, NormalizerStep{"Replace", " ", "_"},
                                   NormalizerStep{"Replace by a regular expression", "", "x"}));
  EXPECT_EQ(d.metaspace, (Metaspace{"_", Metaspace::Prepend::first, false}));
  EXPECT_EQ(d.unknown, 0);
  EXPECT_TRUE(d.fuse_unknown && d.byte_fallback);
  EXPECT_EQ(d.decoded_space, "_");
  EXPECT_EQ(d.decoded_strip, 1);
  const std::string gemma = R"({"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious"})";
  EXPECT_EQ(parse(tokenizer(gemma)).split_after, " ");
  EXPECT_EQ(parse(tokenizer(R"({"type": "Metaspace", "add_prefix_space": false})")).metaspace,
            (Metaspace{"\u2581", Metaspace::Prepend::never, true}));
}

TEST(TokenizerJson, WhatNoTokenizerHereDoesIsPassedOnByName) {
  const auto model = [](const std::string& extra) {
    return parse(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [])" + extra + "}}").model;
  };
  EXPECT_EQ(model(""), "bpe");
  EXPECT_EQ(model(R"(, "dropout": 0.1)"), "bpe with dropout");
  EXPECT_EQ(model(R"(, "end_of_word_suffix": "</w>")"), "bpe with end_of_word_suffix");
  EXPECT_EQ(parse(tokenizer(R"({"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Removed"})")).pre, "Split");
  EXPECT_EQ(
      parse(tokenizer(R"({"type": "Sequence", "pretokenizers": [{"type": "Metaspace"}, {"type": "Digits"}]})")).pre,
      "Sequence");
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
  refused(tokenizer(R"({"type": "Metaspace", "prepend_scheme": "last"})"), {"prepend_scheme", "last"});
  refused(tokenizer(byte_level, "[]", R"(, "normalizer": {"type": "Replace"})"), {"pattern"});
  refused(tokenizer(byte_level, "[]", R"(, "normalizer": 3)"), {"normalizer"});
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
