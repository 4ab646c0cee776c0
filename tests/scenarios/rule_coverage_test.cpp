// Each shipped rule fires for at least one candidate of at least one scenario, and is silent (false, not unknown) for
// at least one. All rules are asked about every variant of the model in use, shown, rejected or dominated, and about
// every variant of other models that meets all limits.
#include <gmock/gmock.h>

#include <map>

#include "core/error.h"
#include "recommend/cell_judge.h"
#include "recommend/decide.h"
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
  const auto question = ask(tools(), profile, scenario::hardware_of(profile), nullptr);
  const auto decision = decide(tools(), question);
  CellJudge judge(tools(), question);
  note(judge.profile_findings(), "profile", coverage);
  for (const auto& cell : decision.cells)
    if (cell.model == question.current || cell.fate == Fate::feasible)
      note(tools().rules.apply(judge.facts_of(cell), "variant"), "variant", coverage);
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

/// Rules about variants that a decision never builds, so that no profile can reach them: they guard what a new
/// treatment (recommend/treatments.cpp) may bring. Each fires and is silent in tests/rules/shipped_cases.yaml. A rule
/// that is reached must leave.
const std::map<std::string, std::string>& guards() {
  static const std::map<std::string, std::string> all = [] {
    std::map<std::string, std::string> guards;
    const auto add = [&](const char* why, const std::vector<std::string>& rules) {
      for (const auto& rule : rules) guards.emplace(rule, why);
    };
    add("what the profile does not want is not even built", {"engine-not-wanted", "switch-not-allowed"});
    add("engines are only asked for files that they read", {"gguf-in-vllm-by-plugin", "llama-cpp-reads-gguf-only"});
    add("the only KV caches below 16 bits that are built are fp8 and q8_0, each on its own engines",
        {"kv-below-four-bits", "kv-dtype-of-gpu-engines", "kv-dtype-of-llama-cpp", "kv-four-bits",
         "kv-four-bits-and-reasoning"});
    add("weights below three bits are not built", {"gguf-small-types-need-importance", "two-bits-by-rounding"});
    add("the scheme is not built: 4-bit weights with 8-bit activations, MXFP4 after training, INT8 without smoothing",
        {"four-bit-weights-with-int8-activations", "int8-activations-without-smoothing", "mxfp4-after-training"});
    add("one-shot pruning is built as 2:4 by SparseGPT and as dropped layers, at no more than half",
        {"expert-pruning-depends-on-the-model", "pruning-beyond-half", "pruning-with-facts-in-context",
         "pruning-without-calibration", "unstructured-sparsity-saves-nothing"});
    add("all techniques that are built are measured by accuracies, also on knowledge tasks, so that nobody counts them",
        {"knowledge-needs-accuracies", "no-measurement-behind-estimate", "perplexity-is-not-knowledge"});
    add("pruned and retrained checkpoints are models of the catalog of their own",
        {"retrained-is-judged-by-measurement", "retraining-is-not-done-here"});
    return guards;
  }();
  return all;
}

TEST(RuleCoverage, EachRuleFiresAndIsSilentInAScenario) {
  const auto coverage = of_all_scenarios();
  for (const auto& [rule, seen] : coverage) {
    EXPECT_NE(seen.fired, guards().contains(rule))
        << rule << (seen.fired ? " needs no guard" : " fires in no scenario");
    EXPECT_TRUE(seen.silent) << rule << " is silent in no scenario";
  }
  for (const auto& [rule, why] : guards()) EXPECT_TRUE(coverage.contains(rule)) << rule << ": " << why;
}

}  // namespace
}  // namespace advisor
