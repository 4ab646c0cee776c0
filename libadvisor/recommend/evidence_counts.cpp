#include "recommend/evidence_counts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/units.h"

namespace advisor {

namespace {

/// Narrowest first. llama.cpp's legacy types are round-to-nearest.
std::array<std::string, 3> groups(std::string technique, double sparsity, const std::string& pattern, double bits) {
  if (technique == "gguf-legacy") technique = "rtn";
  const std::string kind = sparsity > 0 ? pattern : "W" + format_number(std::round(bits));
  return {technique + "|" + kind, technique + "|", "|" + kind};
}

/// Says what a single named technique does to a model that was not trained afterwards, unless it is trained for that.
bool speaks(const QualityMeasurement& row) {
  const bool pruned = row.sparsity > 0;
  if (!row.suspect.empty() || row.technique.starts_with("other") || row.technique == "joint") return false;
  if ((row.retrained && row.technique != "qat") || row.kv_bits.value_or(16) < 16) return false;
  return pruned ? row.sparsity_of.empty() || row.sparsity_of == "weights" : row.weight_bits.value_or(16) < 16;
}

}  // namespace

EvidenceCounts::EvidenceCounts(const Knowledge& knowledge) {
  std::set<std::string> facts;
  for (const auto& task : knowledge.tasks)
    if (task.knowledge_intensive) facts.insert(task.id);
  static const std::set<std::string> scores{"proportion", "similarity", "error_rate", "retained"};
  for (const auto& row : knowledge.quality) {
    const bool perplexity = row.metric_kind == "perplexity";
    if (!speaks(row) || (!perplexity && !scores.contains(row.metric_kind))) continue;
    for (const auto& name : groups(row.technique, row.sparsity, row.pattern, row.weight_bits.value_or(16))) {
      auto& group = groups_[name];
      ++(perplexity ? group.perplexities : group.accuracies);
      group.knowledge += !perplexity && facts.contains(row.task);
    }
  }
}

std::optional<EvidenceCount> EvidenceCounts::of(const Variant& variant) const {
  const auto scheme = describe_scheme(variant.scheme);
  if (variant.sparsity == 0 && scheme.weight_bits >= 16) return std::nullopt;
  for (const auto& name : groups(variant.technique, variant.sparsity, variant.pattern, scheme.weight_bits))
    if (const auto found = groups_.find(name); found != groups_.end()) return found->second;
  return std::nullopt;
}

std::optional<EvidenceCount> EvidenceCounts::of(const std::vector<Variant>& parts) const {
  std::optional<EvidenceCount> least;
  for (const auto& part : parts) {
    const auto count = of(part);
    if (!count) continue;
    if (!least) least = count;
    least->knowledge = std::min(least->knowledge, count->knowledge);
    if (count->perplexity_only()) least->accuracies = 0, least->perplexities = count->perplexities;
  }
  return least;
}

}  // namespace advisor
