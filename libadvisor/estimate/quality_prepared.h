// The parts of a quality estimate that are looked up once and then put together by arithmetic alone: a million cells of
// models x treatments x tasks per second. QualityEstimator makes them and adds them up.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/measurement.h"
#include "estimate/distribution.h"

namespace advisor {

class LocalQuality;

/// Mean and variance of a sum of coefficients; a level without rows counts with its prior.
struct TermSum {
  double mean = 0, variance = 0;
  void operator+=(const TermSum& other) { mean += other.mean, variance += other.variance; }
};

/// Index 1 of the pairs is for pruning, 0 for quantization.
struct PreparedModel {
  TermSum sum[2];
  TermSum low;                          ///< per bit below four
  std::int64_t rows = 0;                ///< of this model in the fit
  const LocalQuality* local = nullptr;  ///< its own measurements, in the estimator that prepared it
};

struct PreparedTreatment {
  bool known = false;         ///< technique and number format were measured, if only elsewhere
  bool uncompressed = false;  ///< keeps everything
  bool pruned = false;
  double low = 0;  ///< bits below four
  TermSum sum, perplexity;
  std::int64_t rows = 0;            ///< of this technique in this format; 0 = only in other formats
  std::int64_t technique_rows = 0;  ///< in any format
  std::int64_t kind_rows = 0;       ///< of other techniques at these bits or with this pattern
  std::int64_t sources = 0;         ///< of the technique
  int key = -1;                     ///< among the treatments of an estimator's measurements
};

struct PreparedTask {
  bool known = false;  ///< anything of its family (or of its perplexity) was measured
  bool perplexity = false;
  TermSum sum[2];
  double guessed = 0;      ///< share of the score that is kept whatever happens
  double noise = 0;        ///< of one measured recovery where the damage is 1, sd (quality_noise.h)
  double calibration = 1;  ///< of the width of intervals in its family
  int key = -1;
};

struct QualityNumbers {
  Distribution distribution;
  Basis basis = Basis::modelled;
  std::int64_t rows = 0;
};

}  // namespace advisor
