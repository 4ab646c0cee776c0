// Coefficients of the models that are fitted to the measurements once, when the database is built, so that a query is
// arithmetic. One flat table holds them all (fitted_terms in advisor.db): what a term means is said where it is fitted
// (estimate/*_fit.cpp) and printed in docs/estimation.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace advisor {

struct FittedTerm {
  std::string fit;    ///< which model: quality, speed, scores
  std::string term;   ///< "technique", "bits", "residual_sd" ...
  std::string level;  ///< "gptq", "llama.cpp|datacenter|4" ...; empty where a term is one number
  double value = 0;
  double sd = 0;                     ///< of the value
  std::int64_t rows = 0;             ///< measurements that speak for it
  std::vector<std::string> sources;  ///< ids of their sources, sorted, unique
  bool operator==(const FittedTerm&) const = default;
};

}  // namespace advisor
