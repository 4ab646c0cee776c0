// What an output must decode to when it is opened again.
#pragma once

#include <cstdint>
#include <vector>

namespace advisor {

/// Sums of squares: ||W - W'||_F^2, ||W||_F^2, and what the first may be at most.
struct Distance {
  double error = 0, norm = 0, bound = 0;
  bool operator==(const Distance&) const = default;
};

/// What verification expects of one tensor of one output.
struct Expected {
  /// Of its bytes (Checkpoint::read_stored) where it was measured and has them, else of what it decodes to, folded over
  /// its tiles in order: the file must say exactly that.
  std::uint64_t print = 0;
  bool measured = false;  ///< `distance` was taken when it was written; it has a bound then
  Distance distance;
  bool operator==(const Expected&) const = default;
};

/// Per output and tensor of the source.
using Expectations = std::vector<std::vector<Expected>>;

}  // namespace advisor
