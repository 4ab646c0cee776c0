// The rule book: each rule of rules/*.yaml has in shipped_cases.yaml a situation in which it fires and, next to it, one
// in which it is silent; and what holds for all of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "core/document.h"
#include "core/units.h"
#include "io/yaml.h"
#include "rules/rule_set.h"
#include "rules/situation.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

const std::vector<RuleSource>& sources() {
  static const std::vector<RuleSource> rules = load_rules(ADVISOR_SOURCE_DIR "/rules");
  return rules;
}

const RuleSet& shipped() {
  static const RuleSet rules = RuleSet::compile(sources());
  return rules;
}

std::set<std::string> ids(const std::vector<Finding>& findings) {
  std::set<std::string> ids;
  for (const Finding& finding : findings) ids.insert(finding.rule);
  return ids;
}

std::set<std::string> fired(const FactSheet& facts) {
  const Findings findings = shipped().apply(facts);
  std::set<std::string> all = ids(findings.forbids);
  all.merge(ids(findings.warns));
  return all;
}

/// What the situation of situation.h leaves open.
Situation ordinary() {
  Situation situation;
  situation.model.released = "2023-07";
  situation.model.layers = 32;  // and no experts: dense
  situation.model.qat = "no";
  return situation;
}

using Changes = std::map<std::string, Document>;

/// Fields of Variant are set there, so that all that follows from them does too.
bool change_variant(Variant& variant, const std::string& path, const std::string& text) {
  const std::map<std::string, std::string Variant::*> texts{
      {"variant.technique", &Variant::technique}, {"variant.scheme", &Variant::scheme},
      {"variant.pattern", &Variant::pattern},     {"variant.kv", &Variant::kv},
      {"variant.format", &Variant::format},       {"variant.engine", &Variant::engine}};
  if (path == "variant.sparsity") return variant.sparsity = parse_quantity(text).value, true;
  const auto found = texts.find(path);
  if (found != texts.end()) variant.*found->second = text;
  return found != texts.end();
}

Value value_of(const Document& document, const Symbol& symbol) {
  if (symbol.type.kind == TypeKind::boolean) {
    EXPECT_TRUE(document.text == "true" || document.text == "false") << symbol.path << ": " << document.text;
    return Value(document.text == "true");
  }
  if (symbol.type.kind == TypeKind::number) {
    const Quantity quantity = parse_quantity(document.text);
    EXPECT_TRUE(quantity.dimension == symbol.type.dimension || quantity.value == 0) << symbol.path;
    return Value(quantity.value);
  }
  if (symbol.type.kind == TypeKind::text) return Value(document.text);
  std::vector<std::string> words;
  for (const Document& item : document.items) words.push_back(item.text);
  return Value(words);
}

FactSheet sheet(const Changes& changes) {
  Situation situation = ordinary();
  Changes direct;
  for (const auto& [path, value] : changes) {
    if (!change_variant(situation.variant, path, value.text)) direct.emplace(path, value);
  }
  FactSheet facts = situation.facts();
  for (const auto& [path, value] : direct) {
    const Symbol* symbol = vocabulary().find(path);
    if (symbol == nullptr) {
      ADD_FAILURE() << "no such fact: " << path;
    } else if (value.text == "unknown") {
      facts.clear(path);
    } else {
      facts.set(path, value_of(value, *symbol));
    }
  }
  return facts;
}

struct Case {
  std::string rule;
  Changes fires, silent;  ///< silent: with those of fires
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = [] {
    const std::string file = ADVISOR_SOURCE_DIR "/tests/rules/shipped_cases.yaml";
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    std::vector<Case> cases;
    for (const Document& item : parse_yaml(text.str(), file).items) {
      Case one;
      for (const auto& [key, where, value] : item.members) {
        if (key == "rule") one.rule = value.text;
        for (const auto& member : value.members) (key == "fires" ? one.fires : one.silent)[member.key] = member.value;
      }
      EXPECT_FALSE(one.fires.empty() || one.silent.empty()) << one.rule << " needs `fires` and `silent`";
      for (const auto& [path, value] : one.fires) one.silent.emplace(path, value);
      cases.push_back(std::move(one));
    }
    return cases;
  }();
  return all;
}

const Case& find_case(const std::string& rule) {
  return *std::find_if(cases().begin(), cases().end(), [&](const Case& one) { return one.rule == rule; });
}

TEST(ShippedRules, AreAtLeastSixty) { EXPECT_GE(shipped().size(), 60u); }

TEST(ShippedRules, NoneFiresInTheOrdinarySituationAndNoneIsUndecided) {
  const Findings findings = shipped().apply(ordinary().facts());
  EXPECT_THAT(fired(ordinary().facts()), testing::IsEmpty());
  for (const Undecided& undecided : findings.unknowns)
    ADD_FAILURE() << undecided.gap().subject << ": " << undecided.gap().needs;
}

TEST(ShippedRules, EachFiresInItsCaseAndIsSilentNextToIt) {
  for (const Case& one : cases()) {
    EXPECT_EQ(fired(sheet(one.fires)).count(one.rule), 1u) << one.rule << " does not fire";
    const Findings findings = shipped().apply(sheet(one.silent));
    EXPECT_EQ(ids(findings.forbids).count(one.rule) + ids(findings.warns).count(one.rule), 0u) << one.rule << " fires";
    for (const Undecided& undecided : findings.unknowns) EXPECT_NE(undecided.rule, one.rule) << "undecided, not silent";
  }
}

