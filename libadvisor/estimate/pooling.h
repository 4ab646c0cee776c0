// What measurements add to what was believed: a normal prior updated with normal observations that share an error by
// source (random effects, DerSimonian and Laird, Controlled Clinical Trials 7, 1986, eq. 2-4, with known variances).
// Variances are given, so that more rows only ever sharpen the result, however they turn out.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace advisor {

struct Sample {
  double value = 0;
  double variance = 1;  ///< of this row around its source's mean, > 0
  std::string source;
};

struct PoolPrior {
  double mean = 0, variance = 1;
  double between = 0;  ///< variance of a source's mean around the truth
};

struct Pooled {
  double mean = 0, variance = 0;
  std::int64_t rows = 0;
  std::vector<std::string> sources;  ///< sorted, unique
};

/// Rows of one source count as one study: their number sharpens that study's mean, not the spread between studies.
/// The order of samples matters only by rounding; callers that promise identical bytes sort them. None: the prior.
Pooled pool(std::span<const Sample> samples, const PoolPrior& prior);

}  // namespace advisor
