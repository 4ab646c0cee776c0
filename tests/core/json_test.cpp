#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <sstream>

#include "core/error.h"
#include "core/fields.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Recommendation example() {
  Recommendation answer;
  answer.outcome = Outcome::recommended;
  answer.verdict = Verdict::switch_model;
  set_field(answer.profile, "model", "a/b");
  set_field(answer.profile, "hardware.memory", "24 GiB");
  answer.hardware.device.memory = 24e9;
  answer.defaults = {{"workload.context", "4096"}, {"confidence", "0.9"}};
  Option option;
  option.rank = 1;
  option.action = "switch";
  option.variant = {"c/d", "rtn", "W4A16-g128", 0, "", "fp16", "compressed-tensors", "vllm"};
  option.memory = {20e9, 16e9, 3e9, 1e9, 24e9, "geometry", 4096, 1};
  option.quality = QualityEstimate{"mmlu", {0.7, 0.01, 0.68, 0.72, 0.9, Basis::transferred, 14, {"s1"}}, {}, 0.93};
  option.decode_tokens_per_second = Estimate{100, 5, 92, 108, 0.9, Basis::modelled, 0, {}};
  option.steps = {"quantize"};
  option.probabilities = {{"memory", 1}, {"accuracy", 0.93}};
  option.route.steps = {
      {"quantize", "quantize", "advisor compress", Estimate{0.5, 0.1, 0.3, 0.7, 0.9, Basis::modelled, 0, {}}, {}, 8e9}};
  option.route.peak_memory = 8e9;
  option.launch_command = "vllm serve out";
  option.recipe = Recipe{{{"rtn", "W4A16-g128", {"Linear"}, {"lm_head"}, {}}}, {{"compressed-tensors", ""}}};
  option.launch = {{"vllm", "vllm serve out"}};
  option.decided_by = "quality";
  option.evidence = {{"rule", "r", "because", {"u"}}};
  option.warnings = {"careful"};
  answer.options = {option};
  answer.rejections = {
      {"keep", "a/b", "W16A16", "vllm", "safetensors", "memory", "memory-does-not-fit", "too big", {}}};
  answer.counterfactuals = {{"workload.context", "8192", "6144", "compress"},
                            {"hardware.memory", "24 GiB", "32 GiB", "keep"}};
  answer.gaps = {{"quality of x", "a measurement"}};
  answer.dominated = {{"c/d@x", {"c/d@y", "c/d@z"}}};
  answer.measure = {{"a/b", "awq", "W4A16-g128", "mmlu", 0.4, "it is near the limit", "advisor evaluate a/b"}};
  answer.assignments = {
      {"chat", 0.6, 1, Estimate{0.8, 0.01, 0.78, 0.82, 0.9, Basis::measured, 2, {"s"}}, 0.95, "fits"}};
  answer.routing = {{"chat", 2, 1, 0.7, {}, {}, "cheaper"}};
  answer.models_considered = 3, answer.variants_considered = 40, answer.variants_feasible = 5;
  answer.knowledge_digest = "abc";
  answer.knowledge_rules = 20;
  answer.knowledge_measurements = 7000;
  return answer;
}

