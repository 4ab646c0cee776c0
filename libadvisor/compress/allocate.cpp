#include "compress/allocate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "core/error.h"

namespace advisor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t max_cost = std::int64_t{1} << 50;  // so that sums cannot overflow

/// Choices that no cheaper one beats, by increasing cost and decreasing error.
std::vector<std::size_t> efficient(const std::vector<Choice>& choices) {
  std::vector<std::size_t> order(choices.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, [&](std::size_t a, std::size_t b) {
    const auto key = [&](std::size_t i) { return std::tuple(choices[i].cost, choices[i].error, i); };
    return key(a) < key(b);
  });
  std::vector<std::size_t> kept;
  for (const std::size_t i : order)
    if (kept.empty() || choices[i].error < choices[kept.back()].error) kept.push_back(i);
  return kept;
}

/// A step along the lower convex hull of a group.
struct Step {
  std::int64_t cost;  ///< more
  double error;       ///< less
  std::size_t group, choice;

  double rate() const { return error / static_cast<double>(cost); }
};

void add_hull(const std::vector<Choice>& choices, const std::vector<std::size_t>& kept, std::size_t group,
              std::vector<Step>& steps) {
  for (std::size_t at = 0; at + 1 < kept.size();) {
    std::size_t best = at + 1;
    const auto step_to = [&](std::size_t to) {
      return Step{choices[kept[to]].cost - choices[kept[at]].cost, choices[kept[at]].error - choices[kept[to]].error,
                  group, kept[to]};
    };
    for (std::size_t to = at + 2; to < kept.size(); ++to)
      if (step_to(to).rate() >= step_to(best).rate()) best = to;
    steps.push_back(step_to(best));
    at = best;
  }
}

/// The relaxation in which groups may be split between choices, for the groups from some group on: take steps of all
/// hulls by decreasing rate while the budget lasts. Its error is a lower bound.
class Relaxation {
 public:
  Relaxation(std::vector<Step> steps, std::int64_t cheapest, double error) : cost_{cheapest}, error_{error} {
    steps_ = std::move(steps);
    for (const Step& step : steps_) {
      cost_.push_back(cost_.back() + step.cost);
      error_.push_back(error_.back() - step.error);
    }
  }

  std::int64_t cheapest() const { return cost_.front(); }

  double bound(std::int64_t budget) const {
    if (budget < cost_.front()) return infinity;
    const auto above = std::ranges::upper_bound(cost_, budget);
    const auto at = static_cast<std::size_t>(above - cost_.begin()) - 1;
    if (at == steps_.size()) return error_[at];
    return error_[at] - steps_[at].rate() * static_cast<double>(budget - cost_[at]);
  }

  const std::vector<Step>& steps() const { return steps_; }

 private:
  std::vector<Step> steps_;
  std::vector<std::int64_t> cost_;  ///< after so many steps
  std::vector<double> error_;
};

struct State {
  std::int64_t cost;
  double error;
  std::uint32_t parent, choice;
};

class Solver {
 public:
  Solver(const std::vector<std::vector<Choice>>& groups, std::int64_t budget, std::size_t states)
      : groups_(groups), budget_(budget), limit_(std::max<std::size_t>(states, 1)) {
    for (const auto& choices : groups) kept_.push_back(efficient(choices));
    relax();
  }

