#include "lm/tokenizer.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "lm/memory_checkpoint.h"

namespace advisor {
namespace {

using testing::expect_refusal;

const TokenizerData& tiny_data() {
  static const TokenizerData data = open_checkpoint(testing::tiny_folder())->tokenizer();
  return data;
}

const Tokenizer& tiny() {
  static const Tokenizer tokenizer(tiny_data());
  return tokenizer;
}

/// The 256 byte tokens in order of their code points, then what each test adds.
TokenizerData bytes_only() {
  TokenizerData data;
  data.model = "bpe";
  data.pre = "gpt2";
  for (const std::string& token : tiny_data().tokens) {
    bool one_character = token.size() == 1 || (token.size() == 2 && (static_cast<unsigned char>(token[0]) >= 0xC0));
    if (one_character) {
      data.tokens.push_back(token);
    }
  }
  return data;
}

void add_merge(TokenizerData& data, const std::string& left, const std::string& right) {
  data.merges.push_back(left + " " + right);
  data.tokens.push_back(left + right);
}

std::vector<std::string> pieces(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::string> out;
  for (std::int32_t id : tokenizer.encode(text)) {
    out.push_back(tokenizer.decode({id}));
  }
  return out;
}

std::string random_text(std::mt19937& random, std::size_t length) {
  static const std::vector<std::string> parts = {"a",      "'",      "s",        " ",      "\n",
                                                 "\t",     "1",      "\u00e9",   "\u00a0", "\u00b2",
                                                 "\u2014", "\xff",   "\xe4\xbd", "l",      "L",
                                                 "re",     "\u2028", "!",        "\u4e2d", "\v",
                                                 "\u0300", "the",    "in",       "<s>",    std::string(1, '\0')};
  std::string out;
  for (std::size_t i = 0; i < length; ++i) {
    out += parts[random() % parts.size()];
  }
  return out;
}

TEST(Tokenizer, DecodingGivesAnyBytesBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string text = random_text(random, random() % 20);
    EXPECT_EQ(tiny().decode(tiny().encode(text)), text);
  }
}

TEST(Tokenizer, TheSplitterByHandEqualsThePatternThroughIcu) {
  // (?:) keeps the same language but not the spelling that is recognised.
  TokenizerData data = tiny_data();
  data.pre = R"((?:)(?:'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+))";
  Tokenizer by_pattern(data);
  std::mt19937 random(2);
  for (int i = 0; i < 3000; ++i) {
    std::string text = random_text(random, random() % 20);
    EXPECT_EQ(tiny().encode(text), by_pattern.encode(text)) << text;
  }
}

/// Merges by looking for the lowest rank again and again: the specification that the heap has to equal.
std::vector<std::string> merge_naively(std::string_view text, const std::vector<std::string>& merges) {
  std::vector<std::string> symbols;
  for (char c : text) {
    symbols.emplace_back(1, c);
  }
  for (const std::string& merge : merges) {  // lowest rank first, leftmost first
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (symbols[i] + " " + symbols[i + 1] == merge) {
        symbols[i] += symbols[i + 1];
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return symbols;
}

TEST(Tokenizer, MergesInOrderOfRank) {
  TokenizerData data = bytes_only();
  add_merge(data, "b", "c");
  add_merge(data, "a", "b");
  add_merge(data, "a", "a");
  add_merge(data, "aa", "a");
  add_merge(data, "bc", "a");
  add_merge(data, "aa", "bc");
  Tokenizer tokenizer(data);
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (std::size_t length = random() % 30; length > 0; --length) {
      text += static_cast<char>('a' + random() % 3);
    }
    EXPECT_EQ(pieces(tokenizer, text), merge_naively(text, data.merges)) << text;
  }
}

TEST(Tokenizer, OnePieceOfAMegabyteIsNoTrouble) {
  TokenizerData data = bytes_only();
  std::string token = "a";
  for (int i = 0; i < 10; ++i) {
    add_merge(data, token, token);
    token += token;
  }
  EXPECT_EQ(Tokenizer(data).encode(std::string(1 << 20, 'a')).size(), 1024U);
  EXPECT_EQ(tiny().decode(tiny().encode(std::string(1 << 20, ' '))).size(), std::size_t{1} << 20);
}

TEST(Tokenizer, AgreesWithTheReferenceTokenizer) {
  std::ifstream file(std::string(ADVISOR_SOURCE_DIR) + "/tests/lm/tokenizer_small.json");
  nlohmann::json cases = nlohmann::json::parse(file);
  EXPECT_GE(cases.size(), 9U);
  for (const auto& item : cases) {
    auto text = item["text"].get<std::string>();
    EXPECT_EQ(tiny().encode(text), item["ids"].get<std::vector<std::int32_t>>()) << text;
    EXPECT_EQ(tiny().decode(tiny().encode(text)), text);
  }
}

TEST(Tokenizer, SplitsAsLlama3WritesIt) {
  TokenizerData data = bytes_only();
  data.pre =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  data.ignore_merges = true;  // so that a piece that is a token shows as one
  for (const char* token : {"123", "4567", "45", "'S", "(it", "!\xC4\x8A"}) {
    data.tokens.emplace_back(token);
  }
  Tokenizer tokenizer(data);
  EXPECT_EQ(pieces(tokenizer, "12345"), (std::vector<std::string>{"123", "45"}));
  EXPECT_EQ(pieces(tokenizer, "(it'S!\n"), (std::vector<std::string>{"(it", "'S", "!\n"}));
}

TEST(Tokenizer, SpecialTokensAreMatchedWholeAndTheLongestWins) {
  TokenizerData data = bytes_only();
  auto base = static_cast<std::int32_t>(data.tokens.size());
  for (const char* token : {"<a>", "<a>b", "\u00e9!"}) {
    data.added.push_back({static_cast<std::int64_t>(data.tokens.size())});
    data.tokens.emplace_back(token);
  }
  Tokenizer tokenizer(data);
  EXPECT_EQ(tokenizer.encode("<a><a>b"), (std::vector<std::int32_t>{base, base + 1}));
  EXPECT_EQ(tokenizer.encode("\u00e9!"), (std::vector<std::int32_t>{base + 2}));
  EXPECT_EQ(tokenizer.encode("<a").size(), 2U);
  EXPECT_EQ(tokenizer.decode({base + 1}), "<a>b");
}

TEST(Tokenizer, AddsAPrefixSpaceWhereAsked) {
  TokenizerData data = tiny_data();
  data.add_prefix_space = true;
  Tokenizer tokenizer(data);
  EXPECT_EQ(tokenizer.encode("cold morning"), tiny().encode(" cold morning"));
  EXPECT_EQ(tokenizer.encode(" cold morning"), tiny().encode(" cold morning"));
  EXPECT_TRUE(tokenizer.encode("").empty());
}

TEST(Tokenizer, BosOnlyWhereTheModelWantsIt) {
  TokenizerData data = tiny_data();
  EXPECT_EQ(Tokenizer(data).bos(), 0);
  data.add_bos = false;
  EXPECT_EQ(Tokenizer(data).bos(), std::nullopt);
  data.add_bos = true;
  data.bos.reset();
  EXPECT_EQ(Tokenizer(data).bos(), std::nullopt);
}

TEST(Tokenizer, RefusesWhatItCannotDo) {
  auto refused = [](auto change, ErrorCode code, std::initializer_list<const char*> parts) {
    TokenizerData data = tiny_data();
    change(data);
    expect_refusal([&] { Tokenizer tokenizer(data); }, code, parts);
  };
  refused([](auto& d) { d.model = "unigram"; }, ErrorCode::unsupported, {"unigram", "BPE"});
  refused([](auto& d) { d.normalizer = {{"NFKC", "", ""}}; }, ErrorCode::unsupported, {"NFKC"});
  refused([](auto& d) { d.pre = "deepseek-llm"; }, ErrorCode::unsupported, {"deepseek-llm"});
  refused([](auto& d) { d.pre = "(\\p{Nonsense}+"; }, ErrorCode::unsupported, {"Nonsense"});
  refused([](auto& d) { d.tokens[5] = "\u4e2d\u4e2d"; }, ErrorCode::unsupported, {"byte"});
}

TEST(Tokenizer, RefusesDataThatContradictsItself) {
  auto refused = [](auto change, std::initializer_list<const char*> parts) {
    TokenizerData data = tiny_data();
    change(data);
    expect_refusal([&] { Tokenizer tokenizer(data); }, ErrorCode::parse_error, parts);
  };
  refused([](auto& d) { d.added.push_back({-1}); }, {"-1"});
  refused([](auto& d) { d.added.push_back({4096}); }, {"4096"});
  refused([](auto& d) { d.tokens[2] = ""; }, {"special token 2"});
  refused([](auto& d) { d.bos = 5000; }, {"5000"});
  refused([](auto& d) { d.merges[7] = "lonely"; }, {"merge 7", "lonely"});
  refused([](auto& d) { d.merges[7] = " a"; }, {"merge 7"});
  refused([](auto& d) { d.merges[7] = "a "; }, {"merge 7"});
  refused([](auto& d) { d.merges[7] = "a qqqq"; }, {"merge 7", "qqqq"});
}

TEST(Tokenizer, RefusesIdsOutsideOfTheVocabulary) {
  expect_refusal([] { tiny().decode({4096}); }, ErrorCode::invalid_argument, {"4096"});
  expect_refusal([] { tiny().decode({-1}); }, ErrorCode::invalid_argument, {"-1"});
}

TEST(Tokenizer, APatternThatBacktracksWithoutEndIsAnErrorNotAHang) {
  TokenizerData data = bytes_only();
  data.pre = R"((a+)+$|b)";
  Tokenizer tokenizer(data);
  expect_refusal([&] { tokenizer.encode(std::string(60, 'a') + "c"); }, ErrorCode::unsupported, {"(a+)+$"});
}

}  // namespace
}  // namespace advisor
