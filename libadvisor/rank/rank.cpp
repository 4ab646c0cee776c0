#include "rank/rank.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

#include "core/error.h"

namespace advisor {

namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();

constexpr std::array limit_names{std::string_view("memory"), std::string_view("accuracy"), std::string_view("ttft"),
                                 std::string_view("tpot"),   std::string_view("budget"),   std::string_view("effort")};

/// Smaller is better in every component, and each can be compared. The first says whether the quality is predicted.
using Costs = std::array<double, 5>;
Costs costs_of(const Objectives& o) {
  const auto known = [](double value) { return std::isnan(value) ? unknown : value; };
  return {o.predicted ? 1.0 : 0.0, known(-o.quality), known(o.cost), known(o.latency), known(o.effort)};
}

bool at_most(const Costs& a, const Costs& b) {
  // without branches: it is asked often
  return (a[0] <= b[0]) & (a[1] <= b[1]) & (a[2] <= b[2]) & (a[3] <= b[3]) & (a[4] <= b[4]);
}

enum class Objective : std::uint8_t { quality = 1, cost, latency, effort };  // where they stand in Costs

constexpr std::array<std::string_view, 4> objective_names{"quality", "cost", "latency", "effort"};
std::string name(Objective objective) { return std::string(objective_names[static_cast<std::size_t>(objective) - 1]); }

/// Each once: a second mention decides nothing. What is not named comes after what is, so that the first in the order
/// is always one that nothing dominates.
std::vector<Objective> objectives_named(std::span<const std::string> priority) {
  std::vector<Objective> objectives;
  for (const auto& text : priority) {
    const auto place = std::find(objective_names.begin(), objective_names.end(), text);
    if (place == objective_names.end())
      throw Error(ErrorCode::invalid_argument,
                  "unknown objective \"" + text + "\" in the priority; it takes quality, cost, latency and effort");
    const auto objective = static_cast<Objective>(place - objective_names.begin() + 1);
    if (std::find(objectives.begin(), objectives.end(), objective) == objectives.end()) objectives.push_back(objective);
  }
  for (const auto rest : {Objective::quality, Objective::cost, Objective::latency, Objective::effort})
    if (std::find(objectives.begin(), objectives.end(), rest) == objectives.end()) objectives.push_back(rest);
  return objectives;
}

/// In steps within which two values count as equal; smaller is better. Quality is a share: steps of 0.1 %. The others
/// are rounded in the logarithm: steps of 1 %. Nothing at all (no cost, no effort) is better than any step.
double quality_step(double value) { return std::isfinite(value) ? std::round(value * 1000) : value; }
double log_step(double value) {
  if (!std::isfinite(value)) return value;
  return value > 0 ? std::round(std::log(value) * 100) : -unknown;
}
double step_of(const Costs& costs, Objective objective) {
  const double value = costs[static_cast<std::size_t>(objective)];
  return objective == Objective::quality ? quality_step(value) : log_step(value);
}

std::string shown(const Costs& costs, Objective objective) {
  const double value = costs[static_cast<std::size_t>(objective)];
  char text[64];
  if (!std::isfinite(value)) return "unknown";
  switch (objective) {
    case Objective::quality: std::snprintf(text, sizeof text, "%.1f %% of the model in use", -100 * value); break;
    case Objective::cost: std::snprintf(text, sizeof text, "%.3g USD per million tokens", value); break;
    case Objective::latency: std::snprintf(text, sizeof text, "%.3g ms per token", 1000 * value); break;
    case Objective::effort:
      if (value >= 1) {
        std::snprintf(text, sizeof text, "%.3g h", value);
      } else {
        std::snprintf(text, sizeof text, "%.2g min", 60 * value);
      }
  }
  return text;
}

}  // namespace

std::string_view name(Limit limit) { return limit_names.at(static_cast<std::size_t>(limit)); }

std::optional<Limit> first_failed(const Chances& chances, double confidence) {
  const std::array<const Chance*, 6> all{&chances.memory, &chances.accuracy, &chances.ttft,
                                                        &chances.tpot,   &chances.budget,   &chances.effort};
  for (std::size_t i = 0; i < all.size(); ++i)
    if (*all[i] && !(**all[i] >= confidence)) return static_cast<Limit>(i);
  return std::nullopt;
}

bool dominates(const Objectives& a, const Objectives& b) {
  const Costs left = costs_of(a), right = costs_of(b);
  return at_most(left, right) && left != right;
}