/// The keys that docs and users' scripts rely on, at the place where they rely on them.
TEST(Json, RecommendationKeepsItsPromisedShape) {
  const std::string text = to_json(example(), -1);
  for (
      const char* part : {
          R"({"schema":"advisor.recommendation/1","profile":{"model":"a/b","hardware":{"memory":"24 GiB"}},)"
          R"("outcome":"recommended","verdict":"switch","defaults":{)",
          R"("options":[{"rank":1,"action":"switch","model":"c/d","technique":"rtn","scheme":"W4A16-g128",)"
          R"("sparsity":0.0,"pattern":null,"kv":"fp16","format":"compressed-tensors","engine":"vllm",)"
          R"("published_checkpoint":null,"estimates":{"quality":{"task":"mmlu","mean":0.7,"low":0.68,"high":0.72,)",
          R"("basis":"transferred","n":14,"sources":["s1"],"probability":0.93)",
          R"("memory":{"bytes":20000000000.0,"weights":16000000000.0,"kv_cache":3000000000.0,)"
          R"("overhead":1000000000.0,"available":24000000000.0,)",
          R"("decode_tokens_per_second":{"mean":100.0,"low":92.0,"high":108.0,)",
          R"("ttft_seconds":{},)",
          R"("recipe":"schema: advisor.recipe/1\nsteps:\n  - technique: rtn)",
          R"("rejections":[{"action":"keep","model":"a/b","scheme":"W16A16",)",
          R"("counterfactuals":[{"change":{"field":"workload.context","from":8192,"to":6144},"then":{"verdict":"compress",)",
          R"({"change":{"field":"hardware.memory","from":"24 GiB","to":"32 GiB"},)",
          R"("gaps":[{"subject":"quality of x","needs":"a measurement"}])",
          R"("knowledge":{"digest":"abc","rules":20,"measurements":7000})",
          R"("profile":{"model":"a/b","hardware":{"memory":"24 GiB"}})",
      })
    EXPECT_THAT(text, HasSubstr(part));
}

Recipe parse(std::string_view text, const std::string&) {
  EXPECT_THAT(std::string(text), HasSubstr("technique: rtn"));
  return *example().options[0].recipe;
}

TEST(Json, RecommendationReadsBackToTheSameBytes) {
  const std::string text = to_json(example());
  EXPECT_EQ(to_json(recommendation_from_json(text, parse)), text);
  Recommendation unknown = example();
  unknown.options[0].quality->value.mean = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(to_json(recommendation_from_json(to_json(unknown), parse)), to_json(unknown));
  EXPECT_EQ(to_json(recommendation_from_json(to_json(Recommendation{}))), to_json(Recommendation{}));
}

TEST(Json, RecommendationOfAnEarlierVersionLacksKeys) {
  const auto answer = recommendation_from_json(
      R"({"schema": "advisor.recommendation/1", "outcome": "infeasible", "later": 1, "options": [{"model": "a/b"}]})");
  EXPECT_EQ(answer.outcome, Outcome::infeasible);
  EXPECT_EQ(answer.options.at(0).variant.model, "a/b");
}

std::string refused_recommendation(const std::string& text) {
  try {
    recommendation_from_json(text, nullptr, "r.json");
  } catch (const Error& error) {
    EXPECT_THAT(error.code(), testing::AnyOf(ErrorCode::parse_error, ErrorCode::not_found)) << error.what();
    return error.what();
  }
  return "(no error)";
}

TEST(Json, RecommendationRefusesWhatIsNone) {
  const auto with = [](const std::string& members) {
    return refused_recommendation(R"({"schema": "advisor.recommendation/1", )" + members + "}");
  };
  EXPECT_THAT(refused_recommendation("{}"), AllOf(HasSubstr("r.json"), HasSubstr("this is no recommendation")));
  EXPECT_THAT(refused_recommendation("[1]"), HasSubstr("this is no recommendation"));
  EXPECT_THAT(refused_recommendation("{"), AllOf(HasSubstr("r.json"), HasSubstr("not valid JSON")));
  EXPECT_THAT(with(R"("options": {})"), HasSubstr("options must be a list"));
  EXPECT_THAT(with(R"("options": [{"rank": "first"}])"), HasSubstr("options[0].rank must be a whole number"));
  EXPECT_THAT(with(R"("options": [7])"), HasSubstr("options[0] must be an object"));
  EXPECT_THAT(with(R"("options": [{"estimates": {"memory": {"bytes": "much"}}}])"),
              HasSubstr("options[0].estimates.memory.bytes must be a number"));
  EXPECT_THAT(with(R"("outcome": "perhaps")"), HasSubstr("outcome must be one of recommended, infeasible"));
  EXPECT_THAT(with(R"("gaps": [{"subject": []}])"), HasSubstr("gaps[0].subject must be a text"));
  EXPECT_THAT(with(R"("profile": {"modle": "x"})"), HasSubstr("modle"));
}

