#include "io/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

template <class F>
std::string refusal(ErrorCode code, F action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "(no error)";
}

std::string profile_refusal(ErrorCode code, const std::string& text) {
  return refusal(code, [&] { parse_profile(text, "p.yaml"); });
}

const std::string minimal = "model: a/b\nhardware: auto\ntask: {type: chat}\n";

TEST(ProfileYaml, EveryFieldOfTheManual) {
  const Profile profile = parse_profile(R"(
model: meta-llama/Llama-3.1-70B-Instruct   # a comment
hardware: {id: nvidia-a100-sxm4-80gb, count: 2, memory: 24 GiB, bandwidth: 936 GB/s, fp16: 142 TFLOPS}
task: {type: medical_qa, benchmark: medqa, critical: true}
modality: {in: [text, image], out: [text]}
accuracy: {min: 0.75}
confidence: 0.95
workload: {context: 8192, input_tokens: 1500, output_tokens: 200, concurrency: 16, requests_per_second: 4}
slo: {ttft: 1 s, tpot: 50 ms}
budget: {usd_per_hour: 4.0, hours_to_compress: 8}
engine: vllm
licence: [apache-2.0, llama3.1, mit]
allow: {compress: true, switch: false, prune: true, calibration_data: false}
priority: [cost, quality]
)");
  EXPECT_EQ(profile.model, "meta-llama/Llama-3.1-70B-Instruct");
  EXPECT_EQ(profile.hardware.count, 2);
  EXPECT_EQ(profile.hardware.memory, 24.0 * 1024 * 1024 * 1024);
  EXPECT_EQ(profile.hardware.bandwidth, 936e9);
  EXPECT_EQ(profile.hardware.fp16, 142e12);
  EXPECT_TRUE(profile.task.critical);
  EXPECT_THAT(profile.modality.in, testing::ElementsAre("text", "image"));
  EXPECT_EQ(profile.accuracy.min, 0.75);
  EXPECT_EQ(profile.confidence, 0.95);
  EXPECT_EQ(profile.workload.requests_per_second, 4);
  EXPECT_EQ(profile.slo.tpot, 0.05);
  EXPECT_EQ(profile.budget.hours_to_compress, 8);
  EXPECT_EQ(profile.engine, "vllm");
  EXPECT_FALSE(profile.allow.switch_model);
  EXPECT_FALSE(profile.allow.calibration_data);
  EXPECT_THAT(profile.priority, testing::ElementsAre("cost", "quality"));
  EXPECT_EQ(profile.given.size(), 29u);
}

TEST(ProfileYaml, MinimalAndJsonAreFine) {
  EXPECT_EQ(parse_profile(minimal).given, (std::set<std::string>{"model", "hardware.id", "task.type"}));
  EXPECT_EQ(parse_profile(R"({"model": "a/b", "hardware": {"id": "x"}, "task": {"type": "chat"}})").hardware.id, "x");
}

TEST(ProfileYamlRefuses, UnknownFieldWithPlaceAndSuggestion) {
  EXPECT_THAT(profile_refusal(ErrorCode::not_found, minimal + "workload:\n  contxt: 8192\n"),
              StartsWith("p.yaml:5:3: unknown field \"workload.contxt\"; did you mean \"context\"?"));
  EXPECT_THAT(profile_refusal(ErrorCode::not_found, minimal + "licenses: [mit]\n"), HasSubstr("\"licence\""));
}

TEST(ProfileYamlRefuses, NegativeMemory) {
  EXPECT_THAT(
      profile_refusal(ErrorCode::invalid_argument, "model: a\nhardware: {memory: -24 GiB}\ntask: {type: chat}\n"),
      AllOf(StartsWith("p.yaml:2:20: hardware.memory: \"-24 GiB\""), HasSubstr("least allowed value")));
}

