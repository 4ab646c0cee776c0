// Properties of what would change the outcome, over the profiles of all scenarios: each change is applied to the
// profile as a user would, and decided again.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "core/error.h"
#include "core/fields.h"
#include "io/database.h"
#include "io/yaml.h"
#include "recommend/decide.h"
#include "recommend/recommend.h"
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

const Document* find(const Document& map, const std::string& key) {
  for (const auto& member : map.members)
    if (member.key == key) return &member.value;
  return nullptr;
}

Hardware hardware_of(const Profile& profile) {
  const auto& wanted = profile.hardware;
  Hardware hardware{{}, wanted.count, "profile"};
  for (const auto& device : knowledge().devices)
    if (!wanted.id.empty() && device.id == wanted.id) hardware.device = device, hardware.source = "catalog";
  if (wanted.memory) hardware.device.memory = *wanted.memory;
  if (wanted.bandwidth) hardware.device.bandwidth = wanted.bandwidth;
  if (wanted.fp16) hardware.device.fp16 = wanted.fp16;
  if (wanted.fp8) hardware.device.fp8 = wanted.fp8;
  if (wanted.int8) hardware.device.int8 = wanted.int8;
  if (!wanted.generation.empty()) hardware.device.generation = wanted.generation;
  return hardware;
}

bool can_be_kept(const Profile& profile) {
  const auto decision = decide(tools(), ask(tools(), profile, hardware_of(profile), nullptr));
  return std::any_of(decision.ranked.begin(), decision.ranked.end(),
                     [&](int index) { return decision.cells[static_cast<std::size_t>(index)].action == Action::keep; });
}

class Counterfactuals : public testing::TestWithParam<std::string> {};

TEST_P(Counterfactuals, FlipTheOutcomeWhenApplied) {
  const auto path = fs::path(ADVISOR_SOURCE_DIR) / "tests/scenarios" / (GetParam() + ".yaml");
  std::ifstream in(path);
  std::ostringstream content;
  content << in.rdbuf();
  const auto scenario = parse_yaml(content.str(), path.string());
  const auto* expect = find(scenario, "expect");
  ASSERT_NE(expect, nullptr);
  if (find(*expect, "error") != nullptr) return;  // no outcome to change
  const auto profile = parse_profile(find(scenario, "profile")->text, path.string());
  const auto answer = recommend(profile, hardware_of(profile), tools());
  if (answer.outcome == Outcome::infeasible) {
    EXPECT_FALSE(answer.counterfactuals.empty()) << explain(answer);
  }
  std::set<std::string> fields;
  for (const auto& change : answer.counterfactuals) {
    SCOPED_TRACE(change.field + " = " + change.to + " (" + change.text + ")");
    EXPECT_TRUE(fields.insert(change.field).second) << "one change for each field: the smallest";
    EXPECT_FALSE(change.text.empty());
    Profile changed = profile;
    set_field(changed, change.field, change.to);
    validate(changed);
    const auto then = recommend(changed, hardware_of(changed), tools());
    ASSERT_EQ(then.outcome, Outcome::recommended);
    EXPECT_EQ(name(*then.verdict), change.then_verdict);
    EXPECT_EQ(then.options.front().variant.id(), change.then_variant);
    if (answer.outcome == Outcome::recommended) {
      EXPECT_TRUE(can_be_kept(changed));
    }
  }
}

std::vector<std::string> all_scenarios() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(fs::path(ADVISOR_SOURCE_DIR) / "tests/scenarios"))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(All, Counterfactuals, testing::ValuesIn(all_scenarios()), [](const auto& info) {
  auto name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace advisor