  std::optional<Allocation> run() {
    if (rest_.front().cheapest() > budget_) return std::nullopt;
    best_ = rounded();
    std::vector<State> states{{0, 0, 0, 0}};
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      states = extend(states, g);
      history_.push_back(states);
      if (states.empty()) break;  // nothing can beat what was found
    }
    if (!history_.empty() && history_.size() == groups_.size() && !states.empty()) best_ = trace();
    best_.bound = std::min(best_.error, dropped_);
    return std::move(best_);
  }

 private:
  void relax() {
    std::vector<Step> steps;
    std::int64_t cheapest = 0;
    double error = 0;
    rest_.emplace_back(steps, cheapest, error);
    for (std::size_t g = groups_.size(); g-- > 0;) {
      add_hull(groups_[g], kept_[g], g, steps);
      std::ranges::stable_sort(steps, [](const Step& a, const Step& b) { return a.rate() > b.rate(); });
      cheapest += groups_[g][kept_[g].front()].cost;
      error += groups_[g][kept_[g].front()].error;
      rest_.emplace_back(steps, cheapest, error);
    }
    std::ranges::reverse(rest_);
  }

  /// All steps of the relaxation that fit, then any single change that fits and helps most.
  Allocation rounded() const {
    Allocation found;
    for (std::size_t g = 0; g < groups_.size(); ++g) found.chosen.push_back(kept_[g].front());
    found.cost = rest_.front().cheapest();
    std::vector<bool> stopped(groups_.size(), false);
    for (const Step& step : rest_.front().steps()) {
      if (stopped[step.group]) continue;
      stopped[step.group] = found.cost + step.cost > budget_;
      if (stopped[step.group]) continue;
      found.cost += step.cost;
      found.chosen[step.group] = step.choice;
    }
    while (improve(found)) {
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) found.error += groups_[g][found.chosen[g]].error;
    return found;
  }

  bool improve(Allocation& found) const {
    double gain = 0;
    std::size_t group = 0, choice = 0;
    for (std::size_t g = 0; g < groups_.size(); ++g) {
      const Choice& now = groups_[g][found.chosen[g]];
      for (const std::size_t c : kept_[g]) {
        const Choice& other = groups_[g][c];
        if (found.cost - now.cost + other.cost > budget_ || now.error - other.error <= gain) continue;
        gain = now.error - other.error;
        group = g;
        choice = c;
      }
    }
    if (gain <= 0) return false;
    found.cost += groups_[group][choice].cost - groups_[group][found.chosen[group]].cost;
    found.chosen[group] = choice;
    return true;
  }

  std::vector<State> extend(const std::vector<State>& states, std::size_t g) {
    const Relaxation& rest = rest_[g + 1];
    std::vector<State> next;
    for (std::size_t s = 0; s < states.size(); ++s)
      for (const std::size_t c : kept_[g]) {
        const State state{states[s].cost + groups_[g][c].cost, states[s].error + groups_[g][c].error,
                          static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(c)};
        // A little above the bound rounding errors of the sums decide, so that much is not looked for.
        if (state.error + rest.bound(budget_ - state.cost) < best_.error * (1 - 1e-12)) next.push_back(state);
      }
    std::ranges::sort(next, [](const State& a, const State& b) {
      return std::tuple(a.cost, a.error, a.parent, a.choice) < std::tuple(b.cost, b.error, b.parent, b.choice);
    });
    std::size_t kept = 0;
    for (const State& state : next)
      if (kept == 0 || state.error < next[kept - 1].error) next[kept++] = state;
    next.resize(kept);
    if (kept > limit_) drop(next, rest);
    return next;
  }

  /// Keeps the most promising states and remembers what the others could have become.
  void drop(std::vector<State>& states, const Relaxation& rest) {
    std::vector<std::pair<double, std::size_t>> bounds;
    for (std::size_t s = 0; s < states.size(); ++s)
      bounds.emplace_back(states[s].error + rest.bound(budget_ - states[s].cost), s);
    std::ranges::sort(bounds);
    dropped_ = std::min(dropped_, bounds[limit_].first);
    bounds.resize(limit_);
    std::ranges::sort(bounds, {}, &std::pair<double, std::size_t>::second);
    std::vector<State> kept;
    for (const auto& [bound, s] : bounds) kept.push_back(states[s]);
    states = std::move(kept);
  }

  Allocation trace() const {
    Allocation found;
    found.chosen.resize(groups_.size());
    const auto last = std::ranges::min_element(history_.back(), {}, &State::error);
    found.cost = last->cost;
    auto at = static_cast<std::size_t>(last - history_.back().begin());
    for (std::size_t g = groups_.size(); g-- > 0;) {
      const State& state = history_[g][at];
      found.chosen[g] = state.choice;
      at = state.parent;
    }
    for (std::size_t g = 0; g < groups_.size(); ++g) found.error += groups_[g][found.chosen[g]].error;
    return found;
  }

  const std::vector<std::vector<Choice>>& groups_;
  const std::int64_t budget_;
  const std::size_t limit_;
  std::vector<std::vector<std::size_t>> kept_;  ///< efficient choices
  std::vector<Relaxation> rest_;                ///< of the groups from each group on
  std::vector<std::vector<State>> history_;
  Allocation best_;
  double dropped_ = infinity;  ///< least bound of a state that was not followed
};

}  // namespace

std::optional<Allocation> allocate(const std::vector<std::vector<Choice>>& groups, std::int64_t budget,
                                   std::size_t states) {
  for (const auto& choices : groups) {
    if (choices.empty()) throw Error(ErrorCode::invalid_argument, "a group has nothing to choose from");
    for (const Choice& choice : choices)
      if (choice.cost < 0 || choice.cost > max_cost || !(choice.error >= 0) || !std::isfinite(choice.error))
        throw Error(ErrorCode::invalid_argument,
                    "a choice has cost " + std::to_string(choice.cost) + " and error " + std::to_string(choice.error));
  }
  return Solver(groups, budget, states).run();
}

}  // namespace advisor