TEST(ProfileYamlRefuses, BrokenYaml) {
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "model: [a\n"),
              AllOf(StartsWith("p.yaml:"), HasSubstr("not valid YAML")));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "task:\n\ttype: chat\n"), HasSubstr("p.yaml:2:"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "model: a\nmodel: b\n"),
              HasSubstr("p.yaml:2:1: key \"model\" is given twice"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "- a\n- b\n"), HasSubstr("map of fields"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, ""), HasSubstr("map of fields"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "a: 1\n---\nb: 2\n"), HasSubstr("second document"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "? [a]\n: b\n"), HasSubstr("key must be a name"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, std::string("a: \0b", 5)), HasSubstr("NUL"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "a: *nothing\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "\xff\xfe\x00"), HasSubstr("p.yaml"));
}

TEST(ProfileYamlRefuses, DeepNestingAndAliasBombs) {
  std::string deep = "model: ";
  for (int i = 0; i < 200; ++i) deep += "[";
  for (int i = 0; i < 200; ++i) deep += "]";
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, deep), HasSubstr("nested deeper"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, std::string(100000, '[')), HasSubstr("p.yaml"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, std::string(100000, '{')), HasSubstr("p.yaml"));
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) bomb += (j > 0 ? ", " : "") + last;
    bomb += "]\n";
  }
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, bomb), HasSubstr("p.yaml:1:5: anchors and aliases are not read"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "&a [*a]\n"), HasSubstr("anchors"));
  EXPECT_THAT(profile_refusal(ErrorCode::parse_error, "model: a\n<<: *a\n"), HasSubstr("p.yaml:2:"));
}

TEST(ProfileYamlRefuses, TextThatTheParserStopsAt) {
  for (const char* text : {",", ", a]\n", ",: b\n", "- a\n]\n", "model: a\n...\nmore\n"}) {
    EXPECT_THAT(profile_refusal(ErrorCode::parse_error, text), StartsWith("p.yaml")) << text;
  }
}

TEST(ProfileYamlRefuses, IncompleteProfile) {
  EXPECT_THAT(profile_refusal(ErrorCode::invalid_argument, "model: a\n"), StartsWith("p.yaml: hardware: missing"));
}

class Folder : public testing::Test {
 protected:
  Folder() {
    path = std::filesystem::path(testing::TempDir()) / ("yaml_test_" + std::to_string(::getpid()));
    std::filesystem::create_directories(path);
  }
  ~Folder() override { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path / name) << text; }
  std::filesystem::path path;
};

TEST_F(Folder, LoadsAProfile) {
  write("p.yaml", minimal);
  EXPECT_EQ(load_profile(path / "p.yaml").model, "a/b");
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { load_profile(path / "q.yaml"); }), HasSubstr("no such file"));
  EXPECT_THAT(refusal(ErrorCode::io_error, [&] { load_profile(path); }), HasSubstr("not a file"));
  write("empty.yaml", "");
  EXPECT_THAT(refusal(ErrorCode::parse_error, [&] { load_profile(path / "empty.yaml"); }), HasSubstr("map of fields"));
}

TEST_F(Folder, LoadsRulesOfAllFilesByName) {
  write("b.yaml", "- {id: two, kind: warn, when: x, because: y, sources: [s]}\n");
  write("a.yaml",
        "# first\n- id: one\n  kind: forbid\n  when: a and b\n  because: z\n  sources: [s, t]\n  code: memory\n");
  write("README.md", "not rules");
  const std::vector<RuleSource> rules = load_rules(path);
  ASSERT_EQ(rules.size(), 2u);
  EXPECT_EQ(rules[0].id, "one");
  EXPECT_EQ(rules[0].applies_to, "variant");
  EXPECT_EQ(rules[0].code, "memory");
  EXPECT_THAT(rules[0].sources, testing::ElementsAre("s", "t"));
  EXPECT_EQ(rules[0].place("when").line, 4);
  EXPECT_EQ(rules[0].place("when").column, 9);
  EXPECT_EQ(rules[0].where.file, (path / "a.yaml").string());
  EXPECT_EQ(rules[1].id, "two");
}

TEST_F(Folder, NoRulesAtAll) {
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { load_rules(path); }), HasSubstr("no rules"));
  EXPECT_THAT(refusal(ErrorCode::not_found, [&] { load_rules(path / "x"); }), HasSubstr("no such file"));
}

