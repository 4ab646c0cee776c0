// Each kind of mistake in a rule file: what is said, and where.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "io/yaml.h"
#include "rules/rule_set.h"

namespace advisor {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string refusal(const std::string& text, const std::string& second_file = "") {
  try {
    std::vector<RuleSource> rules = parse_rules(text, "my.yaml");
    for (const RuleSource& rule : parse_rules(second_file, "other.yaml")) rules.push_back(rule);
    RuleSet::compile(rules);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::parse_error);
    return error.what();
  }
  return "(no error)";
}

/// A forbid rule with other values for some keys: {"when", "..."}; "" leaves the key out.
std::string forbid(const std::map<std::string, std::string>& changes, const std::string& id = "a") {
  std::map<std::string, std::string> values{
      {"kind", "forbid"}, {"when", "variant.is_pruned"}, {"because", "no"}, {"sources", "[profile]"}};
  for (const auto& [key, value] : changes) values[key] = value;
  std::string text = "- id: " + id + "\n";
  for (const char* key : {"kind", "applies_to", "code", "when", "fact", "value", "because", "sources"}) {
    if (!values[key].empty()) text += "  " + std::string(key) + ": " + values[key] + "\n";
  }
  return text;
}

std::string derive(const std::string& id, const std::string& fact, const std::string& value) {
  return "- id: " + id + "\n  kind: derive\n  fact: " + fact + "\n  value: " + value + "\n  sources: [profile]\n";
}

TEST(RuleMistakes, TheRuleThatIsChangedIsRight) { EXPECT_EQ(refusal(forbid({})), "(no error)"); }

TEST(RuleMistakes, UnknownFact) {
  EXPECT_THAT(refusal(forbid({{"when", "variant.is_pruned and hardware.fp8_rat == 0"}})),
              StartsWith("my.yaml:3:31: unknown fact \"hardware.fp8_rat\"; did you mean \"hardware.fp8_rate\""));
  EXPECT_THAT(refusal(forbid({{"because", "as {memory.totl} says"}})),
              StartsWith("my.yaml:4:16: rule \"a\": `because` names an unknown fact \"memory.totl\"; did you mean "
                         "\"memory.total\""));
}

TEST(RuleMistakes, FoldedAndQuotedTextsKeepTheirPlaces) {
  EXPECT_THAT(refusal(forbid({{"when", ">-\n    variant.is_pruned\n\n    and   memry.total > 1 B"}})),
              StartsWith("my.yaml:6:11: unknown fact \"memry.total\""));
  EXPECT_THAT(refusal(forbid({{"when", "|\n    variant.is_pruned and\n      memory.total < 1 s"}})),
              StartsWith("my.yaml:5:20: \"<\" mixes bytes and seconds"));
  EXPECT_THAT(refusal(forbid({{"when", "variant.is_pruned\n    or variant.is_base and 1"}})),
              StartsWith("my.yaml:4:24: `and` needs a condition"));
  EXPECT_THAT(refusal(forbid({{"when", "'not variant.isbase'"}})), StartsWith("my.yaml:3:14: unknown fact"));
  EXPECT_THAT(refusal(forbid({{"when", ">-\n    variant.is_pruned and"}})),
              StartsWith("my.yaml:4:26: the expression ends too early"));
  EXPECT_THAT(refusal(forbid({{"because", ">-\n    one\n    two {memory.total}\n    {x.y}"}})),
              StartsWith("my.yaml:7:6: rule \"a\": `because` names an unknown fact \"x.y\""));
}

TEST(RuleMistakes, WrongUnit) {
  EXPECT_THAT(refusal(forbid({{"when", "memory.total > 400 ms"}})),
              StartsWith("my.yaml:3:22: \">\" mixes bytes and seconds"));
  EXPECT_THAT(refusal(forbid({{"when", "memory.total > 16"}})),
              StartsWith("my.yaml:3:22: \">\" mixes bytes and a plain number; write the unit, as \"16 GiB\""));
  EXPECT_THAT(refusal(forbid({{"when", "memory.total > 16 Gib"}})), HasSubstr("did you mean \"GiB\""));
  EXPECT_THAT(refusal(forbid({{"when", "profile.slo.ttft > 0.4"}})), HasSubstr("write the unit, as \"0.4 s\""));
}

TEST(RuleMistakes, WrongType) {
  EXPECT_THAT(refusal(forbid({{"when", "memory.total"}})),
              StartsWith("my.yaml:3:9: rule \"a\": `when` must be a condition, not a number of bytes"));
  EXPECT_THAT(refusal(forbid({{"when", "variant.engine == 8"}})), StartsWith("my.yaml:3:24: "));
  EXPECT_THAT(refusal(forbid({{"when", "true"}})), StartsWith("my.yaml:3:9: rule \"a\": `when` reads no fact"));
}

TEST(RuleMistakes, Cycle) {
  const std::string text = derive("p", "derived.a", "memory.total / 1 B + derived.b") +
                           derive("q", "derived.b", "derived.a * 2") + forbid({{"when", "derived.b > 1"}});
  EXPECT_THAT(refusal(text), StartsWith("my.yaml:4:31: rule \"p\": the facts depend on each other in a cycle: "
                                        "derived.a -> derived.b -> derived.a"));
  EXPECT_THAT(
      refusal(derive("p", "derived.a", "derived.a + 1") + forbid({{"when", "derived.a > 1"}})),
      StartsWith("my.yaml:4:10: rule \"p\": the facts depend on each other in a cycle: derived.a -> derived.a"));
}

