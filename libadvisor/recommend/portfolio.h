// Several tasks on the same hardware: each is a question of its own, asked with its share of the requests; then the
// cheapest set of variants that fit the hardware together, and which task goes to which.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "recommend/assign.h"
#include "recommend/decide.h"

namespace advisor {

class Considering;

struct PortfolioTask {
  std::string name;  ///< as in the profile: benchmark or type
  double share = 1;  ///< of all requests, fraction of 1
  Question question;
  Decision decision;
};

/// A variant that was chosen.
struct Deployed {
  std::vector<int> tasks;  ///< that it serves, in order
  double share = 0;        ///< of all requests
  double sequences = 1;    ///< at the same time
  Cell cell;               ///< judged for the task with the largest share, at that many sequences
  int judged_for = 0;      ///< that task
};

struct Portfolio {
  std::vector<PortfolioTask> tasks;
  Outcome outcome = Outcome::infeasible;
  std::optional<Verdict> verdict;               ///< that of the one variant where one serves all tasks
  std::vector<Deployed> deployed;               ///< by share served, then by variant
  Assigned together;                            ///< of what was chosen, else of what is missed by least
  double available = 0;                         ///< bytes that `together` may fill
  bool too_slow = false;                        ///< fits, but not within the latency limits
  const Cell& cell_of(std::size_t task) const;  ///< in its own decision
};

/// Exact among variants of one engine; engines are compared by what their best set costs. `to_the_end`: tasks are
/// decided even when an earlier one is infeasible.
Portfolio decide_portfolio(const Toolbox& tools, const Profile& profile, const Hardware& hardware,
                           const Model* checkpoint_model, bool to_the_end = true);

Recommendation recommend_portfolio(const Considering& considering, const Profile& profile, const Hardware& hardware,
                                   const Model* checkpoint_model);

/// The question at another number of sequences at the same time, and `factor` times the requests.
Question at_load(const Question& question, double sequences, double factor);

}  // namespace advisor