std::string rules_refusal(const std::string& text) {
  return refusal(ErrorCode::parse_error, [&] { parse_rules(text, "r.yaml"); });
}

TEST(RulesYaml, KeysAreClosed) {
  EXPECT_THAT(rules_refusal("- id: a\n  knd: forbid\n"),
              StartsWith("r.yaml:2:3: rule \"a\": unknown key \"knd\"; did you mean \"kind\"?"));
  EXPECT_THAT(rules_refusal("- kind: forbid\n"), HasSubstr("needs an id"));
  EXPECT_THAT(rules_refusal("id: a\n"), HasSubstr("list of rules"));
  EXPECT_THAT(rules_refusal("- a\n"), HasSubstr("must be a map"));
  EXPECT_THAT(rules_refusal("- id: a\n  sources: s\n"), HasSubstr("must be a list"));
  EXPECT_THAT(rules_refusal("- id: a\n  sources: [[s]]\n"), HasSubstr("must hold texts"));
  EXPECT_THAT(rules_refusal("- id: [a]\n"), HasSubstr("must be a text"));
  EXPECT_TRUE(parse_rules("# nothing\n").empty());
}

TEST(RecipeYaml, ReadsBackWhatIsWritten) {
  Recipe recipe;
  recipe.steps = {
      {"rtn", "W4A16-g128", {"Linear"}, {"lm_head", "re:.*\"odd\\name\": \t#"}, {{"clip", "mse"}, {"on", "true"}}},
      {"none", "", {}, {}, {}}};
  recipe.formats = {{"compressed-tensors", ""}, {"gguf", "Q4_0"}};
  const Recipe again = parse_recipe(recipe_to_yaml(recipe));
  EXPECT_EQ(recipe_to_yaml(again), recipe_to_yaml(recipe));
  ASSERT_EQ(again.steps.size(), 2u);
  EXPECT_EQ(again.steps[0].ignore, recipe.steps[0].ignore);
  EXPECT_EQ(again.steps[0].params, recipe.steps[0].params);
  EXPECT_EQ(again.formats[1].type, "Q4_0");
  EXPECT_EQ(recipe_to_yaml(parse_recipe(recipe_to_yaml(Recipe()))), recipe_to_yaml(Recipe()));
}

TEST(RecipeYaml, ShortFormats) {
  const Recipe recipe =
      parse_recipe("steps:\n- {technique: rtn, scheme: W8A16-channel}\nformats: [compressed-tensors, \"gguf:Q8_0\"]\n");
  ASSERT_EQ(recipe.formats.size(), 2u);
  EXPECT_EQ(recipe.formats[1].type, "Q8_0");
  EXPECT_THAT(recipe.steps[0].ignore, testing::ElementsAre("lm_head"));
}

TEST(RecipeYaml, TypesOfTensorsAndPlaces) {
  const Recipe recipe = parse_recipe(
      "steps:\n- technique: rtn\n  scheme: W4A16\n  targets: [Linear,\n    \"re:.*down_proj\"]\nformats:\n- id: gguf\n"
      "  type: Q4_K_M\n  split_max_size: 2GiB\n  tensor_types:\n  - {targets: [\"re:.*v_proj\", lm_head], type: "
      "Q6_K}\n",
      "r.yaml");
  const RecipePlaces& places = recipe.steps[0].places;
  EXPECT_EQ(places.of("scheme").line, 3);
  EXPECT_EQ(places.of("targets.1").line, 5);
  EXPECT_EQ(places.of("targets.1").column, 5);
  EXPECT_EQ(places.of("params").line, 2) << "the entry stands for what is not there";
  ASSERT_EQ(recipe.formats[0].tensor_types.size(), 1u);
  EXPECT_THAT(recipe.formats[0].tensor_types[0].targets, testing::ElementsAre("re:.*v_proj", "lm_head"));
  const std::string yaml = recipe_to_yaml(recipe);
  EXPECT_EQ(recipe_to_yaml(parse_recipe(yaml)), yaml);
  EXPECT_THAT(yaml, HasSubstr("type: Q6_K"));
  EXPECT_EQ(recipe.formats[0].split_max_size, std::int64_t{2} << 30);
  EXPECT_EQ(parse_recipe(yaml).formats[0].split_max_size, std::int64_t{2} << 30);
}

