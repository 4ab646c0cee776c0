#include "rules/rule_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/error.h"
#include "rules/situation.h"

namespace advisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;

int line = 0;

RuleSource rule_of(const std::string& kind, const std::string& id) {
  RuleSource rule;
  rule.id = id;
  rule.kind = kind;
  rule.applies_to = "variant";
  rule.sources = {"test"};
  rule.where = {"rules.yaml", ++line, 3};
  return rule;
}

RuleSource forbid(const std::string& id, const std::string& when, const std::string& because = "no") {
  RuleSource rule = rule_of("forbid", id);
  rule.when = when;
  rule.because = because;
  rule.places["when"] = {"rules.yaml", line, 9};
  return rule;
}

RuleSource derive(const std::string& id, const std::string& fact, const std::string& value) {
  RuleSource rule = rule_of("derive", id);
  rule.fact = fact;
  rule.value = value;
  rule.places["value"] = {"rules.yaml", line, 10};
  return rule;
}

std::string refusal(const std::vector<RuleSource>& rules) {
  try {
    RuleSet::compile(rules);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::parse_error);
    return error.what();
  }
  return "(no error)";
}

TEST(RuleSet, FiresOnlyOnTrue) {
  const RuleSet rules =
      RuleSet::compile(std::vector{forbid("a", "variant.weight_bits == 8"), forbid("b", "variant.weight_bits == 4"),
                                   forbid("c", "model.experts > 4")});
  const Findings findings = rules.apply(Situation().facts());
  ASSERT_EQ(findings.forbids.size(), 1u);
  EXPECT_EQ(findings.forbids[0].rule, "a");
  ASSERT_EQ(findings.unknowns.size(), 1u);
  EXPECT_EQ(findings.unknowns[0].rule, "c");
  EXPECT_THAT(findings.unknowns[0].missing, testing::ElementsAre("model.experts"));
  EXPECT_EQ(findings.unknowns[0].gap().needs, "model.experts");
}

TEST(RuleSet, TheReasonIsFilledIn) {
  const RuleSet rules = RuleSet::compile(std::vector{
      forbid("a", "memory.total < memory.available", "{memory.total} < {memory.available}, {model.experts}")});
  const Findings findings = rules.apply(Situation().facts());
  ASSERT_EQ(findings.forbids.size(), 1u);
  EXPECT_EQ(findings.forbids[0].reason, "18.63 GiB < 67.06 GiB, unknown");
  const Evidence evidence = findings.forbids[0].evidence();
  EXPECT_EQ(evidence.kind, "rule");
  EXPECT_EQ(evidence.id, "a");
}

TEST(RuleSet, AnOpenLayerDecidesOnlyWhatItStates) {
  const RuleSet rules = RuleSet::compile(std::vector{forbid("a", "plan.retrained and not plan.uses_published"),
                                                     forbid("b", "not known(plan.official_published)"),
                                                     forbid("c", "known(plan.official_published)")});
  FactLayer layer(FactLayerId::candidate);
  layer.set("plan.retrained", Value(false));
  Facts facts;
  facts.use(layer);
  EXPECT_EQ(rules.can_fire(facts).of(FactLayerId::candidate), 0b010u);
  layer.leave_open();
  EXPECT_EQ(rules.can_fire(facts).of(FactLayerId::candidate), 0b110u) << "it may still come";
}

TEST(RuleSet, SaysWhatItsForbidsRead) {
  const RuleSet rules = RuleSet::compile(
      std::vector{forbid("a", "memory.total > memory.available"), forbid("b", "speed.tpot > 1 s and plan.retrained")});
  RuleMask first;
  first.of(FactLayerId::estimate) = 0b01;
  const auto all = rules.reads(FactLayerId::estimate, RuleMask::all());
  const auto of_first = rules.reads(FactLayerId::estimate, first);
  for (const char* path : {"memory.total", "memory.available", "speed.tpot", "speed.ttft", "plan.retrained"}) {
    const auto slot = static_cast<std::size_t>(fact_slot(path));
    const std::string name = path;
    EXPECT_EQ(of_first[slot], name == "memory.total" || name == "memory.available") << path;
    EXPECT_EQ(all[slot], name != "speed.ttft" && name != "plan.retrained") << path;
  }
  EXPECT_EQ(rules.readers(FactLayerId::candidate).of(FactLayerId::estimate), 0b10u);
  EXPECT_FALSE(rules.readers(FactLayerId::query).any());
}

TEST(RuleSet, DerivedFactsFeedOthersInAnyOrder) {
  std::vector rules{forbid("z", "derived.quarter == 5000000000"), derive("q", "derived.quarter", "derived.half / 2"),
                    derive("h", "derived.half", "memory.total / 2 / 1 B")};
  std::mt19937 random(7);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(rules.begin(), rules.end(), random);
    EXPECT_EQ(RuleSet::compile(rules).apply(Situation().facts()).forbids.size(), 1u);
  }
}

TEST(RuleSet, PermutationChangesNothing) {
  std::vector<RuleSource> rules;
  for (int i = 0; i < 12; ++i)
    rules.push_back(forbid("r" + std::to_string(i), i % 2 == 0 ? "variant.is_quantized" : "model.experts > 1"));
  const auto trace = [](const Findings& findings) {
    std::string text;
    for (const Finding& finding : findings.forbids) text += finding.rule + " ";
    for (const Undecided& undecided : findings.unknowns) text += undecided.rule + "? ";
    return text;
  };
  const std::string expected = trace(RuleSet::compile(rules).apply(Situation().facts()));
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(rules.begin(), rules.end(), random);
    EXPECT_EQ(trace(RuleSet::compile(rules).apply(Situation().facts())), expected);
  }
}

