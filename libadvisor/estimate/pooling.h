// Random-effects pooling (DerSimonian and Laird, Controlled Clinical Trials 7, 1986, eq. 5-9), with the between-source
// spread shrunk toward a prior: with one or two sources the prior carries the result, and one row never has zero
// spread.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "estimate/distribution.h"

namespace advisor {

/// One measured value in the space that is pooled (retention, log of an efficiency).
struct Sample {
  double value = 0;
  double weight = 1;  ///< relevance within its source, > 0
  std::string source;
};

struct PoolPrior {
  double within = 0;     ///< sd of one row around its source's mean, where a source has too few rows to tell
  double between = 0;    ///< sd of source means around the truth
  double strength = 2;   ///< how many observed sources the prior is worth
  double row_count = 4;  ///< how many rows the prior is worth inside a source
};

struct Pooled {
  Distribution mean;        ///< of the mean effect
  Distribution prediction;  ///< of a new row of a new source: what a user will see
  double tau = 0;           ///< between-source sd, shrunk
  double within = 0;        ///< row sd inside a source, shrunk
  std::int64_t rows = 0, sources = 0;
};

/// Rows of one source count as one study: their number sharpens that study's mean, not the spread between studies.
/// The order of samples matters only by rounding; callers that promise identical bytes sort them. Empty -> nullopt.
std::optional<Pooled> pool(std::span<const Sample> samples, const PoolPrior& prior);

}  // namespace advisor