TEST(RecipeYaml, BudgetAndCache) {
  const std::string text =
      "steps: [{technique: gptq}]\nformats: [compressed-tensors]\nkv_cache: fp8\n"
      "budget: {bits_per_weight: 4.75, candidates: [W4A16-g128, W8A16-g128]}\n";
  const Recipe recipe = parse_recipe(text, "r.yaml");
  ASSERT_TRUE(recipe.budget.has_value());
  EXPECT_EQ(recipe.budget->bits_per_weight, 4.75);
  EXPECT_EQ(recipe.budget->places.of("candidates.1").line, 4);
  EXPECT_EQ(recipe.kv_cache, "fp8");
  const Recipe again = parse_recipe(recipe_to_yaml(recipe));
  EXPECT_EQ(recipe_to_yaml(again), recipe_to_yaml(recipe));
  EXPECT_EQ(again.budget->candidates, recipe.budget->candidates);
  const Recipe sized = parse_recipe("steps: []\nformats: []\nbudget: {size: 4GiB}\n");
  EXPECT_EQ(sized.budget->size, std::int64_t{4} << 30);
  EXPECT_EQ(parse_recipe(recipe_to_yaml(sized)).budget->size, std::int64_t{4} << 30);
}

TEST(RecipeYamlRefuses, WhatIsNotARecipe) {
  const auto why = [](const std::string& text, ErrorCode code = ErrorCode::parse_error) {
    return refusal(code, [&] { parse_recipe(text, "r.yaml"); });
  };
  EXPECT_THAT(why("steps: []\n"), HasSubstr("list of formats"));
  EXPECT_THAT(why("steps: 3\nformats: []\n"), HasSubstr("r.yaml:1:8"));
  EXPECT_THAT(why("stpes: []\nformats: []\n"), HasSubstr("\"steps\""));
  EXPECT_THAT(why("steps: [{scheme: W4A16}]\nformats: []\n"), HasSubstr("needs a technique"));
  EXPECT_THAT(why("steps: [{technique: rtn, params: 3}]\nformats: []\n"), HasSubstr("map of names"));
  EXPECT_THAT(why("steps: [{technique: rtn, params: {a: [1]}}]\nformats: []\n"), HasSubstr("single values"));
  EXPECT_THAT(why("steps: []\nformats: [{type: Q8_0}]\n"), HasSubstr("needs an id"));
  EXPECT_THAT(why("steps: []\nformats: [\"gguf:\"]\n", ErrorCode::invalid_argument), HasSubstr("r.yaml:2:11"));
  EXPECT_THAT(why("steps: []\nformats: [{id: gguf, tensor_types: 3}]\n"), HasSubstr("r.yaml:2:36"));
  EXPECT_THAT(why("steps: []\nformats: [{id: gguf, split_max_size: 0}]\n"), HasSubstr("more than 0"));
  EXPECT_THAT(why("steps: []\nformats: [{id: gguf, tensor_types: [{type: Q6_K}]}]\n"), HasSubstr("needs targets"));
  for (const char* budget : {"{}", "{size: 4GiB, bits_per_weight: 4}"})
    EXPECT_THAT(why(std::string("steps: []\nformats: []\nbudget: ") + budget + "\n"), HasSubstr("r.yaml:3:9"));
  EXPECT_THAT(why("steps: []\nformats: []\nbudget: {size: -3}\n"), HasSubstr("more than 0"));
  EXPECT_THAT(why("steps: []\nformats: []\nbudget: {size: 4s}\n", ErrorCode::invalid_argument),
              HasSubstr("r.yaml:3:16"));
  EXPECT_THAT(why("schema: advisor.recipe/2\nsteps: []\nformats: []\n", ErrorCode::unsupported),
              HasSubstr("advisor.recipe/1"));
}

}  // namespace
}  // namespace advisor
