// Each shipped rule fires for at least one candidate of at least one scenario, and is silent (false, not unknown) for
// at least one. All rules are asked about every variant of the model in use, shown, rejected or dominated, about every
// variant that the profile asks about, and about every variant of other models that meets all limits.
#include <gmock/gmock.h>

#include <map>

#include "core/error.h"
#include "recommend/cell_judge.h"
#include "recommend/consider.h"
#include "recommend/decide.h"
#include "recommend/rejections.h"
#include "scenario.h"

namespace advisor {
namespace {

using scenario::knowledge;
using scenario::tools;

struct Seen {
  bool fired = false, silent = false;
};
using Coverage = std::map<std::string, Seen>;

void note(const Findings& findings, const std::string& scope, Coverage& coverage) {
  std::set<std::string> fired, unknown;
  for (const auto* found : {&findings.forbids, &findings.warns})
    for (const auto& finding : *found) fired.insert(finding.rule);
  for (const auto& undecided : findings.unknowns) unknown.insert(undecided.rule);
  for (const auto& rule : knowledge().rules) {
    if (rule.kind == "derive" || rule.applies_to != scope) continue;
    auto& seen = coverage[rule.id];
    (fired.contains(rule.id) ? seen.fired : seen.silent) |= !unknown.contains(rule.id);
  }
}

void note_all(const Profile& profile, Coverage& coverage) {
  if (!profile.tasks.empty()) return;  // its tasks are questions like those of other scenarios
  const auto hardware = scenario::hardware_of(profile);
  const Considering considering(tools(), profile, hardware, nullptr);
  const auto& all = considering.tools();
  const auto question = ask(all, profile, hardware, nullptr);
  const auto decision = decide(all, question);
  CellJudge judge(all, question);
  note(judge.profile_findings(), "profile", coverage);
  for (const auto& cell : decision.cells)
    if (cell.model == question.current || cell.fate == Fate::feasible || was_asked(all, cell))
      note(all.rules.apply(judge.facts_of(cell), "variant"), "variant", coverage);
}

Coverage of_all_scenarios() {
  Coverage coverage;
  for (const auto& name : scenario::all_names()) {
    const auto file = scenario::read(name);
    try {
      note_all(scenario::profile_of(file, name), coverage);
    } catch (const Error&) {  // a scenario of a question that is refused
      EXPECT_NE(scenario::find(*scenario::find(file, "expect"), "error"), nullptr) << name;
    }
  }
  return coverage;
}

TEST(RuleCoverage, EachRuleFiresAndIsSilentInAScenario) {
  const auto coverage = of_all_scenarios();
  for (const auto& rule : knowledge().rules) {
    if (rule.kind == "derive") continue;
    const auto seen = coverage.find(rule.id);
    EXPECT_TRUE(seen != coverage.end() && seen->second.fired) << rule.id << " fires in no scenario";
    EXPECT_TRUE(seen != coverage.end() && seen->second.silent) << rule.id << " is silent in no scenario";
  }
}

}  // namespace
}  // namespace advisor
