// Properties of random rules over random facts: the quick question and the words agree, order changes nothing, and what
// is not known never decides.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>

#include "io/yaml.h"
#include "rules/rule_set.h"
#include "rules/situation.h"

namespace advisor {
namespace {

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<unsigned>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  template <typename T>
  const T& of(const std::vector<T>& items) {
    return items[static_cast<std::size_t>(below(static_cast<int>(items.size())))];
  }
  std::mt19937& engine() { return engine_; }

 private:
  std::mt19937 engine_;
};

const std::vector<std::string> words{"vllm", "chat", "yes"};
const std::vector<std::string> codes{"modality", "licence", "engine", "rule", "quality", "memory", "budget", "latency"};

/// A condition of this depth about any fact, derived ones too.
std::string condition(Random& random, int depth, const std::vector<std::string>& derived) {
  if (depth > 0 && random.chance(70)) {
    const std::string left = condition(random, depth - 1, derived), right = condition(random, depth - 1, derived);
    if (random.chance(20)) return "not (" + left + ")";
    return "(" + left + (random.chance(50) ? " and " : " or ") + right + ")";
  }
  if (!derived.empty() && random.chance(25)) return random.of(derived) + " > " + std::to_string(random.below(3));
  const Symbol& symbol = vocabulary().at(random.below(static_cast<int>(vocabulary().size())));
  if (random.chance(10)) return "known(" + symbol.path + ")";
  switch (symbol.type.kind) {
    case TypeKind::boolean: return symbol.path;
    case TypeKind::number: return symbol.path + (random.chance(50) ? " > 0" : " == 0");
    case TypeKind::text: return symbol.path + (random.chance(50) ? " == \"" : " != \"") + random.of(words) + "\"";
    case TypeKind::set: return "\"" + random.of(words) + "\" in " + symbol.path;
  }
  return "";
}

std::vector<RuleSource> random_rules(Random& random) {
  std::vector<RuleSource> rules;
  std::vector<std::string> derived;
  for (int i = 0; i < 3; ++i) {
    RuleSource rule;
    rule.id = "derive-" + std::to_string(i);
    rule.kind = "derive";
    rule.applies_to = "variant";
    rule.fact = "derived.x" + std::to_string(i);
    rule.value = "abs(model.layers - " + std::to_string(i) + ")" + (derived.empty() ? "" : " + " + derived.back());
    if (i == 1) rule.value += " + memory.total / 1 B";
    rule.sources = {"test"};
    derived.push_back(rule.fact);
    rules.push_back(rule);
  }
  for (int i = 0; i < 25; ++i) {
    RuleSource rule;
    rule.id = "rule-" + std::to_string(i);
    rule.kind = random.chance(80) ? "forbid" : "warn";
    rule.applies_to = random.chance(80) ? "variant" : "step";
    rule.code = random.of(codes);
    rule.when = i == 0 ? derived.back() + " > 1" : condition(random, 3, derived);
    rule.because = "{model.layers} " + std::to_string(i);
    rule.sources = {"test"};
    rules.push_back(rule);
  }
  return rules;
}

/// About half of all facts, with values that random conditions tell apart.
FactSheet random_facts(Random& random) {
  FactSheet facts;
  for (int slot = 0; slot < static_cast<int>(vocabulary().size()); ++slot) {
    if (random.chance(50)) continue;
    const Symbol& symbol = vocabulary().at(slot);
    FactLayer& layer = facts.layer(static_cast<FactLayerId>(symbol.layer));
    switch (symbol.type.kind) {
      case TypeKind::boolean: layer.set(slot, Value(random.chance(50))); break;
      case TypeKind::number: layer.set(slot, Value(static_cast<double>(random.below(3)))); break;
      case TypeKind::text: layer.set(slot, Value(random.of(words))); break;
      case TypeKind::set: layer.set(slot, Value(std::vector<std::string>{random.of(words)})); break;
    }
  }
  return facts;
}

std::string text_of(const Findings& findings) {
  std::string text;
  for (const auto* list : {&findings.forbids, &findings.warns}) {
    for (const Finding& finding : *list) {
      text += finding.kind + ' ' + finding.rule + ' ' + finding.code + ' ' + finding.reason;
      text += '\n';
    }
  }
  for (const Undecided& undecided : findings.unknowns) text += undecided.rule + "? " + undecided.gap().needs + '\n';
  return text;
}

constexpr std::array all_layers{FactLayerId::query, FactLayerId::model, FactLayerId::treatment, FactLayerId::candidate,
                                FactLayerId::estimate};

TEST(FastPath, AgreesWithTheWords) {
  Random random(3);
  int fired = 0;
  for (int set = 0; set < 30; ++set) {
    const RuleSet rules = RuleSet::compile(random_rules(random));
    std::map<std::string, std::string> layer_of;
    for (const RuleInfo& info : rules.describe()) layer_of[info.source.id] = info.layer;
    for (int i = 0; i < 30; ++i) {
      const FactSheet sheet = random_facts(random);
      for (const std::string scope : {"variant", "step"}) {
        const Findings findings = rules.apply(sheet, scope);
        for (const FactLayerId layer : all_layers) {
          Findings of_layer;
          for (const Finding& finding : findings.forbids) {
            if (layer_of.at(finding.rule) == name(layer)) of_layer.forbids.push_back(finding);
          }
          const RuleSource* rule = rules.forbidden(sheet.facts(), layer, scope);
          ASSERT_EQ(rule == nullptr ? "" : rule->id, of_layer.forbids.empty() ? "" : of_layer.decisive()->rule);
          fired += rule != nullptr;
        }
      }
    }
  }
  EXPECT_GT(fired, 1000);
}

/// Rules that cannot fire any more by what is known of the model or of the treatment need not be asked of the pair.
TEST(FastPath, MasksChangeNoAnswer) {
  Random random(10);
  int closed = 0;
  for (int set = 0; set < 40; ++set) {
    std::vector<RuleSource> sources = random_rules(random);
    for (int i = 0; i < 80 && set % 4 == 0; ++i) {  // more than a mask has bits
      sources.push_back(sources.back());
      sources.back().id = "more-" + std::to_string(i);
      sources.back().when = condition(random, 3, {});
    }
    const RuleSet rules = RuleSet::compile(sources);
    for (int i = 0; i < 10; ++i) {
      FactSheet sheet = random_facts(random);
      Facts with_model, with_treatment;
      for (Facts* facts : {&with_model, &with_treatment}) facts->use(sheet.layer(FactLayerId::query));
      with_model.use(sheet.layer(FactLayerId::model));
      with_treatment.use(sheet.layer(FactLayerId::treatment));
      const RuleMask open = rules.can_fire(with_model) & rules.can_fire(with_treatment);
      for (const FactLayerId layer : all_layers) {
        EXPECT_EQ(rules.forbidden(sheet, layer, open), rules.forbidden(sheet, layer)) << name(layer);
      }
      closed += open.bits != rules.can_fire(Facts()).bits;
    }
  }
  EXPECT_GT(closed, 300);
}

TEST(FastPath, KnownIsUndecidedBeforeItsLayer) {
  const RuleSet rules = RuleSet::compile(parse_rules(
      "- {id: a, kind: forbid, when: known(memory.total) and model.layers > 4, because: no, sources: [profile]}\n"
      "- {id: b, kind: forbid, when: known(derived.x) and model.layers > 4, because: no, sources: [profile]}\n"
      "- {id: x, kind: derive, fact: derived.x, value: memory.total / 2, sources: [profile]}\n"));
  constexpr auto estimate = static_cast<std::size_t>(FactLayerId::estimate);
  Model model;
  model.layers = 8;
  const FactLayer large = model_facts(model);
  Facts facts;
  facts.use(large);
  EXPECT_EQ(rules.can_fire(facts).bits[estimate], 3u);
  const FactLayer nothing(FactLayerId::estimate);
  facts.use(nothing);
  EXPECT_EQ(rules.can_fire(facts).bits[estimate], 0u) << "now it is known not to be known";
}

/// A decision asks models without a treatment and treatments without a model.
TEST(FastPath, ModelsAndTreatmentsAreAskedApart) {
  Random random(9);
  for (int set = 0; set < 30; ++set) {
    const RuleSet rules = RuleSet::compile(random_rules(random));
    FactSheet sheet = random_facts(random);
    const RuleSource* of_model = rules.forbidden(sheet, FactLayerId::model);
    const RuleSource* of_treatment = rules.forbidden(sheet, FactLayerId::treatment);
    FactSheet no_model = sheet, no_treatment = sheet;
    no_model.layer(FactLayerId::model).clear();
    no_treatment.layer(FactLayerId::treatment).clear();
    EXPECT_EQ(rules.forbidden(no_treatment, FactLayerId::model), of_model);
    EXPECT_EQ(rules.forbidden(no_model, FactLayerId::treatment), of_treatment);
  }
}

TEST(FastPath, DoesNotLookAtDeeperLayers) {
  Random random(4);
  for (int set = 0; set < 20; ++set) {
    const RuleSet rules = RuleSet::compile(random_rules(random));
    const FactSheet sheet = random_facts(random);
    FactSheet upper = sheet;
    for (auto layer = all_layers.rbegin(); layer != all_layers.rend(); ++layer) {
      EXPECT_EQ(rules.forbidden(upper, *layer), rules.forbidden(sheet, *layer));
      upper.layer(*layer).clear();
    }
  }
}

TEST(RandomRules, OrderChangesNothing) {
  Random random(5);
  for (int set = 0; set < 20; ++set) {
    std::vector<RuleSource> sources = random_rules(random);
    const FactSheet sheet = random_facts(random);
    const RuleSet rules = RuleSet::compile(sources);
    for (int i = 0; i < 5; ++i) {
      std::shuffle(sources.begin(), sources.end(), random.engine());
      const RuleSet shuffled = RuleSet::compile(sources);
      EXPECT_EQ(text_of(shuffled.apply(sheet)), text_of(rules.apply(sheet)));
      for (const FactLayerId layer : all_layers) {
        const RuleSource* a = rules.forbidden(sheet, layer);
        const RuleSource* b = shuffled.forbidden(sheet, layer);
        EXPECT_EQ(a == nullptr ? "" : a->id, b == nullptr ? "" : b->id);
      }
    }
  }
}

/// What is decided stays decided, and the same way, whatever one more fact turns out to be; only known() may turn.
TEST(RandomRules, UnknownStaysUnknown) {
  Random random(6);
  for (int set = 0; set < 60; ++set) {
    std::vector<RuleSource> sources = random_rules(random);
    std::erase_if(sources, [](const RuleSource& rule) { return rule.when.find("known(") != std::string::npos; });
    const RuleSet rules = RuleSet::compile(sources);
    const FactSheet less = random_facts(random), other = random_facts(random);
    FactSheet more = less;
    for (int slot = 0; slot < static_cast<int>(vocabulary().size()); ++slot) {
      const Value* value = other.at(slot);
      if (less.at(slot) == nullptr && value != nullptr)
        more.layer(static_cast<FactLayerId>(vocabulary().at(slot).layer)).set(slot, *value);
    }
    const Findings before = rules.apply(less), after = rules.apply(more);
    const auto ids = [](const auto& list) {
      std::set<std::string> ids;
      for (const auto& one : list) ids.insert(one.rule);
      return ids;
    };
    for (const std::string& id : ids(before.forbids)) EXPECT_EQ(ids(after.forbids).count(id), 1u);
    for (const std::string& id : ids(before.warns)) EXPECT_EQ(ids(after.warns).count(id), 1u);
    for (const std::string& id : ids(after.unknowns)) EXPECT_EQ(ids(before.unknowns).count(id), 1u);
    for (const Undecided& undecided : before.unknowns) {
      EXPECT_FALSE(undecided.missing.empty());
      for (const std::string& path : undecided.missing) EXPECT_EQ(less.find(path), nullptr) << path;
    }
  }
}

TEST(FastPath, ShippedRulesAgreeToo) {
  const RuleSet rules = RuleSet::compile(load_rules(ADVISOR_SOURCE_DIR "/rules"));
  Random random(8);
  for (int i = 0; i < 300; ++i) {
    const FactSheet sheet = random_facts(random);
    const Findings findings = rules.apply(sheet, "variant");
    std::set<std::string> expected, found;
    for (const FactLayerId layer : all_layers) {
      if (const RuleSource* rule = rules.forbidden(sheet.facts(), layer)) found.insert(rule->id);
    }
    for (const Finding& finding : findings.forbids) expected.insert(finding.rule);
    EXPECT_TRUE(std::includes(expected.begin(), expected.end(), found.begin(), found.end()));
    EXPECT_EQ(found.empty(), expected.empty());
    if (!expected.empty()) {
      EXPECT_EQ(found.count(findings.decisive()->rule), 1u);
    }
  }
}

}  // namespace
}  // namespace advisor
