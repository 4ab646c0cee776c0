#include "checkpoint/side_files.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "checkpoint/folder.h"
#include "folder_fixture.h"

namespace advisor {
namespace {

using namespace testing_support;

std::vector<std::string> names(const std::vector<SideFile>& side) {
  std::vector<std::string> list;
  for (const SideFile& file : side) list.push_back(file.name);
  return list;
}

TEST(SideFiles, WhatBelongsToTheModelTravelsAndNothingElse) {
  const TempFolder source, out;
  write_file(source / "config.json", R"({"hidden_size": 4, "quantization_config": {"old": 1}, "zebra": 1, "ant": 2})");
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
                           "LICENSE", "NOTICE.txt", "model.safetensors", "model.safetensors.index.json",
                           "pytorch_model.bin", "advisor_report.json", "README.md"}) {
    write_file(source / name, name);
  }
  std::filesystem::create_directory(source / "sub.json");
  OutputPlan plan;
  plan.source = source.path();
  plan.type = "f16";
  const auto side = side_files(plan, R"({"new": 1})");
  EXPECT_THAT(names(side), testing::ElementsAre("LICENSE", "NOTICE.txt", "chat_template.jinja", "config.json",
                                                "generation_config.json", "tokenizer.json", "tokenizer_config.json"));
  write_side_files(side, out.path());
  for (const SideFile& file : side) {
    EXPECT_EQ(static_cast<std::int64_t>(std::filesystem::file_size(out / file.name)), file.bytes());
  }
  const auto config = nlohmann::ordered_json::parse(read_file(out / "config.json"));
  EXPECT_EQ(config.dump(),
            R"({"hidden_size":4,"zebra":1,"ant":2,"torch_dtype":"float16","quantization_config":{"new":1}})");
}

TEST(SideFiles, ASourceWithoutThemGetsThemFromThePlan) {
  const TempFolder source;
  write_file(source / "model.gguf", "x");
  OutputPlan plan;
  plan.source = source / "model.gguf";
  plan.type = "bf16";
  plan.config = parse_model_config(config_text, "x");
  plan.tokenizer = {.model = "bpe",
                    .tokens = {"<s>", "a", "b", "ab"},
                    .merges = {"a b"},
                    .added = {AddedToken{0}},
                    .pre = "gpt2",
                    .normalizer = {},
                    .bos = 0,
                    .eos = 0,
                    .pad = {},
                    .add_bos = true};
  for (const std::string pre : {"gpt2", "\\p{N}{1,3}"}) {
    plan.tokenizer.pre = pre;
    const auto side = side_files(plan, "");
    ASSERT_THAT(names(side), testing::ElementsAre("config.json", "tokenizer.json", "tokenizer_config.json"));
    const ModelConfig config = parse_model_config(side[0].content, "config.json");
    EXPECT_EQ(config.hidden, 4);
    EXPECT_EQ(config.rms_norm_eps, 1e-6);
    EXPECT_EQ(config.bos, 1);
    EXPECT_EQ(config.torch_dtype, "bfloat16");
    const TokenizerData again = parse_tokenizer(side[1].content, side[2].content, config, "tokenizer.json");
    EXPECT_EQ(again.model, "bpe");
    EXPECT_EQ(again.tokens, plan.tokenizer.tokens);
    EXPECT_EQ(again.merges, plan.tokenizer.merges);
    EXPECT_EQ(again.added, plan.tokenizer.added);
    EXPECT_EQ(again.pre, pre);
    EXPECT_FALSE(again.add_prefix_space);
    EXPECT_EQ(again.bos, 0);
    EXPECT_EQ(again.eos, 0);
    EXPECT_TRUE(again.add_bos);
  }
}

TEST(SideFiles, ADamagedConfigIsNamed) {
  const TempFolder source;
  write_file(source / "config.json", "{");
  OutputPlan plan;
  plan.source = source.path();
  plan.type = "bf16";
  expect_error([&] { side_files(plan, ""); }, ErrorCode::parse_error, {"config.json"});
}

}  // namespace
}  // namespace advisor