TEST(RuleSet, UnknownDerivedFactNamesWhatItIsDerivedFrom) {
  const RuleSet rules =
      RuleSet::compile(std::vector{derive("d", "derived.x", "model.experts * 2"), forbid("f", "derived.x > 3")});
  const Findings findings = rules.apply(Situation().facts());
  ASSERT_EQ(findings.unknowns.size(), 1u);
  EXPECT_THAT(findings.unknowns[0].missing, testing::ElementsAre("model.experts"));
}

TEST(RuleSet, ScopeSelects) {
  RuleSource profile_rule = forbid("p", "profile.confidence > 0.5");
  profile_rule.applies_to = "profile";
  const RuleSet rules = RuleSet::compile(std::vector{profile_rule, forbid("v", "variant.weight_bits == 8")});
  EXPECT_EQ(rules.apply(Situation().facts(), "profile").forbids.size(), 1u);
  EXPECT_EQ(rules.apply(Situation().facts(), "variant").forbids[0].rule, "v");
  EXPECT_EQ(rules.apply(Situation().facts()).forbids.size(), 2u);
  EXPECT_EQ(rules.size(), 2u);
  EXPECT_THAT(rules.ids(), testing::ElementsAre("p", "v"));
}

TEST(RuleSetRefuses, Cycle) {
  const std::string message =
      refusal({derive("a", "derived.a", "derived.b + 1"), derive("b", "derived.b", "derived.c + 1"),
               derive("c", "derived.c", "derived.a + 1"), forbid("f", "derived.a > 1")});
  EXPECT_THAT(message, HasSubstr("derived.a -> derived.b -> derived.c -> derived.a"));
  EXPECT_THAT(message, HasSubstr("rules.yaml:"));
}

TEST(RuleSetRefuses, FactThatReadsItself) {
  EXPECT_THAT(refusal({derive("a", "derived.a", "derived.a + 1"), forbid("f", "derived.a > 1")}),
              HasSubstr("derived.a -> derived.a"));
}

TEST(RuleSetRefuses, TwoWriters) {
  EXPECT_THAT(refusal({derive("a", "derived.a", "1 + memory.total / 1 B"), derive("b", "derived.a", "2"),
                       forbid("f", "derived.a > 1")}),
              AllOf(HasSubstr("rule \"b\""), HasSubstr("rule \"a\"")));
}

TEST(RuleSetRefuses, UnusedFact) { EXPECT_THAT(refusal({derive("a", "derived.a", "2")}), HasSubstr("nothing reads")); }

TEST(RuleSetRefuses, DuplicateId) {
  EXPECT_THAT(refusal({forbid("a", "variant.is_base"), forbid("a", "variant.is_base")}), HasSubstr("used twice"));
}

TEST(RuleSetRefuses, UnknownFactWithPlaceAndSuggestion) {
  RuleSource rule = forbid("a", "variant.is_base and hardware.fp8_rat == 0");
  rule.places["when"] = {"rules.yaml", 12, 9};
  EXPECT_THAT(refusal({rule}), AllOf(HasSubstr("rules.yaml:12:29"), HasSubstr("\"hardware.fp8_rate\"")));
}

TEST(RuleSetRefuses, WrongTypes) {
  EXPECT_THAT(refusal({forbid("a", "memory.total < 1 s")}), HasSubstr("mixes bytes and seconds"));
  EXPECT_THAT(refusal({forbid("a", "memory.total")}), HasSubstr("must be a condition"));
  EXPECT_THAT(refusal({forbid("a", "true")}), HasSubstr("reads no fact"));
}

TEST(RuleSetRefuses, IncompleteOrMixedKeys) {
  const auto changed = [](auto change) {
    RuleSource rule = forbid("a", "variant.is_base");
    change(rule);
    return refusal({rule});
  };
  EXPECT_THAT(changed([](auto& r) { r.id.clear(); }), HasSubstr("needs an id"));
  EXPECT_THAT(changed([](auto& r) { r.because.clear(); }), HasSubstr("`because`"));
  EXPECT_THAT(changed([](auto& r) { r.when.clear(); }), HasSubstr("`when`"));
  EXPECT_THAT(changed([](auto& r) { r.sources.clear(); }), HasSubstr("source"));
  EXPECT_THAT(changed([](auto& r) { r.kind = "forbidden"; }), HasSubstr("\"forbid\""));
  EXPECT_THAT(changed([](auto& r) { r.applies_to = "model"; }), HasSubstr("applies_to"));
  EXPECT_THAT(changed([](auto& r) { r.code = "licens"; }), HasSubstr("\"licence\""));
  EXPECT_THAT(changed([](auto& r) { r.fact = "derived.x"; }), HasSubstr("only a derive rule"));
  EXPECT_THAT(changed([](auto& r) { r.because = "{memory.totl}"; }), HasSubstr("\"memory.total\""));
  EXPECT_THAT(changed([](auto& r) { r.because = "{memory.total"; }), HasSubstr("without \"}\""));
  EXPECT_THAT(changed([](auto& r) { r.applies_to = "profile"; }), HasSubstr("not known yet"));
}

TEST(RuleSetRefuses, BadDerive) {
  RuleSource rule = derive("a", "memory.total", "1 B");
  EXPECT_THAT(refusal({rule}), HasSubstr("derived."));
  rule = derive("a", "derived.a", "1");
  rule.because = "x";
  EXPECT_THAT(refusal({rule}), HasSubstr("no `because`"));
  rule = derive("a", "", "1");
  EXPECT_THAT(refusal({rule}), HasSubstr("`fact`"));
}

}  // namespace
}  // namespace advisor
