// A portfolio in words.
#include <algorithm>
#include <cmath>

#include "core/fields.h"
#include "core/units.h"
#include "recommend/accuracy.h"
#include "recommend/cell_judge.h"
#include "recommend/consider.h"
#include "recommend/counterfactual.h"
#include "recommend/detail.h"
#include "recommend/next_measurement.h"
#include "recommend/plan.h"
#include "recommend/portfolio.h"
#include "recommend/rejections.h"
#include "recommend/routing.h"

namespace advisor {

namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

std::string bytes(double value) { return format_quantity(value, Dimension::bytes); }

std::string names_of(const Portfolio& portfolio, const Deployed& deployed) {
  std::string text;
  for (const int task : deployed.tasks) text += (text.empty() ? "" : ", ") + portfolio.tasks[at(task)].name;
  return text;
}

void add_options(const Toolbox& tools, const Portfolio& portfolio, Recommendation& answer) {
  const auto& together = portfolio.together;
  const std::string memory = bytes(together.memory) + " of " + bytes(portfolio.available);
  for (const auto& deployed : portfolio.deployed) {
    const auto& own = portfolio.tasks[at(deployed.judged_for)].question;
    const auto q =
        at_load(own, deployed.sequences, deployed.sequences / static_cast<double>(own.profile.workload.concurrency));
    CellJudge judge(tools, q);
    auto option = describe(tools, q, judge, deployed.cell, &answer.gaps);
    option.rank = static_cast<int>(answer.options.size()) + 1;
    add_plan(tools, q, judge, deployed.cell, option);
    option.decided_by = "serves " + names_of(portfolio, deployed) + ": " + percent(deployed.share) +
                        " of the requests, " + format_number(deployed.sequences) +
                        " at a time; no other set of variants that meets every limit costs less";
    if (portfolio.deployed.size() > 1)
      option.warnings.push_back(
          "shares the hardware with " + std::to_string(portfolio.deployed.size() - 1) +
          (portfolio.deployed.size() == 2 ? " other variant" : " other variants") + ": all together need " + memory +
          " (" + percent(together.probability) + " likely to fit), of which this one may take " +
          percent(option.memory.total / option.memory.available) +
          "; its own speed is that with the hardware to itself, which the others slow down while they compute");
    answer.options.push_back(std::move(option));
  }
}

void add_assignments(const Toolbox& tools, const Portfolio& portfolio, Recommendation& answer) {
  for (std::size_t i = 0; i < portfolio.tasks.size(); ++i) {
    const auto& task = portfolio.tasks[i];
    const auto& cell = portfolio.cell_of(i);
    Assignment one;
    one.task = task.name, one.share = task.share;
    for (std::size_t k = 0; k < portfolio.deployed.size(); ++k)
      if (std::count(portfolio.deployed[k].tasks.begin(), portfolio.deployed[k].tasks.end(), static_cast<int>(i)) > 0)
        one.option = answer.options[k].rank;
    const auto words = quality_words(tools, task.question, cell);
    if (words.estimate && std::isfinite(words.estimate->value.mean)) one.quality = words.estimate->value;
    one.probability = cell.chances.accuracy;
    const auto& limit = task.question.profile.accuracy;
    one.because = limit.min ? "at least " + percent(*limit.min) + " wanted"
                            : percent(*limit.retain) + " of the score of " + task.question.model->id + " wanted";
    if (one.probability) one.because += ", " + percent(*one.probability) + " likely";
    if (std::isfinite(cell.objectives.cost))
      one.because += "; " + format_number(std::round(cell.objectives.cost * 1000) / 1000) + " USD per million tokens";
    one.because += "; " + std::to_string(task.decision.ranked.size()) + " variants would do for this task";
    answer.assignments.push_back(std::move(one));
  }
}

/// What keeps each task from being served, and what all together need.
void add_rejections(const Toolbox& tools, const Portfolio& portfolio, Recommendation& answer) {
  for (const auto& task : portfolio.tasks) {
    CellJudge judge(tools, task.question);
    const bool killed = task.decision.outcome != Outcome::recommended;
    for (auto& rejection : rejections_of(tools, task.question, judge, task.decision)) {
      rejection.because = task.name + (killed ? ", which nothing serves: " : ": ") + rejection.because;
      answer.rejections.push_back(std::move(rejection));
    }
    for (auto& gap : gaps_of(tools, task.question, task.decision)) answer.gaps.push_back(std::move(gap));
  }
  const auto& together = portfolio.together;
  if (portfolio.outcome == Outcome::recommended || together.servant.empty()) return;
  const auto& question = portfolio.tasks.front().question;
  Rejection rejection{"", question.model->id, "", "", "", portfolio.too_slow ? "latency" : "memory", "", "", {}};
  rejection.because = portfolio.too_slow
                          ? "every task has variants that meet its limits alone, but not with all "
                            "requests and taking turns on the same devices"
                          : "every task has variants that meet its limits alone; together the nearest "
                            "set needs " +
                                bytes(together.memory) + ", " + bytes(portfolio.available) + " available on " +
                                device_name(question.hardware) +
                                (together.host > 0 ? ", and " + bytes(together.host) + " of the host's memory" : "");
  answer.rejections.insert(answer.rejections.begin(), std::move(rejection));
}

/// A variant that suits a task is an option only where the set that is deployed uses it for that task.
void settle(const Portfolio& portfolio, const Assignment* assignment, const Cell& cell, std::size_t task,
            Answered& one) {
  const std::string alone = "meets the limits of " + one.task + " alone";
  if (assignment == nullptr) {
    one.judgement = Judgement::rejected, one.option = 0, one.code = portfolio.too_slow ? "latency" : "memory";
    one.because = alone + ", but no set of variants serves all tasks together";
    return;
  }
  const auto& chosen = portfolio.cell_of(task);
  const bool deployed = chosen.model == cell.model && chosen.treatment == cell.treatment;
  one.judgement = deployed ? Judgement::option : Judgement::dominated;
  one.option = assignment->option;
  one.because = deployed ? "serves " + one.task
                         : alone + ", but the cheapest set of variants for all tasks takes option " +
                               std::to_string(one.option) + " for it";
}

void add_answers(const Considering& considering, const Portfolio& portfolio, Recommendation& answer) {
  for (std::size_t i = 0; i < portfolio.tasks.size() && !considering.asked().empty(); ++i) {
    const auto& task = portfolio.tasks[i];
    CellJudge judge(considering.tools(), task.question);
    auto all = answers(considering, task.question, judge, task.decision, {});
    for (std::size_t k = 0; k < all.size(); ++k) {
      auto& one = all[k];
      one.task = task.name;
      if (one.judgement == Judgement::option || one.judgement == Judgement::dominated)
        settle(portfolio, answer.assignments.empty() ? nullptr : &answer.assignments[i],
               *cell_of(considering, considering.asked()[k], task.question, task.decision), i, one);
      answer.answered.push_back(std::move(one));
    }
  }
}

void add_defaults(const Portfolio& portfolio, Recommendation& answer) {
  answer.defaults = applied_defaults(answer.profile);
  for (std::size_t i = 0; i < portfolio.tasks.size(); ++i)
    for (const auto& [field, value] : defaults_of(portfolio.tasks[i].question)) {
      const bool own = field.starts_with("task.") || field.starts_with("accuracy.") || field == "scores";
      if (own) answer.defaults["tasks." + std::to_string(i) + "." + field] = value;
      if (field == "engine" || field == "cost.utilisation") answer.defaults[field] = value;
    }
  answer.defaults["portfolio"] = "each task with its share of the requests; costs as with that share alone";
}

Try deciding(const Toolbox& tools, const Model* checkpoint) {
  return [&tools, checkpoint](const Situation& then, const std::string&) {
    const auto portfolio = decide_portfolio(tools, then.profile, then.hardware, checkpoint, false);
    Trial trial;
    if (portfolio.outcome != Outcome::recommended) return trial;
    const auto& first = portfolio.deployed.front();
    trial.reached = true;
    trial.verdict = name(*portfolio.verdict);
    trial.variant = variant_of(tools, portfolio.tasks[at(first.judged_for)].question, first.cell).id();
    return trial;
  };
}

}  // namespace

