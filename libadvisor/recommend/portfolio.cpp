#include "recommend/portfolio.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <numeric>
#include <set>

#include "recommend/cell_judge.h"
#include "recommend/detail.h"

namespace advisor {

namespace {

std::size_t at(int index) { return static_cast<std::size_t>(index); }

/// A task as if it were alone, with its share of the requests.
Profile alone(const Profile& whole, std::size_t index, double share) {
  const auto& goal = whole.tasks[index];
  Profile p = whole;
  p.tasks.clear();
  p.task.type = goal.task.type, p.task.benchmark = goal.task.benchmark;
  p.task.critical = goal.task.critical, p.task.in_context = goal.task.in_context;
  if (goal.accuracy.min || goal.accuracy.retain)
    p.accuracy.min = goal.accuracy.min, p.accuracy.retain = goal.accuracy.retain;
  p.workload.concurrency = static_cast<std::int64_t>(sequences(share, static_cast<double>(whole.workload.concurrency)));
  if (p.workload.requests_per_second) *p.workload.requests_per_second *= share;
  const std::string prefix = "tasks." + std::to_string(index) + ".";
  for (const auto& path : whole.given) {
    if (path.starts_with("tasks.")) p.given.erase(path);
    if (path.starts_with(prefix)) p.given.insert(path.substr(prefix.size()));
  }
  return p;
}

/// What stands for money where no price is known: the time of a token, or where no speed is known either, the bytes.
enum class Currency { usd, seconds, bytes };

double price_of(const Cell& cell, Currency currency) {
  switch (currency) {
    case Currency::usd: return cell.objectives.cost;
    case Currency::seconds: return cell.has_speed ? std::exp(-cell.log_decode.mean) : not_allowed;
    case Currency::bytes: return cell.memory_total;
  }
  return not_allowed;
}

/// A model under a treatment, and its cell in the decision of each task (-1: it fails there).
struct Candidate {
  int model, treatment;
  std::vector<int> cells;
};

class Chooser {
 public:
  Chooser(const Toolbox& tools, const Profile& profile, Portfolio& portfolio)
      : tools_(tools), profile_(profile), portfolio_(portfolio), tasks_(portfolio.tasks.size()) {
    for (const auto& task : portfolio.tasks)
      for (const int index : task.decision.ranked) {
        const auto& cell = task.decision.cells[at(index)];
        if (std::isfinite(cell.objectives.cost)) currency_ = Currency::usd;
        if (currency_ == Currency::bytes && cell.has_speed) currency_ = Currency::seconds;
      }
  }

  void choose() {
    collect();
    for (const auto& [engine, members] : by_engine_) consider(members);
    if (!best_) {
      nearest();
      return;
    }
    portfolio_.outcome = Outcome::recommended;
    portfolio_.together = best_->first;
    portfolio_.available = best_available_;
    deploy();
  }

 private:
  const Cell& cell(const Candidate& one, std::size_t task) const {
    return portfolio_.tasks[task].decision.cells[at(one.cells[task])];
  }

  void collect() {
    std::map<std::pair<int, int>, Candidate> all;
    for (std::size_t task = 0; task < tasks_; ++task)
      for (const int index : portfolio_.tasks[task].decision.ranked) {
        const auto& cell = portfolio_.tasks[task].decision.cells[at(index)];
        auto& one = all.try_emplace({cell.model, cell.treatment},
                                    Candidate{cell.model, cell.treatment, std::vector<int>(tasks_, -1)})
                        .first->second;
        one.cells[task] = index;
      }
    for (const auto& [key, one] : all) by_engine_[tools_.catalog.treatments()[at(one.treatment)].engine].push_back(one);
  }

  /// Memory in parts: of the task that the candidate serves with the fewest sequences.
  void measure(const Candidate& one, Servant& servant, Assigning& problem) {
    const auto task = at(static_cast<int>(
        std::find_if(one.cells.begin(), one.cells.end(), [](int index) { return index >= 0; }) - one.cells.begin()));
    auto& judge = judge_of(task, portfolio_.tasks[task].question.profile.workload.concurrency);
    judge.enter(one.model);
    judge.judge(judge.applied(cell(one, task)));
    const auto& memory = judge.memory();
    const auto n = static_cast<double>(portfolio_.tasks[task].question.profile.workload.concurrency);
    servant.base = memory.weights + memory.overhead;
    servant.base_variance = memory.weights_sd * memory.weights_sd + memory.overhead_sd * memory.overhead_sd;
    servant.cache = memory.kv_cache / n, servant.cache_sd = memory.kv_cache_sd / n;
    const auto host = judge.host_need();
    servant.host = host.mean, servant.host_variance = host.sd * host.sd;
    problem.available = memory.available, problem.available_sd = memory.available_sd;
    problem.host_available = usable_host_memory(portfolio_.tasks[task].question.hardware);
  }

