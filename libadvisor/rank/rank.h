// Which admissible options meet their limits, and in which order to show them. Knows nothing of how an estimate was
// made or why an option is admissible. No composite score: objectives are compared one after the other as the profile
// says, and each place states the comparison that decided it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/recommendation.h"

namespace advisor {

/// Probabilities that the limits of the profile are met; nullopt where the profile sets no such limit.
struct Chances {
  std::optional<double> memory, accuracy, ttft, tpot, budget;
};

struct Judged {
  Option option;
  Chances chances;
  /// What is kept for certain enough: the lower bound of the quality relative to the model in use. Weak evidence thus
  /// loses by its width.
  double quality = 0;
};

struct FailedLimit {
  std::string limit;  ///< "memory", "accuracy", "ttft", "tpot", "budget"
  double probability = 0;
};
/// Limits that hold with less than `confidence`; in the order of the fields above.
std::vector<FailedLimit> failed_limits(const Chances& chances, double confidence);

/// Sorts best first by `priority` ("quality", "cost", "latency"), then by fewer changes, then by variant id; sets rank
/// and decided_by. Quality counts in steps of 0.1 %, cost and latency in steps of 1 %: less is noise.
void rank_options(std::vector<Judged>& options, const std::vector<std::string>& priority);

}  // namespace advisor
