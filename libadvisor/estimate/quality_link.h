// From the log damage to what is measured, see quality_fit.h.
#pragma once

#include <algorithm>
#include <cmath>

namespace advisor {

/// ln of damages that recovery cannot tell from none and from total loss.
inline constexpr double least_log_damage = -12, greatest_log_damage = 3.5;

struct Expected {
  double value;     ///< recovery above chance, or ln(perplexity ratio)
  double slope;     ///< d value / d log damage
  double by_guess;  ///< d value / d share that is guessed
};

/// A share `guessed` of the score above chance 0 is kept whatever happens.
inline Expected expected_recovery(double log_damage, double guessed) {
  const double damage = std::exp(std::clamp(log_damage, least_log_damage, greatest_log_damage));
  const double share = std::clamp(guessed, 0.0, 0.95), left = std::exp(-damage);
  return {share + (1 - share) * left, -(1 - share) * damage * left, 1 - left};
}

inline Expected expected_log_perplexity(double log_damage) {
  const double damage = std::exp(std::clamp(log_damage, least_log_damage, greatest_log_damage));
  return {damage, damage, 0};
}

}  // namespace advisor
