// Runs every *.yaml of this folder against the real database and rules. A scenario file has
//   why:      why this must come out, in a sentence a reader can check
//   profile:  the profile as text
//   expect:   outcome, verdict, model, technique, scheme, engine (one value or a list of admissible ones, of the first
//             option); offers / offers_not (schemes among the options); rejects ("<code> <action>");
//             rules (ids that fired); helps (fields of counterfactuals); error (part of the message)
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "io/database.h"
#include "io/yaml.h"
#include "recommend/recommend.h"
#include "recommend/toolbox.h"
#include "report/explain.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

const Knowledge& knowledge() {
  static const Knowledge snapshot = [] {
    auto loaded = load_knowledge(fs::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db");
    loaded.rules = load_rules(fs::path(ADVISOR_SOURCE_DIR) / "rules");
    return loaded;
  }();
  return snapshot;
}

const Toolbox& tools() {
  static const Toolbox all(knowledge());
  return all;
}

Document read(const fs::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return parse_yaml(text.str(), path.string());
}

const Document* find(const Document& map, const std::string& key) {
  for (const auto& member : map.members)
    if (member.key == key) return &member.value;
  return nullptr;
}

std::vector<std::string> words(const Document* value) {
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (value->kind == Document::Kind::list)
    for (const auto& item : value->items) result.push_back(item.text);
  else
    result.push_back(value->text);
  return result;
}

Hardware hardware_of(const Profile& profile) {
  Hardware hardware;
  hardware.count = profile.hardware.count;
  hardware.source = "profile";
  const auto& wanted = profile.hardware;
  for (const auto& device : knowledge().devices)
    if (!wanted.id.empty() && device.id == wanted.id) hardware.device = device, hardware.source = "catalog";
  if (wanted.memory) hardware.device.memory = *wanted.memory;
  if (wanted.bandwidth) hardware.device.bandwidth = wanted.bandwidth;
  if (wanted.fp16) hardware.device.fp16 = wanted.fp16;
  if (wanted.int8) hardware.device.int8 = wanted.int8;
  return hardware;
}

void expect_first(const Document& expect, const char* key, const std::string& actual) {
  const auto* wanted = find(expect, key);
  if (wanted == nullptr) return;
  EXPECT_THAT(words(wanted), testing::Contains(actual)) << key;
}

std::set<std::string> rules_that_fired(const Recommendation& answer) {
  std::set<std::string> rules;
  for (const auto& rejection : answer.rejections) rules.insert(rejection.rule);
  for (const auto& option : answer.options)
    for (const auto& evidence : option.evidence)
      if (evidence.kind == "rule") rules.insert(evidence.id);
  for (const auto& gap : answer.gaps) {  // rules about the profile itself
    const auto at = gap.needs.find("(rule ");
    if (at != std::string::npos) rules.insert(gap.needs.substr(at + 6, gap.needs.size() - at - 7));
  }
  return rules;
}

void check(const Document& expect, const Recommendation& answer) {
  expect_first(expect, "outcome", std::string(name(answer.outcome)));
  expect_first(expect, "verdict", answer.verdict ? std::string(name(*answer.verdict)) : "null");
  std::set<std::string> schemes, rejections, fields;
  for (const auto& option : answer.options) schemes.insert(option.variant.scheme);
  for (const auto& rejection : answer.rejections) rejections.insert(rejection.code + " " + rejection.action);
  for (const auto& change : answer.counterfactuals) fields.insert(change.field);
  if (!answer.options.empty()) {
    const auto& first = answer.options.front();
    expect_first(expect, "model", first.variant.model);
    expect_first(expect, "technique", first.variant.technique);
    expect_first(expect, "scheme", first.variant.scheme);
    expect_first(expect, "engine", first.variant.engine);
    EXPECT_TRUE(find(expect, "recipe") == nullptr || first.recipe.has_value()) << "libadvisor must execute it";
  }
  for (const auto& scheme : words(find(expect, "offers"))) EXPECT_THAT(schemes, testing::Contains(scheme));
  for (const auto& scheme : words(find(expect, "offers_not")))
    EXPECT_THAT(schemes, testing::Not(testing::Contains(scheme)));
  for (const auto& rejection : words(find(expect, "rejects"))) EXPECT_THAT(rejections, testing::Contains(rejection));
  for (const auto& rule : words(find(expect, "rules"))) EXPECT_THAT(rules_that_fired(answer), testing::Contains(rule));
  for (const auto& field : words(find(expect, "helps"))) EXPECT_THAT(fields, testing::Contains(field));
}

/// Keys are closed here too: a misspelt expectation must not pass silently.
void check_keys(const Document& scenario, const Document& expect) {
  const std::set<std::string> outer{"why", "profile", "expect"};
  const std::set<std::string> inner{"outcome", "verdict",    "model",   "technique", "scheme", "engine", "recipe",
                                    "offers",  "offers_not", "rejects", "rules",     "helps",  "error"};
  for (const auto& member : scenario.members) EXPECT_THAT(outer, testing::Contains(member.key));
  for (const auto& member : expect.members) EXPECT_THAT(inner, testing::Contains(member.key));
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, HoldsWithTheRealDatabase) {
  const auto path = fs::path(ADVISOR_SOURCE_DIR) / "tests/scenarios" / (GetParam() + ".yaml");
  const auto scenario = read(path);
  const auto* text = find(scenario, "profile");
  const auto* expect = find(scenario, "expect");
  ASSERT_TRUE(text != nullptr && expect != nullptr && find(scenario, "why") != nullptr);
  check_keys(scenario, *expect);
  const auto profile = parse_profile(text->text, path.string());
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
  check(*expect, answer);
  EXPECT_EQ(to_json(answer), to_json(recommend(profile, hardware_of(profile), tools())));
  if (HasFailure()) std::puts(explain(answer).c_str());
}

std::vector<std::string> all_scenarios() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(ADVISOR_SOURCE_DIR) / "tests/scenarios"))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// Rules that fire in tests/rules/shipped_cases.yaml but in no scenario yet. Only ever gets shorter: a rule that has
/// found its scenario must leave.
std::set<std::string> without_scenario() {
  std::istringstream words(R"(
      calibration-data-needed calibration-in-your-language commercial-use-unknown critical-task-below-default
      eight-bit-activations-at-high-concurrency expert-pruning-depends-on-the-model experts-need-enough-samples
      facts-at-eight-bits few-measurements four-bit-weights-with-int8-activations fp4-converted-on-use
      fused-layers-share-a-scheme gemma-3-awq-mapping gguf-in-vllm-by-plugin gguf-small-types-need-importance
      gguf-vision-needs-projector gptq-results-scatter int8-activations-without-smoothing
      knowledge-needs-accuracies kv-below-four-bits kv-dtype-of-gpu-engines kv-dtype-of-llama-cpp
      kv-eight-bits-and-long-context kv-four-bits kv-four-bits-and-reasoning kv-latent-is-small-already
      modelopt-needs-recent-engines mxfp4-after-training no-bfloat16-units no-measurement-behind-estimate
      perplexity-is-not-knowledge pruned-and-quantized pruned-eyes-and-ears-not-measured pruning-beyond-half
      pruning-for-multi-step-tasks pruning-of-knowledge-in-recent-models pruning-relies-on-context
      pruning-tolerance pruning-with-facts-in-context pruning-without-calibration recent-models-prune-worse
      retrained-is-judged-by-measurement retraining-is-not-done-here sglang-awq-on-amd
      sparse-2-4-engine-not-known speech-at-four-bits structure-removed-from-knowledge
      three-bits-of-a-small-model trained-for-another-format two-bits-by-rounding two-of-four-costs-more)");
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(Scenarios, EveryRuleFiresInOne) {
  // Guards for variants that no profile leads to: they come with recipes and published checkpoints.
  const std::set<std::string> guards{"engine-not-wanted", "llama-cpp-reads-gguf-only", "switch-not-allowed",
                                     "unstructured-sparsity-saves-nothing"};
  const std::set<std::string> waiting = without_scenario();
  std::set<std::string> seen;
  for (const auto& name : all_scenarios()) {
    const auto scenario = read(fs::path(ADVISOR_SOURCE_DIR) / "tests/scenarios" / (name + ".yaml"));
    const auto* expect = find(scenario, "expect");
    if (expect == nullptr) continue;
    for (const auto& rule : words(find(*expect, "rules"))) seen.insert(rule);
  }
  for (const auto& rule : knowledge().rules) {
    if (rule.kind == "derive" || guards.contains(rule.id)) continue;
    EXPECT_NE(seen.contains(rule.id), waiting.contains(rule.id)) << rule.id << " (" << rule.where.file << ")";
  }
}

TEST(Scenarios, FirstLightIsCompressedByWhatLibadvisorExecutes) {
  const auto profile = load_profile(fs::path(ADVISOR_SOURCE_DIR) / "examples/profiles/first-light.yaml");
  Model tiny;  // as the facade reads it from the folder
  tiny.id = profile.model;
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

INSTANTIATE_TEST_SUITE_P(All, Scenario, testing::ValuesIn(all_scenarios()), [](const auto& info) {
  auto name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace advisor
