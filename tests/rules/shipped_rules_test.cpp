// Each rule of rules/*.yaml fires in one situation here and stays silent in the ordinary one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "io/yaml.h"
#include "rules/rule_set.h"
#include "rules/situation.h"

namespace advisor {
namespace {

const std::vector<RuleSource>& sources() {
  static const std::vector<RuleSource> rules = load_rules(ADVISOR_SOURCE_DIR "/rules");
  return rules;
}

const RuleSet& shipped() {
  static const RuleSet rules = RuleSet::compile(sources());
  return rules;
}

std::set<std::string> fired(const FactSheet& facts) {
  const Findings findings = shipped().apply(facts);
  std::set<std::string> ids;
  for (const Finding& finding : findings.forbids) ids.insert(finding.rule);
  for (const Finding& finding : findings.warns) ids.insert(finding.rule);
  return ids;
}

using Change = std::function<FactSheet()>;

FactSheet with(const std::function<void(Situation&)>& change) {
  Situation situation;
  change(situation);
  return situation.facts();
}

FactSheet with_fact(
    const std::string& path, Value value, const std::function<void(Situation&)>& change = [](auto&) {}) {
  FactSheet facts = with(change);
  facts.set(path, std::move(value));
  return facts;
}

/// Rule id -> a situation in which it fires.
const std::map<std::string, Change>& cases() {
  static const std::map<std::string, Change> all{
      {"memory-does-not-fit", [] { return with_fact("memory.total", 73e9); }},
      {"memory-tight", [] { return with_fact("memory.total", 70e9); }},
      {"context-beyond-model", [] { return with([](Situation& s) { s.profile.workload.context = 200000; }); }},
      {"modality-in-missing", [] { return with([](Situation& s) {
                                     s.profile.modality.in = {"text", "image"};
                                   }); }},
      {"modality-out-missing", [] { return with([](Situation& s) { s.profile.modality.out = {"audio"}; }); }},
      {"fp8-without-fp8-units",
       [] {
         FactSheet facts = with([](Situation& s) {
           s.variant.scheme = "W8A8-fp8";
           s.hardware.device.generation = "Ampere";
           s.hardware.device.fp8.reset();
         });
         facts.clear("engine.supports_format");
         return facts;
       }},
      {"fp8-converted-on-use",
       [] {
         return with_fact("engine.supports_format", "emulated", [](Situation& s) {
           s.variant.scheme = "W8A8-fp8";
           s.hardware.device.fp8 = 0;
         });
       }},
      {"fp4-without-fp4-units",
       [] { return with_fact("engine.supports_format", "no", [](Situation& s) { s.variant.scheme = "W4A4-nvfp4"; }); }},
      {"int8-without-int8-units",
       [] {
         return with([](Situation& s) {
           s.variant.scheme = "W8A8-int8";
           s.hardware.device.int8 = 0;
         });
       }},
      {"sparse-2-4-without-hardware",
       [] {
         return with([](Situation& s) {
           s.variant.pattern = "2:4";
           s.variant.sparsity = 0.5;
           s.hardware.device.sparse_2_4 = false;
         });
       }},
      {"w4a16-at-high-concurrency",
       [] {
         return with([](Situation& s) {
           s.variant.scheme = "W4A16-g128";
           s.profile.workload.concurrency = 16;
         });
       }},
      {"engine-cannot-load", [] { return with_fact("engine.supports_format", "no"); }},
      {"engine-emulates", [] { return with_fact("engine.supports_format", "emulated"); }},
      {"engine-not-wanted", [] { return with([](Situation& s) { s.profile.engine = "sglang"; }); }},
      {"llama-cpp-reads-gguf-only", [] { return with([](Situation& s) { s.variant.engine = "llama.cpp"; }); }},
      {"vllm-dropped-2-4", [] { return with([](Situation& s) { s.variant.pattern = "2:4"; }); }},
      {"tensorrt-llm-w4a16-on-blackwell",
       [] {
         return with([](Situation& s) {
           s.variant.engine = "tensorrt-llm";
           s.variant.scheme = "W4A16-g128";
           s.hardware.device.generation = "Blackwell";
         });
       }},
      {"compression-not-allowed", [] { return with([](Situation& s) { s.profile.allow.compress = false; }); }},
      {"switch-not-allowed",
       [] { return with_fact("plan.action", "switch", [](Situation& s) { s.profile.allow.switch_model = false; }); }},
      {"pruning-not-allowed",
       [] {
         return with([](Situation& s) {
           s.profile.allow.prune = false;
           s.variant.sparsity = 0.1;
         });
       }},
      {"calibration-not-allowed",
       [] {
         return with_fact("technique.needs_calibration", true,
                          [](Situation& s) { s.profile.allow.calibration_data = false; });
       }},
      {"unstructured-sparsity-saves-nothing", [] { return with([](Situation& s) { s.variant.sparsity = 0.1; }); }},
      {"pruning-of-knowledge",
       [] {
         return with([](Situation& s) {
           s.task.knowledge_intensive = true;
           s.variant.sparsity = 0.4;
         });
       }},
      {"pruning-of-instruction-following", [] { return with([](Situation& s) { s.variant.sparsity = 0.25; }); }},
      {"facts-at-four-bits",
       [] {
         return with([](Situation& s) {
           s.task.knowledge_intensive = true;
           s.variant.scheme = "W4A16-g128";
         });
       }},
      {"verify-critical-task",
       [] {
         return with([](Situation& s) {
           s.profile.task.critical = true;
           s.variant.scheme = "Q4_K_M";
         });
       }},
      {"below-four-bits", [] { return with([](Situation& s) { s.variant.scheme = "Q3_K_M"; }); }},
      {"critical-without-limit", [] { return with([](Situation& s) { s.profile.task.critical = true; }); }},
      {"licence-not-listed", [] { return with([](Situation& s) { s.profile.licence = {"mit"}; }); }},
      {"licence-unknown",
       [] {
         return with([](Situation& s) {
           s.profile.licence = {"mit", "apache-2.0"};
           s.model.licence.clear();
         });
       }},
      {"licence-not-commercial", [] { return with([](Situation& s) { s.model.commercial_use = "no"; }); }},
  };
  return all;
}

TEST(ShippedRules, LoadAndAreAtLeastADozen) { EXPECT_GE(shipped().size(), 12u); }

TEST(ShippedRules, NoneFiresInTheOrdinarySituationAndNoneIsUndecided) {
  const Findings findings = shipped().apply(Situation().facts());
  EXPECT_THAT(fired(Situation().facts()), testing::IsEmpty());
  for (const Undecided& undecided : findings.unknowns)
    ADD_FAILURE() << undecided.gap().subject << ": " << undecided.gap().needs;
}

TEST(ShippedRules, EachFiresInItsCase) {
  for (const auto& [id, change] : cases()) EXPECT_EQ(fired(change()).count(id), 1u) << id;
}

TEST(ShippedRules, EachHasACase) {
  for (const RuleSource& rule : sources()) {
    if (rule.kind != "derive") {
      EXPECT_EQ(cases().count(rule.id), 1u) << "add a case for rule " << rule.id;
    }
  }
  EXPECT_EQ(cases().size(), static_cast<std::size_t>(std::count_if(sources().begin(), sources().end(),
                                                                   [](const auto& r) { return r.kind != "derive"; })));
}

TEST(ShippedRules, ReasonsAreFilledIn) {
  for (const auto& [id, change] : cases()) {
    const Findings findings = shipped().apply(change());
    for (const auto* list : {&findings.forbids, &findings.warns}) {
      for (const Finding& finding : *list) {
        EXPECT_THAT(finding.reason, testing::Not(testing::HasSubstr("{"))) << id;
        EXPECT_THAT(finding.reason, testing::Not(testing::HasSubstr("unknown"))) << id;
        EXPECT_THAT(finding.sources, testing::Not(testing::IsEmpty())) << id;
      }
    }
  }
}

TEST(ShippedRules, ReasonNamesTheFigures) {
  const Findings findings = shipped().apply(cases().at("memory-does-not-fit")());
  ASSERT_EQ(findings.forbids.size(), 1u);
  EXPECT_EQ(findings.forbids[0].code, "memory");
  EXPECT_THAT(findings.forbids[0].reason, testing::HasSubstr("Needs 67.99 GiB"));
  EXPECT_THAT(findings.forbids[0].reason, testing::HasSubstr("1 x Acme GPU leaves 67.06 GiB"));
}

TEST(ShippedRules, PublishedRetrainedPruningIsNotForbidden) {
  FactSheet facts = cases().at("pruning-of-knowledge")();
  facts.set("plan.retrained", Value(true));
  EXPECT_EQ(fired(facts).count("pruning-of-knowledge"), 0u);
}

TEST(ShippedRules, UnknownHardwareLeavesRulesUndecidedRatherThanSilent) {
  Situation situation;
  situation.variant.scheme = "W8A8-fp8";
  situation.hardware.device.generation.clear();
  situation.hardware.device.fp8.reset();
  FactSheet facts = situation.facts();
  facts.clear("engine.supports_format");
  const Findings findings = shipped().apply(facts);
  std::map<std::string, std::vector<std::string>> missing;
  for (const Undecided& undecided : findings.unknowns) missing[undecided.rule] = undecided.missing;
  ASSERT_EQ(missing.count("fp8-without-fp8-units"), 1u);
  EXPECT_THAT(missing["fp8-without-fp8-units"], testing::Contains("hardware.fp8_rate"));
  EXPECT_EQ(missing.count("engine-cannot-load"), 1u);
}

TEST(ShippedRules, UnknownLicenceIsAllowedOnlyWithoutAList) {
  Situation situation;
  situation.model.licence.clear();
  EXPECT_EQ(fired(situation.facts()).count("licence-unknown"), 0u);
  situation.profile.licence = {"apache-2.0"};
  EXPECT_EQ(fired(situation.facts()).count("licence-unknown"), 1u);
}

}  // namespace
}  // namespace advisor
