#include "recommend/assign.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "estimate/distribution.h"

namespace advisor {

namespace {

/// Not worth telling apart: rounding of sums in another order.
constexpr double equal_costs = 1e-9;

std::size_t at(int index) { return static_cast<std::size_t>(index); }

int distinct(std::span<const int> servant) {
  std::vector<int> sorted(servant.begin(), servant.end());
  std::sort(sorted.begin(), sorted.end());
  return static_cast<int>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
}

class Solver {
 public:
  explicit Solver(const Assigning& problem) : p_(problem), tasks_(problem.shares.size()), least_(tasks_ + 1, 0) {
    for (std::size_t task = tasks_; task-- > 0;) {
      double best = not_allowed;
      for (const auto& servant : p_.servants) best = std::min(best, servant.cost[task]);
      least_[task] = least_[task + 1] + best;
    }
    for (std::size_t task = 0; task < tasks_; ++task) {
      auto& order = orders_.emplace_back(p_.servants.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int a, int b) { return p_.servants[at(a)].cost[task] < p_.servants[at(b)].cost[task]; });
    }
  }

  std::optional<Assigned> solve() {
    if (least_[0] < not_allowed) extend(0);
    return best_;
  }

 private:
  void extend(double cost) {
    const std::size_t task = chosen_.size();
    if (task == tasks_) return consider(cost);
    for (const int servant : orders_[task]) {
      const double more = p_.servants[at(servant)].cost[task];
      if (more == not_allowed) break;
      if (best_ && cost + more + least_[task + 1] > best_->cost * (1 + equal_costs)) break;
      chosen_.push_back(servant);
      if (expected_memory() <= p_.available) extend(cost + more);
      chosen_.pop_back();
    }
  }

  /// Of the tasks so far. More of them only ever need more, and no chance of a half or better comes with an expectation
  /// beyond what there is.
  double expected_memory() const {
    double bytes = 0;
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      if (std::find(chosen_.begin(), chosen_.begin() + static_cast<std::ptrdiff_t>(i), chosen_[i]) !=
          chosen_.begin() + static_cast<std::ptrdiff_t>(i))
        continue;
      double share = 0;
      for (std::size_t j = i; j < chosen_.size(); ++j) share += chosen_[j] == chosen_[i] ? p_.shares[j] : 0;
      const auto& servant = p_.servants[at(chosen_[i])];
      bytes += servant.base + servant.cache * sequences(share, p_.concurrency);
    }
    return bytes;
  }

  void consider(double cost) {
    auto result = judge_together(p_, chosen_);
    if (!(result.probability >= p_.confidence) || !better(result, cost)) return;
    if (p_.holds && !p_.holds(chosen_)) return;
    best_ = std::move(result);
  }

  bool better(const Assigned& result, double cost) const {
    if (!best_) return true;
    if (std::abs(cost - best_->cost) > equal_costs * best_->cost) return cost < best_->cost;
    const int mine = distinct(result.servant), other = distinct(best_->servant);
    if (mine != other) return mine < other;
    const double more = quality(result) - quality(*best_);
    if (std::abs(more) > equal_costs) return more > 0;
    return result.servant < best_->servant;
  }

  double quality(const Assigned& result) const {
    double sum = 0;
    for (std::size_t i = 0; i < tasks_; ++i) sum += p_.shares[i] * p_.servants[at(result.servant[i])].quality;
    return sum;
  }

  const Assigning& p_;
  std::size_t tasks_;
  std::vector<double> least_;             ///< cost of this and all later tasks at least
  std::vector<std::vector<int>> orders_;  ///< of each task: servants, the cheapest first
  std::vector<int> chosen_;
  std::optional<Assigned> best_;
};

bool replaces(const Servant& a, const Servant& b) {
  for (std::size_t i = 0; i < a.cost.size(); ++i)
    if (!(a.cost[i] <= b.cost[i])) return false;
  return a.base <= b.base && a.base_variance <= b.base_variance && a.cache <= b.cache && a.cache_sd <= b.cache_sd &&
         a.host <= b.host && a.host_variance <= b.host_variance && a.quality >= b.quality && a.latency <= b.latency;
}

}  // namespace

double sequences(double share, double concurrency) { return std::max(1.0, std::ceil(share * concurrency - 1e-9)); }

Assigned judge_together(const Assigning& p, std::span<const int> servant) {
  Assigned result{{servant.begin(), servant.end()}, 0, 0, 0, 0};
  double variance = p.available_sd * p.available_sd, host_variance = 0;
  std::vector<bool> counted(servant.size(), false);
  for (std::size_t i = 0; i < servant.size(); ++i) {
    const auto& one = p.servants[at(servant[i])];
    result.cost += one.cost[i];
    if (counted[i]) continue;
    double share = 0;
    for (std::size_t j = i; j < servant.size(); ++j)
      if (servant[j] == servant[i]) counted[j] = true, share += p.shares[j];
    const double n = sequences(share, p.concurrency);
    result.memory += one.base + one.cache * n;
    variance += one.base_variance + one.cache_sd * n * one.cache_sd * n;
    result.host += one.host, host_variance += one.host_variance;
  }
  result.probability = Distribution{result.memory, std::sqrt(variance), 30}.probability_below(p.available);
  if (result.host > 0)
    result.probability =
        std::min(result.probability,
                 Distribution{result.host, std::sqrt(host_variance), 30}.probability_below(p.host_available));
  return result;
}

std::optional<Assigned> assign(const Assigning& problem) { return Solver(problem).solve(); }

std::vector<int> undominated(std::span<const Servant> servants) {
  std::vector<int> kept;
  for (std::size_t i = 0; i < servants.size(); ++i) {
    const auto beats = [&](int one) { return replaces(servants[at(one)], servants[i]); };
    if (std::any_of(kept.begin(), kept.end(), beats)) continue;
    std::erase_if(kept, [&](int one) { return replaces(servants[i], servants[at(one)]); });
    kept.push_back(static_cast<int>(i));
  }
  return kept;
}

}  // namespace advisor
