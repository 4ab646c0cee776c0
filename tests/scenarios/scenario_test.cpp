// Runs every *.yaml of this folder against the real database and rules. A scenario file has
//   why:      why this must come out, in a sentence a reader can check
//   source:   what stands behind it: a file of data/, an id of data/sources.csv, an address that stands in data/,
//             "arithmetic" (done in `why`) or "profile" (what the user said); one or a list
//   profile:  the profile as text
//   expect:   outcome, verdict; of the first option model, technique, scheme, engine, kv, offload (none, experts,
//   layers), published (its checkpoint): one
//             value or a list of admissible ones; recipe (libadvisor makes it); of the variants that meet all limits
//             offers / offers_not (schemes), sparsity / sparsity_not (shares of weights removed);
//             rejects ("<code> <action>"); rules (ids that fire for a variant of the model in use, or for any that
//             meets all limits); helps (fields of counterfactuals); serves ("<task> <model>" of a portfolio);
//             asked ("<judgement>: <variant>" or "rejected by <rule or code>: <variant>" of the profile's `consider`);
//             error (part of the message)
#include "scenario.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/json.h"
#include "core/units.h"
#include "recommend/cell_judge.h"
#include "recommend/consider.h"
#include "recommend/decide.h"
#include "recommend/detail.h"
#include "recommend/recommend.h"
#include "recommend/rejections.h"
#include "report/explain.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;
using scenario::find;
using scenario::hardware_of;
using scenario::knowledge;
using scenario::tools;
using scenario::words;
using testing::Contains;
using testing::Not;

/// What the decision saw beyond what the answer shows.
struct Seen {
  std::set<std::string> rules, schemes, sparsities;
};

Seen look(const Profile& profile) {
  Seen seen;
  const Considering considering(tools(), profile, hardware_of(profile), nullptr);
  const auto& all = considering.tools();
  const auto question = ask(all, profile, hardware_of(profile), nullptr);
  const auto decision = decide(all, question);
  CellJudge judge(all, question);
  const auto add = [&](const Findings& findings) {
    for (const auto* found : {&findings.forbids, &findings.warns})
      for (const auto& finding : *found) seen.rules.insert(finding.rule);
  };
  add(judge.profile_findings());
  for (const auto& cell : decision.cells)
    if (cell.model == question.current || cell.fate == Fate::feasible || was_asked(all, cell))
      add(all.rules.apply(judge.facts_of(cell), "variant"));
  EXPECT_TRUE(decision.ranked.empty() || decision.ranked.front() == decision.front.front()) << "nothing beats the best";
  for (const int index : decision.ranked) {
    const auto variant = variant_of(all, question, decision.cells[static_cast<std::size_t>(index)]);
    seen.schemes.insert(variant.scheme);
    seen.sparsities.insert(format_number(variant.sparsity));
  }
  return seen;
}

void expect_one_of(const Document& expect, const char* key, const std::string& actual) {
  const auto* wanted = find(expect, key);
  if (wanted == nullptr) return;
  EXPECT_THAT(words(wanted), Contains(actual)) << key;
}

void expect_all(const Document& expect, const char* key, const std::set<std::string>& actual) {
  for (const auto& wanted : words(find(expect, key))) EXPECT_THAT(actual, Contains(wanted)) << key;
}

void expect_none(const Document& expect, const char* key, const std::set<std::string>& actual) {
  for (const auto& unwanted : words(find(expect, key))) EXPECT_THAT(actual, Not(Contains(unwanted))) << key;
}

void check_first(const Document& expect, const Recommendation& answer) {
  if (answer.options.empty()) {
    for (const char* key : {"model", "technique", "scheme", "engine", "kv", "offload", "published", "recipe"})
      EXPECT_EQ(find(expect, key), nullptr) << key << " of no option";
    return;
  }
  const auto& first = answer.options.front();
  expect_one_of(expect, "model", first.variant.model);
  expect_one_of(expect, "technique", first.variant.technique);
  expect_one_of(expect, "scheme", first.variant.scheme);
  expect_one_of(expect, "engine", first.variant.engine);
  expect_one_of(expect, "kv", first.variant.kv);
  expect_one_of(expect, "offload", first.memory.host ? first.memory.host->kind : "none");
  expect_one_of(expect, "published", first.published_checkpoint.value_or("none"));
  EXPECT_TRUE(find(expect, "recipe") == nullptr || first.recipe.has_value()) << "libadvisor must execute it";
}

void check(const Document& expect, const Profile& profile, const Recommendation& answer) {
  expect_one_of(expect, "outcome", std::string(name(answer.outcome)));
  expect_one_of(expect, "verdict", answer.verdict ? std::string(name(*answer.verdict)) : "null");
  check_first(expect, answer);
  std::set<std::string> rejections, fields, served, asked;
  for (const auto& one : answer.answered)
    for (const auto& why : {std::string(), one.rule, one.code})
      asked.insert(std::string(name(one.judgement)) + (why.empty() ? "" : " by " + why) + ": " + one.asked);
  for (const auto& rejection : answer.rejections) rejections.insert(rejection.code + " " + rejection.action);
  for (const auto& change : answer.counterfactuals) fields.insert(change.field);
  for (const auto& one : answer.assignments)
    for (const auto& option : answer.options)
      if (option.rank == one.option) served.insert(one.task + " " + option.variant.model);
  expect_all(expect, "rejects", rejections);
  expect_all(expect, "helps", fields);
  expect_all(expect, "serves", served);
  expect_all(expect, "asked", asked);
  if (!profile.tasks.empty()) return;
  const auto seen = look(profile);
  expect_all(expect, "rules", seen.rules);
  expect_all(expect, "offers", seen.schemes);
  expect_none(expect, "offers_not", seen.schemes);
  expect_all(expect, "sparsity", seen.sparsities);
  expect_none(expect, "sparsity_not", seen.sparsities);
}