  Assigning problem_of(const std::vector<Candidate>& members) {
    Assigning problem;
    problem.confidence = profile_.confidence;
    problem.concurrency = static_cast<double>(profile_.workload.concurrency);
    for (const auto& task : portfolio_.tasks) problem.shares.push_back(task.share);
    const bool timed = profile_.slo.ttft || profile_.slo.tpot;
    for (const auto& one : members) {
      Servant servant;
      for (std::size_t task = 0; task < tasks_; ++task) {
        const bool able = one.cells[task] >= 0;
        const double share = problem.shares[task];
        servant.cost.push_back(able ? share * price_of(cell(one, task), currency_) : not_allowed);
        if (!able) continue;
        servant.quality += share * cell(one, task).objectives.quality;
        if (timed) servant.latency = std::max(servant.latency, cell(one, task).objectives.latency);
      }
      measure(one, servant, problem);
      problem.servants.push_back(std::move(servant));
    }
    return problem;
  }

  void consider(const std::vector<Candidate>& members) {
    auto problem = problem_of(members);
    std::vector<Candidate> kept;
    std::vector<Servant> servants;
    for (const int index : undominated(problem.servants)) {
      kept.push_back(members[at(index)]);
      servants.push_back(problem.servants[at(index)]);
    }
    problem.servants = std::move(servants);
    problem.holds = [&](std::span<const int> servant) { return within_limits(problem, kept, servant); };
    const auto found = assign(problem);
    if (!found || (best_ && best_->first.cost <= found->cost)) return;
    best_ = {*found, {}};
    for (const int index : found->servant) best_->second.push_back(kept[at(index)]);
    best_available_ = problem.available;
  }

  CellJudge& judge_of(std::size_t task, std::int64_t n) {
    auto& known = judges_[{task, n}];
    if (known.judge == nullptr) {
      const auto& own = portfolio_.tasks[task];
      const double factor = static_cast<double>(n) / static_cast<double>(own.question.profile.workload.concurrency);
      known.question = std::make_unique<Question>(at_load(own.question, static_cast<double>(n), factor));
      known.judge = std::make_unique<CellJudge>(tools_, *known.question);
    }
    return *known.judge;
  }

  Cell judged(const Candidate& one, std::size_t task, double n) {
    auto& judge = judge_of(task, static_cast<std::int64_t>(n));
    judge.enter(one.model);
    return judge.judge(judge.applied(cell(one, task)));
  }

  /// With all requests that a variant gets, and the others taking turns on the same devices: a token then waits for one
  /// of each.
  bool within_limits(const Assigning& problem, const std::vector<Candidate>& kept, std::span<const int> servant) {
    std::vector<Cell> cells;
    std::map<int, const Cell*> one_of_each;
    for (std::size_t task = 0; task < tasks_; ++task) {
      double share = 0;
      for (std::size_t other = 0; other < tasks_; ++other)
        share += servant[other] == servant[task] ? problem.shares[other] : 0;
      cells.push_back(judged(kept[at(servant[task])], task, sequences(share, problem.concurrency)));
      if (cells.back().fate != Fate::feasible) return false;
    }
    for (std::size_t task = 0; task < tasks_; ++task) one_of_each.try_emplace(servant[task], &cells[task]);
    if (one_of_each.size() == 1) return true;
    return in_time(cells, one_of_each, &Cell::log_tpot, profile_.slo.tpot) &&
           in_time(cells, one_of_each, &Cell::log_ttft, profile_.slo.ttft);
  }

  bool in_time(const std::vector<Cell>& cells, const std::map<int, const Cell*>& one_of_each, Kept Cell::*log,
               const std::optional<double>& limit) const {
    if (!limit) return true;
    double round = 0;
    for (const auto& [index, cell] : one_of_each) round += std::exp((cell->*log).mean);
    return std::all_of(cells.begin(), cells.end(), [&](const Cell& cell) {
      auto shared = cell.*log;
      shared.mean = std::log(round);
      return shared.probability_below(std::log(*limit)) >= profile_.confidence;
    });
  }