Recommendation recommend_portfolio(const Considering& considering, const Profile& profile, const Hardware& hardware,
                                   const Model* checkpoint_model) {
  const auto& tools = considering.tools();
  const auto portfolio = decide_portfolio(tools, profile, hardware, checkpoint_model);
  Recommendation answer;
  answer.outcome = portfolio.outcome;
  answer.verdict = portfolio.verdict;
  answer.profile = profile;
  answer.hardware = hardware;
  add_defaults(portfolio, answer);
  std::vector<const Decision*> decisions;
  for (const auto& task : portfolio.tasks) {
    decisions.push_back(&task.decision);
    answer.models_considered = std::max(answer.models_considered, task.decision.models_considered);
    answer.variants_considered += task.decision.variants_considered;
    answer.variants_feasible += static_cast<std::int64_t>(task.decision.ranked.size());
  }
  if (portfolio.outcome == Outcome::recommended) {
    add_options(tools, portfolio, answer);
    add_assignments(tools, portfolio, answer);
    answer.routing = routing_thresholds(portfolio, answer.options);
  } else {
    answer.counterfactuals = search(tools, {profile, hardware}, decisions, {deciding(tools, checkpoint_model)});
    for (const auto& task : portfolio.tasks)
      if (task.decision.outcome != Outcome::recommended)
        for (auto& one : next_measurements(tools, task.question, CellJudge(tools, task.question), task.decision))
          answer.measure.push_back(std::move(one));
  }
  add_answers(considering, portfolio, answer);
  add_rejections(tools, portfolio, answer);
  sort_gaps(answer.gaps);
  return answer;
}

}  // namespace advisor