TEST(Json, SchemaFileIsWhatIsWritten) {
  const std::string path = std::string(ADVISOR_SOURCE_DIR) + "/data/schema/recommendation-1.json";
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  const std::string made = std::string(ADVISOR_BINARY_DIR) + "/recommendation-1.json";
  std::ofstream(made) << recommendation_schema();
  EXPECT_TRUE(text.str() == recommendation_schema()) << "a member was added? then: cp " << made << " " << path;
}

TEST(Json, NoVerdictIsNull) {
  Recommendation answer;
  answer.outcome = Outcome::infeasible;
  EXPECT_THAT(to_json(answer, -1), HasSubstr(R"("outcome":"infeasible","verdict":null)"));
}

TEST(Json, InvalidUtf8AndInfinityDoNotFail) {
  Recommendation answer = example();
  answer.options[0].decided_by = "\xff";
  answer.options[0].memory.total = 1.0 / 0.0;
  EXPECT_THAT(to_json(answer, -1), HasSubstr("\"bytes\":null"));
}

TEST(Json, HardwareAndModelKeepUnknownAsNull) {
  EXPECT_THAT(to_json(Hardware(), -1), HasSubstr("\"fp8\":null"));
  Model model;
  model.id = "a/b";
  model.params = 8e9;
  EXPECT_THAT(to_json(model, -1), AllOf(HasSubstr("\"params\":8000000000.0"), HasSubstr("\"licence\":null")));
}

TEST(ProfileJson, RoundTrip) {
  Profile profile;
  set_field(profile, "model", "a/b");
  set_field(profile, "hardware.memory", "24 GiB");
  set_field(profile, "hardware.count", "2");
  set_field(profile, "modality.in", "[text, image]");
  set_field(profile, "licence", "[]");
  set_field(profile, "confidence", "0.95");
  set_field(profile, "task.critical", "true");
  set_field(profile, "slo.ttft", "");
  const std::string text = profile_to_json(profile, -1);
  EXPECT_EQ(text, R"({"model":"a/b","hardware":{"count":2,"memory":"24 GiB"},"task":{"critical":true},)"
                  R"("modality":{"in":["text","image"]},"confidence":0.95,"slo":{"ttft":null},"licence":[]})");
  const Profile again = profile_from_json(text);
  EXPECT_EQ(again.given, profile.given);
  EXPECT_EQ(profile_to_json(again, -1), text);
}

TEST(ProfileJson, TasksRoundTrip) {
  const std::string text =
      R"({"model":"m","tasks":[{"task":{"type":"chat"}},{},)"
      R"({"task":{"benchmark":"medqa","critical":true,"in_context":true},"accuracy":{"min":0.8},"share":0.25},)"
      R"({"accuracy":{"retain":0.95}}]})";
  const Profile profile = profile_from_json(text);
  ASSERT_EQ(profile.tasks.size(), 4u);
  EXPECT_EQ(profile.tasks[2].task.benchmark, "medqa");
  EXPECT_TRUE(profile.tasks[2].task.critical && profile.tasks[2].task.in_context);
  EXPECT_EQ(profile.tasks[2].accuracy.min, 0.8);
  EXPECT_EQ(profile.tasks[2].share, 0.25);
  EXPECT_EQ(profile.tasks[3].accuracy.retain, 0.95);
  EXPECT_EQ(profile.tasks[1].share, 1);
  EXPECT_EQ(profile_to_json(profile, -1), text);
  const Profile plain = profile_from_json(R"({"model":"m","tasks":["chat",{"task":"legal"},null]})");
  EXPECT_EQ(profile_to_json(plain, -1),
            R"({"model":"m","tasks":[{"task":{"type":"chat"}},{"task":{"type":"legal"}},{}]})");
  EXPECT_TRUE(profile_from_json(R"({"tasks":null})").tasks.empty());
}