  /// Nothing fits: what the cheapest set would need.
  void nearest() {
    portfolio_.outcome = Outcome::infeasible;
    for (const auto& [engine, members] : by_engine_) {
      auto problem = problem_of(members);
      const double available = problem.available;
      portfolio_.too_slow |= assign(problem).has_value();
      problem.available = problem.host_available = 1e30;
      const auto found = assign(problem);
      if (!found ||
          (portfolio_.available > 0 && portfolio_.together.memory / portfolio_.available <= found->memory / available))
        continue;
      portfolio_.together = *found, portfolio_.available = available;
    }
  }

  void deploy() {
    std::map<std::pair<int, int>, Deployed> all;
    for (std::size_t task = 0; task < tasks_; ++task) {
      const auto& one = best_->second[task];
      auto& deployed = all[{one.model, one.treatment}];
      const double share = portfolio_.tasks[task].share;
      if (deployed.tasks.empty() || share > portfolio_.tasks[at(deployed.judged_for)].share)
        deployed.judged_for = static_cast<int>(task);
      deployed.tasks.push_back(static_cast<int>(task));
      deployed.share += share;
    }
    for (auto& [key, deployed] : all) {
      const auto task = at(deployed.judged_for);
      deployed.sequences = sequences(deployed.share, static_cast<double>(profile_.workload.concurrency));
      deployed.cell = judged(best_->second[task], task, deployed.sequences);
      portfolio_.deployed.push_back(deployed);
    }
    std::stable_sort(portfolio_.deployed.begin(), portfolio_.deployed.end(),
                     [](const Deployed& a, const Deployed& b) { return a.share > b.share + 1e-12; });
    portfolio_.verdict =
        portfolio_.deployed.size() > 1 ? Verdict::portfolio : verdict_of(portfolio_.deployed.front().cell.action);
  }

  struct Judge {
    std::unique_ptr<Question> question;
    std::unique_ptr<CellJudge> judge;
  };

  const Toolbox& tools_;
  const Profile& profile_;
  Portfolio& portfolio_;
  std::size_t tasks_;
  Currency currency_ = Currency::bytes;
  std::map<int, std::vector<Candidate>> by_engine_;
  std::map<std::pair<std::size_t, std::int64_t>, Judge> judges_;
  std::optional<std::pair<Assigned, std::vector<Candidate>>> best_;
  double best_available_ = 0;
};

}  // namespace

Question at_load(const Question& question, double sequences, double factor) {
  Question other = question;
  other.profile.workload.concurrency = static_cast<std::int64_t>(sequences);
  if (other.profile.workload.requests_per_second) *other.profile.workload.requests_per_second *= factor;
  return other;
}

const Cell& Portfolio::cell_of(std::size_t task) const {
  for (const auto& one : deployed) {
    if (std::find(one.tasks.begin(), one.tasks.end(), static_cast<int>(task)) == one.tasks.end()) continue;
    for (const auto& cell : tasks[task].decision.cells)
      if (cell.model == one.cell.model && cell.treatment == one.cell.treatment) return cell;
  }
  return tasks[task].decision.first();
}

Portfolio decide_portfolio(const Toolbox& tools, const Profile& profile, const Hardware& hardware,
                           const Model* checkpoint_model, bool to_the_end) {
  Portfolio portfolio;
  double sum = 0;
  for (const auto& goal : profile.tasks) sum += goal.share;
  bool undecided = false, failed = false;
  for (std::size_t i = 0; i < profile.tasks.size(); ++i) {
    const auto& goal = profile.tasks[i];
    PortfolioTask task;
    task.name = goal.task.benchmark.empty() ? goal.task.type : goal.task.benchmark;
    task.share = goal.share / sum;
    task.question = ask(tools, alone(profile, i, task.share), hardware, checkpoint_model);
    task.decision = decide(tools, task.question);
    undecided |= task.decision.outcome == Outcome::insufficient_evidence;
    failed |= task.decision.outcome == Outcome::infeasible;
    portfolio.tasks.push_back(std::move(task));
    if (!to_the_end && (failed || undecided)) break;
  }
  if (failed || undecided) {
    portfolio.outcome = failed ? Outcome::infeasible : Outcome::insufficient_evidence;
    return portfolio;
  }
  Chooser(tools, profile, portfolio).choose();
  return portfolio;
}

}  // namespace advisor
