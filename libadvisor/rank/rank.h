// Which admissible options meet their limits, and in which order to show them. Knows nothing of how an estimate was
// made or why an option is admissible. No composite score: what no other option beats in everything is kept, objectives
// are then compared one after the other as the profile says, and each place states the comparison that decided it.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/recommendation.h"

namespace advisor {

/// A probability, or none, in the eight bytes of a double: ten thousand candidates have six each. Reads like an
/// optional; what is not a number counts as 0, so that no limit is met by a calculation that failed.
class Chance {
 public:
  Chance() = default;
  Chance(double probability) : value_(std::isnan(probability) ? 0 : probability) {}  // NOLINT: reads like an optional
  Chance(const std::optional<double>& chance) : Chance() {                           // NOLINT
    if (chance) *this = Chance(*chance);
  }
  explicit operator bool() const { return !std::isnan(value_); }
  double operator*() const { return value_; }
  double value_or(double other) const { return *this ? value_ : other; }
  operator std::optional<double>() const { return *this ? std::optional(value_) : std::nullopt; }  // NOLINT

 private:
  double value_ = std::numeric_limits<double>::quiet_NaN();
};

/// Probabilities that the limits of the profile are met; none where the profile sets no such limit.
struct Chances {
  Chance memory, accuracy, ttft, tpot, budget, effort;
};

enum class Limit : std::uint8_t { memory, accuracy, ttft, tpot, budget, effort };
std::string_view name(Limit limit);

/// The first limit, in the order of the enumeration, that holds with less than `confidence`. nullopt: all that are set
/// hold.
std::optional<Limit> first_failed(const Chances& chances, double confidence);

/// What options are compared by. Unknown is the worst value: -inf for quality, +inf for the others; so is a value that
/// is not a number.
struct Objectives {
  double quality = 0;  ///< kept for certain enough, fraction of the model in use; higher is better
  double cost = 0;     ///< USD per million tokens
  double latency = 0;  ///< seconds per token of one stream
  double effort = 0;   ///< hours until it can serve
  /// The quality rests on a score that nobody measured. Such an option may be the answer, but it neither dominates nor
  /// outranks in quality one whose score was measured: a prediction is a reason to measure, not to switch.
  bool predicted = false;
};

/// At least as good in everything and better in something; a measured score is better than a predicted one.
bool dominates(const Objectives& a, const Objectives& b);

/// Indices, ascending, of the points that no other dominates; of points that are equal in all the first.
/// O(n log n + n·f) for a front of f points: sorted best first, a point can only be dominated by an earlier one, and
/// the ones that dominated most recently are tried first.
std::vector<std::size_t> pareto_front(std::span<const Objectives> points);

/// For each point the first of `front` (as pareto_front() gives it, in any order: say, best first) that dominates or
/// equals it; a point of the front has itself. O(n·f).
std::vector<std::size_t> dominators(std::span<const Objectives> points, std::span<const std::size_t> front);

/// One option in the order.
struct Place {
  Objectives objectives;
  int changes = 0;      ///< how much changes for the user: 0 keep, 1 compress, 2 switch, 3 both
  std::string_view id;  ///< of the variant: the last tie-breaker
};

/// Indices best first: by `priority` ("quality", "cost", "latency", "effort"), then by what it does not name, in that
/// order, then by fewer changes, then by id.
/// Quality counts in steps of 0.1 % of the model in use, measured before predicted; the others in steps of 1 %: less is
/// noise. O(n log n).
/// Throws invalid_argument for another objective.
std::vector<std::size_t> lexicographic(std::span<const Place> places, std::span<const std::string> priority);

/// What the order takes for equal: quality in steps of 0.1 %, the others as the logarithm in steps of 1 %; nothing to
/// pay or to do is -inf.
Objectives in_steps(const Objectives& objectives);
/// lexicographic() of places whose objectives are in steps already.
std::vector<std::size_t> lexicographic_in_steps(std::span<const Place> places, std::span<const std::string> priority);

/// Why `a` stands before `b`: the first comparison in which they differ, in words.
std::string decided_by(const Place& a, const Place& b, std::span<const std::string> priority, int rank_of_b);

}  // namespace advisor
