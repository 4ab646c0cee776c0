// Variants that a profile asks about: in short, field by field, in YAML's tree and in JSON.
#include <gmock/gmock.h>

#include "core/document.h"
#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"
#include "core/variant.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string refusal(ErrorCode code, auto&& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "no error";
}

TEST(Wish, WordsAreRecognisedInAnyOrder) {
  Profile profile;
  set_field(profile, "consider.0", "engine=sglang 2:4 W4A16-g128 meta-llama/X wanda kv=fp8 gguf");
  const auto& wish = profile.consider.front();
  EXPECT_EQ(wish.engine, "sglang");
  EXPECT_EQ(wish.pattern, "2:4");
  EXPECT_EQ(wish.scheme, "W4A16-g128");
  EXPECT_EQ(wish.model, "meta-llama/X");
  EXPECT_EQ(wish.technique, "wanda");
  EXPECT_EQ(wish.kv, "fp8");
  EXPECT_EQ(wish.format, "gguf");
}

TEST(Wish, ShortTextReadsBack) {
  for (const char* text : {"Q2_K", "magnitude sparsity=50%", "magnitude 50%", "kv=q4_0 llama.cpp", "vllm none",
                           "a/b wanda W4A16-g128 2:4 engine=vllm kv=fp8"}) {
    Profile profile, again;
    set_field(profile, "consider.0", text);
    set_field(again, "consider.0", wish_text(profile.consider.front()));
    EXPECT_EQ(profile_to_json(profile, -1), profile_to_json(again, -1)) << text;
  }
}

TEST(Wish, ReplacesWhatStoodThereAndAddsOneBehindTheLast) {
  Profile profile;
  set_field(profile, "consider.0", "wanda sparsity=50%");
  set_field(profile, "consider.0", "Q2_K");
  set_field(profile, "consider.1.technique", "rtn");
  ASSERT_EQ(profile.consider.size(), 2u);
  EXPECT_TRUE(profile.consider[0].technique.empty());
  EXPECT_EQ(get_field(profile, "consider.0.scheme"), "Q2_K");
  EXPECT_FALSE(profile.given.contains("consider.0.technique"));
}

TEST(Wish, JsonReadsBackEntriesInShortAndInFull) {
  const auto profile =
      profile_from_json(R"({"consider": ["Q2_K", {"technique": "magnitude", "sparsity": "50 %"}, {"sparsity": 0.5}]})");
  ASSERT_EQ(profile.consider.size(), 3u);
  EXPECT_EQ(profile.consider[1].sparsity, "50 %");
  EXPECT_EQ(profile.consider[2].sparsity, "0.5");
  const auto text = profile_to_json(profile, -1);
  EXPECT_EQ(text, profile_to_json(profile_from_json(text), -1));
}

TEST(Wish, EveryFieldCanBeSetAndRead) {
  for (const Field& field : wish_fields()) {
    Profile profile;
    const std::string path = "consider.0." + std::string(field.path);
    const std::string value = !field.values.empty()      ? std::string(field.values.front())
                              : field.path == "scheme"   ? "W4A16-g128"
                              : field.path == "sparsity" ? "0.3"
                                                         : "word";
    set_field(profile, path, value);
    EXPECT_EQ(get_field(profile, path), value);
    EXPECT_EQ(&find_field(path), &field);
    set_field(profile, path, "");
    EXPECT_EQ(get_field(profile, path), "");
  }
}

TEST(WishRefuses, AndThenLeavesTheProfileAsItWas) {
  Profile profile;
  set_field(profile, "consider.0", "Q2_K");
  const auto bad = [&](ErrorCode code, const std::string& path, const std::string& text) {
    const auto message = refusal(code, [&] { set_field(profile, path, text); });
    EXPECT_EQ(profile.consider.size(), 1u);
    EXPECT_EQ(get_field(profile, "consider.0.scheme"), "Q2_K");
    return message;
  };
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.0.scheme", "W4B16"),
              AllOf(HasSubstr("consider.0.scheme"), HasSubstr("W4B16")));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.0", "Q2_Kk"), HasSubstr("\"Q2_K\""));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.1.sparsity", "1.5"), HasSubstr("neither a share"));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.0.engine", "vlm"), HasSubstr("\"vllm\""));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.0", ""), HasSubstr("names no variant"));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.0", "Q2_K Q4_0"), HasSubstr("two of scheme"));
  EXPECT_THAT(bad(ErrorCode::not_found, "consider.0", "sparsty=0.5"), HasSubstr("\"sparsity\""));
  EXPECT_THAT(bad(ErrorCode::not_found, "consider.2.scheme", "Q2_K"), HasSubstr("has 1 variants"));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider", "Q2_K"), HasSubstr("consider.0.scheme"));
  EXPECT_THAT(bad(ErrorCode::invalid_argument, "consider.99", "Q2_K"), HasSubstr("at most 32"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, [] { profile_from_json(R"({"consider": "Q2_K"})"); }),
              HasSubstr("takes a list"));
  EXPECT_THAT(refusal(ErrorCode::not_found, [] { profile_from_json(R"({"consider": [{"schem": "Q2_K"}]})"); }),
              AllOf(HasSubstr("consider.0.schem"), HasSubstr("\"scheme\"")));
}

TEST(Sparsity, SharesAndPatterns) {
  EXPECT_EQ(parse_sparsity("50 %").share, 0.5);
  EXPECT_EQ(parse_sparsity("0.3").pattern, "unstructured");
  EXPECT_EQ(parse_sparsity("0").pattern, "");
  EXPECT_EQ(parse_sparsity("2:4").share, 0.5);
  EXPECT_EQ(parse_sparsity("4:8").pattern, "4:8");
  for (const char* bad : {"1", "-0.1", "half", "3:7", ""})
    EXPECT_THAT(refusal(ErrorCode::invalid_argument, [&] { parse_sparsity(bad); }), HasSubstr("neither a share"));
}

TEST(Variant, IsCompletedWithWhatGoesTogether) {
  const auto completed = [](const char* scheme, double sparsity, const char* format = "") {
    Variant v;
    v.technique = v.kv = "", v.scheme = scheme, v.format = format, v.sparsity = sparsity;
    complete(v);
    return v.technique + " " + v.scheme + " " + v.format + " " + v.engine + " " + v.kv;
  };
  EXPECT_EQ(completed("", 0), "none W16A16 safetensors vllm fp16");
  EXPECT_EQ(completed("", 0.5), "wanda W16A16 compressed-tensors vllm fp16");
  EXPECT_EQ(completed("Q4_K_M", 0), "gguf-k Q4_K_M gguf llama.cpp fp16");
  EXPECT_EQ(completed("IQ2_XXS", 0), "gguf-i IQ2_XXS gguf llama.cpp fp16");
  EXPECT_EQ(completed("F16", 0), "none F16 gguf llama.cpp fp16");
  EXPECT_EQ(completed("W8A8-fp8", 0), "fp8 W8A8-fp8 compressed-tensors vllm fp16");
  EXPECT_EQ(completed("W4A16-g128", 0), "rtn W4A16-g128 compressed-tensors vllm fp16");
}

}  // namespace
}  // namespace advisor