/// What holds for every answer, whatever was expected of it.
void check_answer(const Profile& profile, const Recommendation& answer) {
  for (const auto& option : answer.options) {
    if (!option.quality) continue;
    EXPECT_FALSE(option.quality->value.sources.empty() && option.quality->value.n > 0) << option.variant.id();
    EXPECT_TRUE(!option.quality->value.sources.empty() ||
                (option.quality->retention && !option.quality->retention->sources.empty()))
        << "no source of the quality of " << option.variant.id();
  }
  EXPECT_EQ(answer.answered.size(), profile.consider.size() * std::max<std::size_t>(1, profile.tasks.size()));
  for (const auto& one : answer.answered) EXPECT_FALSE(one.because.empty()) << one.asked;
  for (const auto& rejection : answer.rejections) EXPECT_FALSE(rejection.because.empty()) << rejection.code;
  EXPECT_FALSE(answer.outcome == Outcome::infeasible && answer.rejections.empty());
  EXPECT_EQ(answer.outcome == Outcome::recommended, answer.verdict.has_value());
  EXPECT_EQ(answer.outcome == Outcome::recommended, !answer.options.empty());
  const auto text = to_json(answer);
  EXPECT_EQ(text, to_json(recommend(profile, hardware_of(profile), tools()))) << "same input, same bytes";
  EXPECT_EQ(text, to_json(recommendation_from_json(text, parse_recipe))) << "JSON reads back";
}

/// Keys are closed here too: a misspelt expectation must not pass silently.
void check_keys(const Document& scenario, const Document& expect) {
  const std::set<std::string> outer{"why", "source", "profile", "expect"};
  const std::set<std::string> inner{"outcome",  "verdict",      "model",   "technique", "scheme",     "engine", "kv",
                                    "recipe",   "published",    "offers",  "serves",    "offers_not", "error",  "asked",
                                    "offload", "sparsity", "sparsity_not", "rejects", "rules",     "helps"};
  for (const auto& member : scenario.members) EXPECT_THAT(outer, Contains(member.key));
  for (const auto& member : expect.members) EXPECT_THAT(inner, Contains(member.key));
}

bool stands_in_data(const std::string& address) {
  static const std::string all = [] {
    std::string text;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(ADVISOR_SOURCE_DIR) / "data"))
      if (entry.path().extension() == ".csv") text += scenario::contents(entry.path());
    return text;
  }();
  return all.find(address) != std::string::npos;
}

void check_sources(const Document& scenario) {
  static const auto sources = scenario::contents(fs::path(ADVISOR_SOURCE_DIR) / "data/sources.csv");
  const auto why = words(find(scenario, "why")), from = words(find(scenario, "source"));
  ASSERT_EQ(why.size(), 1u);
  EXPECT_FALSE(from.empty()) << "no source";
  for (const auto& source : from) {
    if (source == "profile") continue;
    if (source == "arithmetic")
      EXPECT_NE(why.front().find_first_of("0123456789"), std::string::npos) << "no arithmetic in `why`";
    else if (source.starts_with("data/"))
      EXPECT_TRUE(fs::exists(fs::path(ADVISOR_SOURCE_DIR) / source)) << source;
    else if (source.find("://") != std::string::npos)
      EXPECT_TRUE(stands_in_data(source)) << source;
    else
      EXPECT_NE(sources.find("\n" + source + ","), std::string::npos) << source << " is no id of data/sources.csv";
  }
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, HoldsWithTheRealDatabase) {
  const auto scenario = scenario::read(GetParam());
  const auto* expect = find(scenario, "expect");
  ASSERT_TRUE(expect != nullptr && find(scenario, "profile") != nullptr && find(scenario, "why") != nullptr);
  check_keys(scenario, *expect);
  check_sources(scenario);
  const auto profile = scenario::profile_of(scenario, GetParam());
  if (const auto* error = find(*expect, "error")) {
    try {
      recommend(profile, hardware_of(profile), tools());
      FAIL() << "no error";
    } catch (const Error& thrown) {
      EXPECT_THAT(thrown.what(), testing::HasSubstr(error->text));
    }
    return;
  }
  const auto answer = recommend(profile, hardware_of(profile), tools());
  check(*expect, profile, answer);
  check_answer(profile, answer);
  if (HasFailure()) std::puts(explain(answer).c_str());
}

TEST(Scenarios, AreAtLeastEighty) { EXPECT_GE(scenario::all_names().size(), 80u); }

TEST(Scenarios, FirstLightIsCompressedByWhatLibadvisorExecutes) {
  const auto profile = load_profile(fs::path(ADVISOR_SOURCE_DIR) / "examples/profiles/first-light.yaml");
  Model tiny;  // as the facade reads it from the folder
  tiny.id = profile.model, tiny.architecture = "LlamaForCausalLM";
  tiny.params = 1115008;
  tiny.layers = 3, tiny.hidden = 128, tiny.intermediate = 384, tiny.heads = 4, tiny.kv_heads = 2, tiny.head_dim = 32;
  tiny.vocab = 4096, tiny.max_context = 256;
  tiny.tie_embeddings = true;
  tiny.modalities_in = tiny.modalities_out = {"text"};
  const auto answer = recommend(profile, hardware_of(profile), tools(), &tiny);
  ASSERT_EQ(answer.verdict, Verdict::compress);
  EXPECT_EQ(answer.options.front().variant.scheme, "Q8_0");
  EXPECT_TRUE(answer.options.front().recipe);
}

INSTANTIATE_TEST_SUITE_P(All, Scenario, testing::ValuesIn(scenario::all_names()), [](const auto& info) {
  auto name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace advisor
