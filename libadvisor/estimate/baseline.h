// What the uncompressed model scores: read from a published table, or predicted with an interval that says how little
// is known (scores.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/measurement.h"
#include "estimate/distribution.h"

namespace advisor {

/// One harness and mode, because scores compare only inside. An empty harness stands for one not seen yet.
struct ScoreTable {
  std::string task, harness, mode;
  bool operator==(const ScoreTable&) const = default;
};

struct Baseline {
  double value = 0;  ///< fraction of 1: the score, or the median of the prediction
  double sd = 0;     ///< half of the central 68 %
  std::string source;
  Basis basis = Basis::measured;
  double low = 0, high = 0;  ///< central 90 %, never outside of what the metric can be
  std::int64_t n = 0;        ///< scores behind it
  std::vector<std::string> sources;
  std::string how;
  Distribution logit;  ///< of (score - chance) / (1 - chance), when predicted
  double chance = 0;

  bool predicted() const { return basis != Basis::measured; }
  double quantile(double p) const;  ///< 0 < p < 1; clamped to 0 .. 1
};

}  // namespace advisor
