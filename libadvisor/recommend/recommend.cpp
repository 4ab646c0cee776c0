#include "recommend/recommend.h"

#include "recommend/counterfactual.h"
#include "recommend/judged_decision.h"
#include "recommend/question.h"

namespace advisor {

namespace {

/// Rules about the profile itself: they are said once, not per option.
void add_profile_findings(const Toolbox& tools, const Question& question, const Profile& as_given,
                          Recommendation& answer) {
  Variant variant;
  variant.model = question.model->id;
  const auto findings =
      tools.rules.apply(collect(as_given, question.hardware, *question.model, variant, question.task), "profile");
  for (const auto& warn : findings.warns)
    answer.gaps.push_back({warn.reason, "a change of the profile (rule " + warn.rule + ")"});
  for (const auto& forbid : findings.forbids)
    answer.rejections.push_back({"", question.model->id, "", "", "", forbid.code, forbid.rule, forbid.reason, {}});
  if (!findings.forbids.empty()) {
    answer.options.clear();
    answer.outcome = Outcome::infeasible;
    answer.verdict.reset();
  }
}

}  // namespace

Recommendation recommend(const Profile& profile, const Hardware& hardware, const Knowledge& knowledge,
                         const Model* checkpoint_model) {
  const Toolbox tools(knowledge);
  const auto question = ask(tools, profile, hardware, checkpoint_model);
  auto decision = decide_judged(tools, question);

  Recommendation answer;
  answer.profile = question.profile;
  answer.hardware = hardware;
  answer.defaults = question.defaults;
  answer.knowledge_digest = knowledge.digest;
  answer.knowledge_rules = static_cast<std::int64_t>(tools.rules.size());
  answer.knowledge_measurements =
      static_cast<std::int64_t>(knowledge.quality.size() + knowledge.speed.size() + knowledge.scores.size());
  answer.outcome = decision.outcome;
  answer.verdict = decision.verdict;
  answer.options = std::move(decision.options);
  answer.rejections = std::move(decision.rejections);
  answer.gaps = std::move(decision.gaps);
  if (!question.table)
    answer.gaps.push_back(
        {"scores on " + question.task.id, "published scores of models on " + question.task.family + " tasks"});
  if (profile.budget.hours_to_compress)
    answer.gaps.push_back({"budget.hours_to_compress", "an estimate of compression time, which is not made yet"});
  add_profile_findings(tools, question, profile, answer);
  if (answer.outcome == Outcome::infeasible && decision.memory_killed)
    answer.counterfactuals = counterfactuals(tools, question);
  return answer;
}

}  // namespace advisor
