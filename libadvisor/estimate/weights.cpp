#include "estimate/weights.h"

#include <algorithm>
#include <cmath>

namespace advisor {

namespace {

constexpr double agreement = 0.03;  ///< stated sizes are rounded to two or three digits

std::optional<ParameterCount> count_dense(const Model& m, bool tied) {
  if (!m.layers || !m.hidden || !m.intermediate || !m.heads || !m.vocab) return std::nullopt;
  const auto layers = static_cast<double>(*m.layers), hidden = static_cast<double>(*m.hidden);
  const auto heads = static_cast<double>(*m.heads), kv_heads = static_cast<double>(m.kv_heads.value_or(*m.heads));
  const double head_dim = m.head_dim ? static_cast<double>(*m.head_dim) : hidden / heads;
  ParameterCount count;
  count.linear =
      layers * hidden * (2 * heads * head_dim + 2 * kv_heads * head_dim + 3 * static_cast<double>(*m.intermediate));
  count.embedding = static_cast<double>(*m.vocab) * hidden;
  count.head = tied ? 0 : count.embedding;
  count.norm = (2 * layers + 1) * hidden;
  count.basis = "geometry";
  return count;
}

/// Tied or not as stated; when nobody says, whichever is nearer to the stated size.
std::optional<ParameterCount> count_geometry(const Model& m) {
  if (m.experts.value_or(0) > 1 || m.kv_lora_rank) return std::nullopt;
  const auto tied = count_dense(m, true), untied = count_dense(m, false);
  if (!tied) return std::nullopt;
  if (m.tie_embeddings) return *m.tie_embeddings ? tied : untied;
  if (!m.params) return untied;
  return std::abs(tied->total() - *m.params) < std::abs(untied->total() - *m.params) ? tied : untied;
}

}  // namespace

std::optional<ParameterCount> count_parameters(const Model& m) {
  const auto counted = count_geometry(m);
  if (counted && (!m.params || std::abs(counted->total() / *m.params - 1) <= agreement)) return counted;
  if (!m.params || *m.params <= 0) return std::nullopt;
  ParameterCount count;
  count.basis = "parameters";
  if (m.vocab && m.hidden) {
    count.embedding = std::min(static_cast<double>(*m.vocab) * static_cast<double>(*m.hidden), *m.params / 2);
    const bool tied = m.tie_embeddings.value_or(false);
    count.head = tied ? 0 : std::min(count.embedding, *m.params - count.embedding);
  }
  count.linear = *m.params - count.embedding - count.head;
  return count;
}

double touched_share(const Model& model, double sequences) {
  const auto experts = static_cast<double>(model.experts.value_or(0));
  const auto used = static_cast<double>(model.experts_used.value_or(0));
  if (experts <= 1 || used <= 0 || used >= experts) return 1;
  return 1 - std::pow(1 - used / experts, std::max(1.0, sequences));
}

std::optional<WeightEstimate> estimate_weights(const Model& model, const Variant& variant) {
  auto count = count_parameters(model);
  if (!count) return std::nullopt;
  const bool gguf = variant.format == "gguf";
  double bits = bits_per_weight(variant.scheme);
  const double wide = gguf ? bits : 16;
  if (variant.pattern == "2:4") {
    // Half of the values stay, each with a 2-bit position.
    bits = bits / 2 + 1;
  } else if (variant.pattern.starts_with("structured")) {
    count->linear *= 1 - variant.sparsity;
  }
  const double linear = count->linear * bits / 8;
  const double head = (count->head > 0 ? count->head : count->embedding) * wide / 8;
  const double stored_head = count->head > 0 ? head : 0;
  const double norm = count->norm * (gguf ? 4 : 2);

  WeightEstimate estimate;
  estimate.basis = count->basis;
  estimate.bytes = linear + count->embedding * wide / 8 + stored_head + norm;
  const double total = count->total();
  estimate.active_params = std::clamp(model.active_params.value_or(total), 0.0, total);
  // Of the embedding one row is read; of a mixture of experts the active share of the linears.
  const double other = count->embedding + count->head;
  const double active_linear = std::clamp((estimate.active_params - other) / std::max(1.0, count->linear), 0.02, 1.0);
  estimate.read_bytes = linear * (model.active_params ? active_linear : 1.0) + head + norm;
  return estimate;
}

}  // namespace advisor
