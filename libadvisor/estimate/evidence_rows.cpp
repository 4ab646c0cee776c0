#include "estimate/evidence_rows.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

namespace advisor {

namespace {

/// KLD, token agreement, rates of harm and rows against a retained 100 % measure something else than the task.
bool comparable(const QualityMeasurement& row) {
  const auto& kind = row.metric_kind;
  if (kind != "proportion" && kind != "similarity" && kind != "error_rate" && kind != "retained" &&
      kind != "perplexity")
    return false;
  if (row.metric == "same_top_token" || row.metric == "top_token_differs_rate" || row.metric == "attack_success_rate")
    return false;
  // Methods that are not named, or several at once, say nothing about another one.
  if (row.technique.starts_with("other") || row.technique == "joint") return false;
  if (!row.weight_bits || (*row.weight_bits < 16 && !row.activation_bits)) return false;
  if (row.sparsity > 0 && !row.sparsity_of.empty() && row.sparsity_of != "weights") return false;
  return row.suspect.empty() && !row.retrained && row.technique != "qat" && row.baseline > 0 && row.value >= 0 &&
         row.kv_bits.value_or(16) >= 16;
}

std::optional<double> recovery(const QualityMeasurement& row, double chance) {
  if (row.metric_kind == "perplexity") {
    if (row.family != "language_modelling" || row.value <= 0) return std::nullopt;
    return row.baseline / row.value;
  }
  if (row.metric_kind == "error_rate") {  // counts as the accuracy 1 - rate
    if (row.higher_is_better || row.baseline >= 0.95) return std::nullopt;
    return std::max(0.0, 1 - row.value) / (1 - row.baseline);
  }
  if (!row.higher_is_better) return std::nullopt;
  if (row.metric_kind != "proportion") return row.value / row.baseline;
  // Within five points of guessing the ratio is noise.
  if (row.baseline - chance < 0.05) return std::nullopt;
  return (row.value - chance) / (row.baseline - chance);
}

}  // namespace

std::string technique_class(const std::string& technique, const std::string& scheme) {
  if (technique == "gguf-legacy") return "rtn";
  if (technique == "gguf-k" || technique == "gguf-i") return technique;
  if (technique == "fp8" || technique == "int8") return scheme.starts_with("W8A8") ? "w8a8" : technique;
  return technique;
}

EvidenceKey evidence_key(const Variant& variant) {
  const auto scheme = describe_scheme(variant.scheme);
  return {static_cast<int>(std::lround(scheme.weight_bits)), static_cast<int>(std::lround(scheme.activation_bits)),
          variant.pattern, static_cast<int>(std::lround(variant.sparsity * 20))};
}

std::map<EvidenceKey, std::vector<EvidenceRow>> evidence_rows(const Knowledge& knowledge) {
  std::map<std::string, double> chance;
  for (const auto& task : knowledge.tasks)
    if (task.chance) chance[task.id] = *task.chance;
  std::map<EvidenceKey, std::vector<EvidenceRow>> index;
  for (const auto& row : knowledge.quality) {
    if (!comparable(row)) continue;
    const auto guess = chance.find(row.task);
    const auto kept = recovery(row, guess == chance.end() ? 0 : guess->second);
    if (!kept || !std::isfinite(*kept)) continue;
    const bool dense = row.pattern.empty() || row.pattern == "none" || row.sparsity == 0;
    const EvidenceKey key{static_cast<int>(std::lround(*row.weight_bits)),
                          static_cast<int>(std::lround(row.activation_bits.value_or(16))), dense ? "" : row.pattern,
                          dense ? 0 : static_cast<int>(std::lround(row.sparsity * 20))};
    if (key.weight >= 16 && key.activation >= 16 && key.sparsity == 0) continue;  // nothing compressed but the cache
    index[key].push_back({*kept, row.params.value_or(0) > 0 ? std::log(*row.params) : 0, row.source, row.model,
                          technique_class(row.technique, row.scheme), row.scheme, row.task, row.family, row.url,
                          row.group_size == -1});
  }
  const auto content = [](const EvidenceRow& r) {
    return std::tie(r.source, r.model, r.technique, r.scheme, r.task, r.family, r.recovery, r.where);
  };
  for (auto& [key, rows] : index)
    std::sort(rows.begin(), rows.end(),
              [&](const EvidenceRow& a, const EvidenceRow& b) { return content(a) < content(b); });
  return index;
}

}  // namespace advisor
