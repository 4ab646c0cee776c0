#include "recommend/recommend.h"

#include <algorithm>
#include <vector>

#include "recommend/consider.h"
#include "recommend/counterfactual.h"
#include "recommend/decide.h"
#include "recommend/detail.h"
#include "recommend/next_measurement.h"
#include "recommend/plan.h"
#include "recommend/portfolio.h"
#include "recommend/question.h"
#include "recommend/rejections.h"

namespace advisor {

namespace {

Place place_of(const Cell& cell, const std::string& id) { return {cell.objectives, static_cast<int>(cell.action), id}; }

void add_options(const Toolbox& tools, const Question& q, CellJudge& judge, const Decision& decision,
                 Recommendation& answer) {
  for (const int index : decision.front) {
    const auto& cell = decision.cells[static_cast<std::size_t>(index)];
    auto option = describe(tools, q, judge, cell, &answer.gaps);
    option.rank = static_cast<int>(answer.options.size()) + 1;
    add_plan(tools, q, judge, cell, option);
    answer.options.push_back(std::move(option));
  }
  for (std::size_t i = 0; i < answer.options.size(); ++i) {
    auto& option = answer.options[i];
    if (i + 1 == answer.options.size()) {
      option.decided_by = i == 0 ? "the only option that meets every limit and that no other beats"
                                 : "last of those that meet every limit and that no other beats";
      continue;
    }
    const auto& cell = decision.cells[static_cast<std::size_t>(decision.front[i])];
    const auto& next = decision.cells[static_cast<std::size_t>(decision.front[i + 1])];
    option.decided_by =
        decided_by(place_of(cell, option.variant.id()), place_of(next, answer.options[i + 1].variant.id()),
                   q.profile.priority, static_cast<int>(i) + 2);
  }
}

void add_dominated(const Toolbox& tools, const Question& q, const Decision& decision, Recommendation& answer) {
  const auto by = dominating(decision);
  std::vector<std::size_t> place(decision.cells.size());  // in the front, and how many each of it dominates
  std::vector<std::size_t> count(decision.front.size());
  for (std::size_t i = 0; i < decision.front.size(); ++i) place[static_cast<std::size_t>(decision.front[i])] = i;
  for (const int index : by) ++count[place[static_cast<std::size_t>(index)]];
  for (std::size_t i = 0; i < decision.front.size(); ++i) {
    const auto& cell = decision.cells[static_cast<std::size_t>(decision.front[i])];
    answer.dominated.push_back({id_of(tools, q, cell), {}});
    answer.dominated.back().variants.reserve(count[i]);
  }
  for (std::size_t i = 0; i < decision.ranked.size(); ++i) {
    if (by[i] == decision.ranked[i]) continue;
    const auto& cell = decision.cells[static_cast<std::size_t>(decision.ranked[i])];
    answer.dominated[place[static_cast<std::size_t>(by[i])]].variants.push_back(id_of(tools, q, cell));
  }
  std::erase_if(answer.dominated, [](const Dominated& group) { return group.variants.empty(); });
}

/// Rules about the profile itself: they are said once, not per option.
void add_profile_findings(const Question& q, CellJudge& judge, Recommendation& answer) {
  const auto findings = judge.profile_findings();
  for (const auto& warn : findings.warns)
    answer.gaps.push_back({warn.reason, "a change of the profile (rule " + warn.rule + ")"});
  for (const auto& forbid : findings.forbids)
    answer.rejections.push_back({"", q.model->id, "", "", "", forbid.code, forbid.rule, forbid.reason, {}});
}

void add_knowledge(const Toolbox& tools, Recommendation& answer) {
  const auto& knowledge = tools.knowledge;
  answer.knowledge_digest = knowledge.digest;
  answer.knowledge_rules = static_cast<std::int64_t>(tools.rules.size());
  answer.knowledge_measurements =
      static_cast<std::int64_t>(knowledge.quality.size() + knowledge.speed.size() + knowledge.scores.size());
}

}  // namespace

Recommendation recommend(const Profile& profile, const Hardware& hardware, const Toolbox& general,
                         const Model* checkpoint_model) {
  const Considering considering(general, profile, hardware, checkpoint_model);
  const auto& tools = considering.tools();
  if (!profile.tasks.empty()) {
    auto answer = recommend_portfolio(considering, profile, hardware, checkpoint_model);
    add_knowledge(tools, answer);
    return answer;
  }
  const auto question = ask(tools, profile, hardware, checkpoint_model);
  CellJudge judge(tools, question);
  auto decision = decide(tools, question, judge);
  if (decision.outcome == Outcome::infeasible && hangs_on_scores(tools, question, judge, decision))
    decision.outcome = Outcome::insufficient_evidence;

  Recommendation answer;
  answer.outcome = decision.outcome;
  answer.verdict = decision.verdict;
  answer.profile = question.profile;
  answer.hardware = hardware;
  answer.defaults = defaults_of(question);
  add_knowledge(tools, answer);
  answer.models_considered = decision.models_considered;
  answer.variants_considered = decision.variants_considered;
  answer.variants_feasible = static_cast<std::int64_t>(decision.ranked.size());
  add_options(tools, question, judge, decision, answer);
  add_dominated(tools, question, decision, answer);
  answer.answered = answers(considering, question, judge, decision, answer.options);
  answer.rejections = rejections_of(tools, question, judge, decision);
  for (auto& gap : gaps_of(tools, question, decision)) answer.gaps.push_back(std::move(gap));
  sort_gaps(answer.gaps);
  if (!question.table)
    answer.gaps.push_back(
        {"scores on " + question.task.id, "published scores of models on " + question.task.family + " tasks"});
  add_profile_findings(question, judge, answer);
  answer.counterfactuals = counterfactuals(tools, question, judge, decision);
  answer.measure = next_measurements(tools, question, judge, decision);
  return answer;
}

Recommendation recommend(const Profile& profile, const Hardware& hardware, const Knowledge& knowledge,
                         const Model* checkpoint_model) {
  return recommend(profile, hardware, Toolbox(knowledge), checkpoint_model);
}

}  // namespace advisor
