// Properties of what would change the outcome, over the profiles of all scenarios: each change is applied to the
// profile as a user would, and decided again.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "core/fields.h"
#include "recommend/decide.h"
#include "recommend/recommend.h"
#include "report/explain.h"
#include "scenario.h"

namespace advisor {
namespace {

using scenario::find;
using scenario::hardware_of;
using scenario::tools;

bool can_be_kept(const Profile& profile) {
  const auto decision = decide(tools(), ask(tools(), profile, hardware_of(profile), nullptr));
  return std::any_of(decision.ranked.begin(), decision.ranked.end(),
                     [&](int index) { return decision.cells[static_cast<std::size_t>(index)].action == Action::keep; });
}

class Counterfactuals : public testing::TestWithParam<std::string> {};

TEST_P(Counterfactuals, FlipTheOutcomeWhenApplied) {
  const auto scenario = scenario::read(GetParam());
  const auto* expect = find(scenario, "expect");
  ASSERT_NE(expect, nullptr);
  if (find(*expect, "error") != nullptr) return;  // no outcome to change
  const auto profile = scenario::profile_of(scenario, GetParam());
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

INSTANTIATE_TEST_SUITE_P(All, Counterfactuals, testing::ValuesIn(scenario::all_names()), [](const auto& info) {
  auto name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace advisor
