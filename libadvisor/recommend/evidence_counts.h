// What kind of measurements stands behind an estimate: accuracies, scores of knowledge tasks, or perplexities alone.
// Rules ask, because perplexity hides what happens to facts.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/variant.h"

namespace advisor {

struct EvidenceCount {
  std::int64_t accuracies = 0;  ///< scores of any task
  std::int64_t knowledge = 0;   ///< of them on tasks that ask for facts
  std::int64_t perplexities = 0;
  bool perplexity_only() const { return accuracies == 0 && perplexities > 0; }
};

class EvidenceCounts {
 public:
  explicit EvidenceCounts(const Knowledge& knowledge);

  /// Of the narrowest group that was measured: the technique at these bits or with this pattern, else the technique,
  /// else any at these bits or with this pattern - as the estimate itself (docs/estimation.md). nullopt: nothing is
  /// quantized or removed, or nobody measured any of it.
  std::optional<EvidenceCount> of(const Variant& variant) const;
  /// Of what is done one after the other, the least.
  std::optional<EvidenceCount> of(const std::vector<Variant>& parts) const;

 private:
  std::map<std::string, EvidenceCount> groups_;
};

}  // namespace advisor
