// One choice per group so that the sum of errors is least and the sum of costs stays within a budget: the
// multiple-choice knapsack problem (Kellerer, Pferschy and Pisinger 2004, chapter 11). Knows numbers only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace advisor {

struct Choice {
  std::int64_t cost = 0;  ///< >= 0
  double error = 0;       ///< >= 0, finite
};

struct Allocation {
  std::vector<std::size_t> chosen;  ///< index of the choice of each group
  std::int64_t cost = 0;
  double error = 0;
  double bound = 0;  ///< no allocation within the budget has a smaller error; equals `error` when that is proven
};

/// Partial solutions that are kept after each group.
inline constexpr std::size_t kAllocationStates = std::size_t{1} << 16;

/// nullopt when even the cheapest choices exceed the budget. Exact unless more than `states` partial solutions compete,
/// then the best that was found with its bound. Deterministic: of equal errors the cheaper, then the earlier choice.
/// Throws invalid_argument for a group without choices and for numbers out of range.
std::optional<Allocation> allocate(const std::vector<std::vector<Choice>>& groups, std::int64_t budget,
                                   std::size_t states = kAllocationStates);

}  // namespace advisor
