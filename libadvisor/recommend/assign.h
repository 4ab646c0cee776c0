// The cheapest assignment of tasks to variants that fit one machine together, as numbers: an exact branch and bound.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace advisor {

inline constexpr double not_allowed = std::numeric_limits<double>::infinity();

struct Servant {             ///< a variant that could serve some of the tasks
  std::vector<double> cost;  ///< of each task: share of the requests times cost per token; not_allowed: limits fail
  double base = 0, base_variance = 0;  ///< weights and engine, bytes
  double cache = 0, cache_sd = 0;      ///< KV cache of one sequence, bytes
  double host = 0, host_variance = 0;  ///< what lies in the host's memory, bytes
  double quality = 0;                  ///< the more the better; decides between equals
  double latency = 0;                  ///< only for `holds`: a slower servant replaces none
};

struct Assigning {
  std::vector<double> shares;  ///< of the requests, positive; they add up to 1
  std::vector<Servant> servants;
  double available = 0, available_sd = 0;  ///< bytes
  double host_available = 0;               ///< bytes of the host's memory for all of them
  double concurrency = 1;
  double confidence = 0.9;
  /// What memory does not tell: whether these servants (by task) hold together. Empty: always. Asked of candidates for
  /// the best only.
  std::function<bool(std::span<const int>)> holds{};
};

struct Assigned {
  std::vector<int> servant;  ///< by task
  double cost = 0;
  double memory = 0;       ///< expected bytes of all together
  double host = 0;         ///< and of what lies in the host's memory
  double probability = 0;  ///< that they fit: of both memories the tighter one
};

/// Sequences at the same time that a share of the requests makes: at least one.
double sequences(double share, double concurrency);

/// Probability that the servants of such an assignment fit, each with the cache of its tasks' share of the requests.
Assigned judge_together(const Assigning& problem, std::span<const int> servant);

/// The least cost; of equal costs fewer variants, then quality by share, then the servants that stand first. nullopt:
/// nothing fits. Exponential in the number of tasks at worst: costs of the tasks left and memory of the servants chosen
/// bound it.
std::optional<Assigned> assign(const Assigning& problem);

/// Indices of the servants that no earlier or better one replaces everywhere: cheaper for every task, smaller in every
/// part of its memory, at least as good.
std::vector<int> undominated(std::span<const Servant> servants);

}  // namespace advisor