TEST(ShippedRules, EachHasOneCase) {
  std::multiset<std::string> wanted, there;
  for (const RuleSource& rule : sources())
    if (rule.kind != "derive") wanted.insert(rule.id);
  for (const Case& one : cases()) there.insert(one.rule);
  EXPECT_EQ(wanted, there) << "tests/rules/shipped_cases.yaml has one entry for each rule";
}

TEST(ShippedRules, ReasonsAreFilledInAndShort) {
  for (const Case& one : cases()) {
    const Findings findings = shipped().apply(sheet(one.fires));
    for (const auto* list : {&findings.forbids, &findings.warns}) {
      for (const Finding& finding : *list) {
        if (finding.rule != one.rule) continue;
        EXPECT_THAT(finding.reason, testing::Not(testing::HasSubstr("{"))) << one.rule;
        EXPECT_THAT(finding.reason, testing::Not(testing::HasSubstr("unknown"))) << one.rule;
        EXPECT_LE(finding.reason.size(), 420u) << one.rule;
      }
    }
  }
}

/// `profile`; a file of data/; an id of data/sources.csv; an address; a file of a public repository.
bool is_source(const std::string& source, const std::set<std::string>& known) {
  const std::string first = source.substr(0, source.find_first_of(", "));
  if (first == "profile" || first.rfind("https://", 0) == 0 || known.count(first) > 0) return true;
  if (first == "github") return source.find('/') != std::string::npos;
  return first.rfind("data/", 0) == 0 && fs::exists(fs::path(ADVISOR_SOURCE_DIR) / first);
}

TEST(ShippedRules, SourcesExist) {
  std::set<std::string> known;
  std::ifstream in(ADVISOR_SOURCE_DIR "/data/sources.csv");
  for (std::string line; std::getline(in, line);) known.insert(line.substr(0, line.find(',')));
  for (const RuleSource& rule : sources()) {
    for (const std::string& source : rule.sources) EXPECT_TRUE(is_source(source, known)) << rule.id << ": " << source;
  }
}

/// Forbids that fire after a change but not before it.
std::set<std::string> added(const FactSheet& before, const FactSheet& after) {
  const std::set<std::string> was = ids(shipped().apply(before).forbids), is = ids(shipped().apply(after).forbids);
  std::set<std::string> added;
  std::set_difference(is.begin(), is.end(), was.begin(), was.end(), std::inserter(added, added.end()));
  return added;
}

TEST(ShippedRules, MoreMemoryMoreBudgetAndLowerThresholdsForbidNothing) {
  const std::array more{"memory.available",
                        "hardware.memory",
                        "hardware.count",
                        "profile.hardware.memory",
                        "profile.budget.usd_per_hour",
                        "profile.budget.hours_to_compress",
                        "profile.slo.ttft",
                        "profile.slo.tpot"};
  const std::array less{"profile.accuracy.min", "profile.accuracy.retain", "profile.confidence"};
  for (const Case& one : cases()) {
    for (const Changes* changes : {&one.fires, &one.silent}) {
      const FactSheet before = sheet(*changes);
      const auto scaled = [&](const std::string& path, double factor) {
        FactSheet after = sheet(*changes);
        if (const Value* value = before.find(path); value != nullptr)
          after.set(path, Value(std::get<double>(*value) * factor));
        return added(before, after);
      };
      for (const char* path : more) EXPECT_THAT(scaled(path, 3), testing::IsEmpty()) << one.rule << ", more " << path;
      for (const char* path : less) EXPECT_THAT(scaled(path, 0.5), testing::IsEmpty()) << one.rule << ", less " << path;
    }
  }
}

TEST(ShippedRules, ReasonNamesTheFigures) {
  const Findings findings = shipped().apply(sheet(find_case("memory-does-not-fit").fires));
  ASSERT_EQ(findings.forbids.size(), 1u);
  EXPECT_EQ(findings.forbids[0].code, "memory");
  EXPECT_THAT(findings.forbids[0].reason, testing::HasSubstr("Needs 67.99 GiB"));
  EXPECT_THAT(findings.forbids[0].reason, testing::HasSubstr("1 x Acme GPU leaves 67.06 GiB"));
}

TEST(ShippedRules, RetrainedPruningIsNotForbiddenBySparsity) {
  for (const char* rule : {"pruning-of-knowledge", "pruning-of-knowledge-in-recent-models", "pruning-beyond-half",
                           "pruning-tolerance", "structure-removed-from-knowledge", "pruning-for-multi-step-tasks"}) {
    FactSheet facts = sheet(find_case(rule).fires);
    facts.set("plan.retrained", Value(true));
    facts.set("plan.uses_published", Value(true));
    EXPECT_EQ(fired(facts).count(rule), 0u) << rule;
  }
}

TEST(ShippedRules, FactsInThePromptMoveTheLimitOfPruning) {
  FactSheet facts = sheet(find_case("pruning-of-knowledge").fires);
  facts.set("task.in_context", Value(true));
  EXPECT_THAT(ids(shipped().apply(facts).forbids), testing::IsEmpty());
  EXPECT_EQ(fired(facts).count("pruning-relies-on-context"), 1u);
}

TEST(ShippedRules, WhatIsPublishedInFewBitsIsNotCompressed) {
  Situation situation = ordinary();  // as gpt-oss is: MXFP4 weights from the developer
  situation.variant.technique = "none";
  situation.variant.scheme = "W4A16-mxfp4";
  situation.profile.allow.compress = false;
  situation.task.knowledge_intensive = true;
  FactSheet facts = situation.facts();
  facts.set("plan.action", "keep");
  EXPECT_THAT(fired(facts), testing::IsEmpty());
}

TEST(ShippedRules, UnknownHardwareLeavesRulesUndecidedRatherThanSilent) {
  Situation situation = ordinary();
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

}  // namespace
}  // namespace advisor