std::vector<std::size_t> pareto_front(std::span<const Objectives> points) {
  std::vector<std::pair<Costs, std::size_t>> sorted(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) sorted[i] = {costs_of(points[i]), i};
  // Also by index: of equal points the first is kept. What was ranked by quality first comes in order.
  if (!std::is_sorted(sorted.begin(), sorted.end())) std::sort(sorted.begin(), sorted.end());
  std::vector<Costs> front;
  std::vector<std::size_t> kept;
  for (const auto& [costs, index] : sorted) {
    std::size_t i = 0;
    while (i < front.size() && !at_most(front[i], costs)) ++i;
    if (i == front.size()) {
      front.push_back(costs);
      kept.push_back(index);
    } else if (i > 0) {
      std::swap(front[i], front[i / 2]);  // what dominates often moves to where it is tried first
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

std::vector<std::size_t> dominators(std::span<const Objectives> points, std::span<const std::size_t> front) {
  std::vector<Costs> kept;
  for (const std::size_t i : front) kept.push_back(costs_of(points[i]));
  std::vector<std::size_t> by(points.size());
  for (std::size_t i = 0; i < points.size(); ++i) {
    by[i] = i;  // also of a point that nothing in `front` dominates, should the caller leave some out
    const Costs costs = costs_of(points[i]);
    for (std::size_t k = 0; k < kept.size(); ++k)
      if (at_most(kept[k], costs)) {
        by[i] = front[k];
        break;
      }
  }
  return by;
}

Objectives in_steps(const Objectives& o) {
  return {quality_step(o.quality), log_step(o.cost), log_step(o.latency), log_step(o.effort), o.predicted};
}

std::vector<std::size_t> lexicographic(std::span<const Place> places, std::span<const std::string> priority) {
  std::vector<Place> rounded(places.begin(), places.end());
  for (Place& place : rounded) place.objectives = in_steps(place.objectives);
  return lexicographic_in_steps(rounded, priority);
}

std::vector<std::size_t> lexicographic_in_steps(std::span<const Place> places, std::span<const std::string> priority) {
  const auto objectives = objectives_named(priority);
  struct Key {
    Costs steps{};
    std::size_t index = 0;
  };
  std::vector<Key> keys(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) {
    keys[i].index = i;
    const Costs costs = costs_of(places[i].objectives);
    std::size_t k = 0;
    for (const Objective objective : objectives) {
      if (objective == Objective::quality) keys[i].steps[k++] = costs[0];
      keys[i].steps[k++] = costs[static_cast<std::size_t>(objective)];
    }
  }
  std::sort(keys.begin(), keys.end(), [&](const Key& a, const Key& b) {
    for (std::size_t k = 0; k < a.steps.size(); ++k)
      if (a.steps[k] != b.steps[k]) return a.steps[k] < b.steps[k];
    const Place &left = places[a.index], &right = places[b.index];
    if (left.changes != right.changes) return left.changes < right.changes;
    return left.id != right.id ? left.id < right.id : a.index < b.index;
  });
  std::vector<std::size_t> order;
  order.reserve(keys.size());
  for (const Key& key : keys) order.push_back(key.index);
  return order;
}

std::string decided_by(const Place& a, const Place& b, std::span<const std::string> priority, int rank_of_b) {
  const Costs left = costs_of(a.objectives), right = costs_of(b.objectives);
  const std::string ahead = "ahead of #" + std::to_string(rank_of_b);
  std::string equal;
  for (const Objective objective : objectives_named(priority)) {
    const std::string what = name(objective);
    const std::string and_equal = equal.empty() ? "" : " at equal " + equal;
    if (objective == Objective::quality && left[0] != right[0])
      return ahead + ": its score was measured, that of #" + std::to_string(rank_of_b) + " is only predicted" +
             and_equal;
    if (step_of(left, objective) != step_of(right, objective))
      return ahead + ": " + what + (objective == Objective::quality ? " at least " : " ") + shown(left, objective) +
             " against " + shown(right, objective) + and_equal;
    equal += (equal.empty() ? "" : " and ") + what;
  }
  if (a.changes != b.changes) return ahead + ": fewer changes" + (equal.empty() ? "" : " at equal " + equal);
  return ahead + " by name only" + (equal.empty() ? "" : ": equal " + equal);
}

}  // namespace advisor
