// Cases indexed by what may speak for each other at all: bits and kind of sparsity.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "estimate/quality_case.h"

namespace advisor {

struct EvidenceRow {
  double recovery = 0;   ///< baseline / value of perplexities
  double ln_params = 0;  ///< 0 when unknown
  std::string source, model, technique, scheme, task, family;
  std::string where;         ///< url
  bool per_channel = false;  ///< one scale per output row; else in groups, or not said
};

/// Rows that can speak for each other at all: same nominal weight and activation bits, same kind of sparsity.
struct EvidenceKey {
  int weight = 16, activation = 16;
  std::string pattern;
  int sparsity = 0;  ///< twentieths
  auto operator<=>(const EvidenceKey&) const = default;
};

EvidenceKey evidence_key(const Treatment& treatment);

/// Sorted inside each key by content, so that the order of the knowledge cannot matter.
std::map<EvidenceKey, std::vector<EvidenceRow>> evidence_rows(const Knowledge& knowledge);

}  // namespace advisor