TEST(RuleMistakes, TwoWriters) {
  EXPECT_THAT(refusal(derive("p", "derived.a", "1") + derive("q", "derived.a", "2") + forbid({})),
              StartsWith("my.yaml:8:9: rule \"q\": fact \"derived.a\" is also written by rule \"p\" at my.yaml:3:9; "
                         "give one of them another name"));
}

TEST(RuleMistakes, UnusedFact) {
  EXPECT_THAT(refusal(derive("p", "derived.a", "1") + forbid({})),
              StartsWith("my.yaml:3:9: rule \"p\": nothing reads fact \"derived.a\"; use it in a rule"));
}

TEST(RuleMistakes, UnknownKey) {
  EXPECT_THAT(refusal("- id: a\n  kind: forbid\n  whn: variant.is_pruned\n"),
              StartsWith("my.yaml:3:3: rule \"a\": unknown key \"whn\"; did you mean \"when\"?"));
  EXPECT_THAT(refusal("- id: a\n  kind: warn\n  kind: forbid\n"),
              StartsWith("my.yaml:3:3: key \"kind\" is given twice"));
}

TEST(RuleMistakes, MissingKeys) {
  EXPECT_THAT(refusal(forbid({{"sources", ""}})), StartsWith("my.yaml:1:3: rule \"a\": needs at least one source"));
  EXPECT_THAT(refusal(forbid({{"sources", "[]"}})), StartsWith("my.yaml:5:12: rule \"a\": needs at least one source"));
  EXPECT_THAT(refusal(forbid({{"sources", "[x, '']"}})), HasSubstr("needs at least one source"));
  EXPECT_THAT(refusal(forbid({{"because", ""}})), StartsWith("my.yaml:1:3: rule \"a\": needs `because`"));
  EXPECT_THAT(refusal(forbid({{"when", ""}})), StartsWith("my.yaml:1:3: rule \"a\": needs `when`"));
  EXPECT_THAT(refusal(forbid({{"kind", ""}})), StartsWith("my.yaml:1:3: rule \"a\": needs a `kind`; it must be one of "
                                                          "derive, forbid, warn"));
  EXPECT_THAT(refusal("- kind: warn\n"), StartsWith("my.yaml:1:3: rule: needs an id"));
}

TEST(RuleMistakes, WordsOutsideOfTheirSets) {
  EXPECT_THAT(refusal(forbid({{"kind", "forbids"}})), StartsWith("my.yaml:2:9: rule \"a\": `kind` is \"forbids\""));
  EXPECT_THAT(refusal(forbid({{"code", "licens"}})), StartsWith("my.yaml:3:9: rule \"a\": `code` is \"licens\""));
  EXPECT_THAT(refusal(forbid({{"code", "licens"}})), HasSubstr("did you mean \"licence\"?"));
  EXPECT_THAT(refusal(forbid({{"applies_to", "variants"}})),
              StartsWith("my.yaml:3:15: rule \"a\": `applies_to` is \"variants\""));
}

TEST(RuleMistakes, KeysOfAnotherKind) {
  EXPECT_THAT(refusal(forbid({{"fact", "derived.x"}})), StartsWith("my.yaml:4:9: rule \"a\": only a derive rule"));
  EXPECT_THAT(refusal(derive("p", "derived.a", "1") + "  when: variant.is_base\n"),
              StartsWith("my.yaml:6:9: rule \"p\": a derive rule has no `when`"));
  EXPECT_THAT(refusal(derive("p", "memory.share", "1") + forbid({})),
              StartsWith("my.yaml:3:9: rule \"p\": the name of a derived fact starts with \"derived.\", as "
                         "\"derived.share\""));
}

TEST(RuleMistakes, DuplicateIdNamesBothFiles) {
  const std::string expected =
      "other.yaml:1:7: rule \"a\": the id is used twice, also at my.yaml:1:7; give each rule its own";
  EXPECT_EQ(refusal(forbid({}), forbid({})), expected);
  EXPECT_THAT(refusal(forbid({}) + forbid({})),
              StartsWith("my.yaml:6:7: rule \"a\": the id is used twice, also at my.yaml:1:7"));
}

TEST(RuleMistakes, ProfileRuleThatReadsAVariant) {
  EXPECT_THAT(
      refusal(forbid({{"applies_to", "profile"}})),
      StartsWith("my.yaml:4:9: rule \"a\": applies to the profile, where \"variant.is_pruned\" is not known yet"));
  EXPECT_EQ(refusal(forbid({{"applies_to", "profile"}, {"when", "model.layers > 4 and profile.confidence > 0.5"}})),
            "(no error)");
}

TEST(RuleMistakes, FactsThatGrowWithoutEnd) {
  std::string text = derive("d0", "derived.x0", "memory.share");
  for (int i = 1; i < 40; ++i) {
    const std::string before = "derived.x" + std::to_string(i - 1);
    text += derive("d" + std::to_string(i), "derived.x" + std::to_string(i), before + " + " + before);
  }
  EXPECT_THAT(refusal(text + forbid({{"when", "derived.x39 > 1"}})), HasSubstr("too long with its derived facts"));
}

}  // namespace
}  // namespace advisor