TEST(ProfileJson, ReadsNestedNumbersAndShortHardware) {
  const Profile profile = profile_from_json(
      R"({"schema": "advisor.profile/1", "model": "m", "hardware": "auto", "task": {"type": "chat"}, "slo": {"ttft": 0.4},
          "workload": {"context": 8192}, "allow": {"switch": false}})");
  EXPECT_EQ(profile.hardware.id, "auto");
  EXPECT_EQ(profile.slo.ttft, 0.4);
  EXPECT_EQ(profile.workload.context, 8192);
  EXPECT_FALSE(profile.allow.switch_model);
}

std::string refusal(ErrorCode code, const std::string& text) {
  try {
    profile_from_json(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "(no error)";
}

TEST(ProfileJsonRefuses, WhatTheFieldTableRefuses) {
  EXPECT_THAT(refusal(ErrorCode::not_found, R"({"workload": {"contxt": 1}})"),
              AllOf(HasSubstr("workload.contxt"), HasSubstr("\"context\"")));
  EXPECT_THAT(refusal(ErrorCode::not_found, R"({"context": 1})"), HasSubstr("\"workload.context\""));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"hardware": {"memory": "-1 GiB"}})"),
              HasSubstr("hardware.memory"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"workload": 3})"), HasSubstr("takes a map"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"model": {"id": "x"}})"), HasSubstr("not a map"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"licence": [["a"]]})"), HasSubstr("must be words"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"tasks": {"task": "chat"}})"), HasSubstr("takes a list"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"tasks": [["chat"]]})"),
              HasSubstr("tasks.0: takes a task type"));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"tasks": ["chat", "chatt"]})"),
              AllOf(HasSubstr("tasks.1.task.type"), HasSubstr("\"chat\"")));
  EXPECT_THAT(refusal(ErrorCode::not_found, R"({"tasks": [{"task": "chat", "shar": 2}]})"),
              AllOf(HasSubstr("tasks.0.shar"), HasSubstr("\"share\"")));
  EXPECT_THAT(refusal(ErrorCode::not_found, R"({"tasks": [{"accuracy": {"mn": 2}}]})"),
              AllOf(HasSubstr("tasks.0.accuracy.mn"), HasSubstr("\"min\"")));
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, R"({"tasks": [{"accuracy": 2}]})"), HasSubstr("takes a map of min"));
  EXPECT_THAT(refusal(ErrorCode::not_found, R"({"tasks": [{"task": "chat", "schema": "advisor.profile/1"}]})"),
              HasSubstr("tasks.0.schema"));
  std::string many = "\"chat\"";
  for (std::size_t i = 0; i < max_tasks; ++i) many += ", \"chat\"";
  EXPECT_THAT(refusal(ErrorCode::invalid_argument, "{\"tasks\": [" + many + "]}"), HasSubstr("at most 8"));
  EXPECT_THAT(refusal(ErrorCode::unsupported, R"({"schema": "advisor.profile/2"})"), HasSubstr("schema"));
}

TEST(ProfileJsonRefuses, BrokenJson) {
  EXPECT_THAT(refusal(ErrorCode::parse_error, ""), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, "{\n  \"model\": }"), HasSubstr("line 2, column"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, R"({"model": "a", "model": "b"})"), HasSubstr("given twice"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, "[]"), HasSubstr("map of fields"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, std::string(100000, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, std::string((16 << 20) + 1, ' ')), HasSubstr("16 MiB"));
  EXPECT_THAT(refusal(ErrorCode::parse_error, R"({"slo": {"ttft": 1e999}})"), HasSubstr("not valid JSON"));
}

}  // namespace
}  // namespace advisor
