// What an estimator answers to a case: the question that a measurement put, see quality_case.h and speed_case.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/measurement.h"
#include "estimate/distribution.h"

namespace advisor {

/// In the space of the case's `observed`.
struct Prediction {
  Distribution distribution;
  Basis basis = Basis::modelled;
  std::int64_t rows = 0;
  std::vector<std::string> sources;
  std::string how;  ///< one sentence on what it rests on
};

}  // namespace advisor
