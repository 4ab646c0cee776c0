#include "core/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  answer.knowledge_digest = "abc";
  answer.knowledge_rules = 20;
  answer.knowledge_measurements = 7000;
  return answer;
}

TEST(Json, RecommendationGolden) {
  const std::string expected = R"({
  "schema": "advisor.recommendation/1",
  "outcome": "recommended",
  "verdict": "switch",
  "profile": {
    "model": "a/b",
    "hardware": {
      "memory": "24 GiB"
    }
  },
  "hardware": {
    "id": null,
    "name": null,
    "vendor": null,
    "kind": null,
    "generation": null,
    "compute_capability": null,
    "count": 1,
    "memory": 24000000000.0,
    "bandwidth": null,
    "fp32": null,
    "fp16": null,
    "bf16": null,
    "fp8": null,
    "int8": null,
    "fp4": null,
    "int4": null,
    "sparse_2_4": null,
    "unified_memory": false,
    "interconnect": null,
    "source": null
  },
  "defaults": {
    "confidence": "0.9",
    "workload.context": "4096"
  },
  "options": [
    {
      "rank": 1,
      "action": "switch",
      "model": "c/d",
      "technique": "rtn",
      "scheme": "W4A16-g128",
      "sparsity": 0.0,
      "pattern": null,
      "kv": "fp16",
      "format": "compressed-tensors",
      "engine": "vllm",
      "published_checkpoint": null,
      "estimates": {
        "quality": {
          "task": "mmlu",
          "mean": 0.7,
          "low": 0.68,
          "high": 0.72,
          "level": 0.9,
          "probability": 0.93,
          "basis": "transferred",
          "n": 14,
          "sources": [
            "s1"
          ]
        },
        "memory": {
          "bytes": 20000000000.0,
          "weights": 16000000000.0,
          "kv_cache": 3000000000.0,
          "overhead": 1000000000.0,
          "available": 24000000000.0,
          "basis": "geometry",
          "context": 4096,
          "concurrency": 1,
          "activations": 0.0,
          "assumed": null,
          "sources": []
        },
        "decode_tokens_per_second": {
          "mean": 100.0,
          "low": 92.0,
          "high": 108.0,
          "level": 0.9,
          "basis": "modelled",
          "n": 0,
          "sources": []
        },
        "ttft_seconds": {},
        "usd_per_hour": {},
        "usd_per_million_tokens": {}
      },
      "steps": [
        "quantize"
      ],
      "recipe": "schema: advisor.recipe/1\nsteps:\n  - technique: rtn\n    scheme: W4A16-g128\n    targets: [Linear]\n    ignore: [lm_head]\nformats:\n  - id: compressed-tensors\n",
      "launch": {
        "vllm": "vllm serve out"
      },
      "decided_by": "quality",
      "evidence": [
        {
          "kind": "rule",
          "id": "r",
          "text": "because",
          "sources": [
            "u"
          ]
        }
      ],
      "warnings": [
        "careful"
      ]
    }
  ],
  "rejections": [
    {
      "action": "keep",
      "model": "a/b",
      "scheme": "W16A16",
      "engine": "vllm",
      "format": "safetensors",
      "code": "memory",
      "rule": "memory-does-not-fit",
      "because": "too big"
    }
  ],
  "counterfactuals": [
    {
      "change": {
        "field": "workload.context",
        "from": 8192,
        "to": 6144
      },
      "then": {
        "verdict": "compress"
      }
    },
    {
      "change": {
        "field": "hardware.memory",
        "from": "24 GiB",
        "to": "32 GiB"
      },
      "then": {
        "verdict": "keep"
      }
    }
  ],
  "gaps": [
    {
      "subject": "quality of x",
      "needs": "a measurement"
    }
  ],
  "knowledge": {
    "digest": "abc",
    "rules": 20,
    "measurements": 7000
  }
})";
  EXPECT_EQ(to_json(example()), expected);
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
  EXPECT_THAT(refusal(ErrorCode::unsupported, R"({"tasks": []})"), HasSubstr("not supported yet"));
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
