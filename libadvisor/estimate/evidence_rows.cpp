#include "estimate/evidence_rows.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

namespace advisor {

namespace {

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

bool is_perplexity(const std::string& metric) { return contains(metric, "perplexity"); }

/// Error rates count as accuracies of 1 - rate.
bool is_error_rate(const std::string& metric) { return metric == "wer" || metric == "cer" || metric == "der"; }

bool comparable(const QualityMeasurement& row) {
  static const char* const differences[] = {"kld",    "differs",       "same_top", "loss",
                                            "attack", "hallucination", "bits_per"};
  for (const auto* word : differences)
    if (contains(row.metric, word)) return false;
  return !contains(row.calibration, "SUSPECT") && !row.retrained && row.technique != "qat" && row.baseline > 0 &&
         row.value >= 0 && row.kv_bits.value_or(16) >= 16;
}

std::optional<double> recovery(const QualityMeasurement& row, double chance) {
  if (is_perplexity(row.metric)) {
    if (row.family != "language_modelling" || row.value <= 0) return std::nullopt;
    return row.baseline / row.value;
  }
  const double scale = row.baseline > 1.5 ? 100 : 1;  // percent or fraction, by the uncompressed value
  const double baseline = row.baseline / scale, value = row.value / scale;
  if (is_error_rate(row.metric)) {
    if (baseline >= 0.95) return std::nullopt;
    return std::max(0.0, 1 - value) / (1 - baseline);
  }
  if (!row.higher_is_better || baseline > 1.0001) return std::nullopt;
  // Within five points of guessing the ratio is noise.
  if (baseline - chance < 0.05) return std::nullopt;
  return (value - chance) / (baseline - chance);
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
    if (!comparable(row) || !row.weight_bits) continue;
    const auto guess = chance.find(row.task);
    const auto kept = recovery(row, guess == chance.end() ? 0 : guess->second);
    if (!kept || !std::isfinite(*kept)) continue;
    const bool dense = row.pattern.empty() || row.pattern == "none" || row.sparsity == 0;
    const EvidenceKey key{static_cast<int>(std::lround(*row.weight_bits)),
                          static_cast<int>(std::lround(row.activation_bits.value_or(16))), dense ? "" : row.pattern,
                          dense ? 0 : static_cast<int>(std::lround(row.sparsity * 20))};
    if (key.weight >= 16 && key.activation >= 16 && key.sparsity == 0) continue;  // nothing compressed but the cache
    index[key].push_back({*kept, row.params.value_or(0) > 0 ? std::log(*row.params) : 0, row.source, row.model,
                          technique_class(row.technique, row.scheme), row.scheme, row.task, row.family, row.url});
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
