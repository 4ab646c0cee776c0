#include "estimate/quality_case.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/units.h"

namespace advisor {

namespace {

/// Techniques that do the same arithmetic: llama.cpp's legacy types are round-to-nearest in groups of 32.
std::string technique_class(const std::string& technique, const std::string& scheme) {
  if (technique == "gguf-legacy") return "rtn";
  if (technique == "fp8" || technique == "int8") return scheme.starts_with("W8A8") ? "w8a8" : technique;
  return technique;
}

/// Within five points of guessing the ratio is noise.
constexpr double above_guessing = 0.05;

/// Why a row says nothing about what a single named technique does to an ability; empty = it does.
std::string incomparable(const QualityMeasurement& row) {
  const auto& kind = row.metric_kind;
  if (kind != "proportion" && kind != "similarity" && kind != "error_rate" && kind != "retained" &&
      kind != "perplexity")
    return "its metric is a " + kind + ", neither an accuracy nor a perplexity";
  if (row.metric == "same_top_token" || row.metric == "top_token_differs_rate" || row.metric == "attack_success_rate")
    return row.metric + " does not measure a task";
  if (row.technique.starts_with("other")) return "its technique is not named";
  if (row.technique == "joint") return "several techniques at once";
  if (row.retrained || row.technique == "qat") return "retrained after compression";
  if (row.kv_bits.value_or(16) < 16) return "the KV cache is quantized too";
  if (!row.weight_bits) return "weight bits are not stated";
  if (*row.weight_bits < 16 && !row.activation_bits) return "activation bits are not stated";
  if (row.sparsity > 0 && !row.sparsity_of.empty() && row.sparsity_of != "weights")
    return "sparsity of " + row.sparsity_of + ", not of weights";
  if (!row.suspect.empty()) return "marked as suspect";
  if (!(row.baseline > 0) || !(row.value >= 0)) return "baseline or value is not positive";
  return "";
}

/// (value - chance) / (baseline - chance), or ln(value / baseline) of perplexities; else the reason.
std::optional<double> observed(const QualityMeasurement& row, double chance, std::string& why) {
  if (row.metric_kind == "perplexity") {
    if (row.value > 0) return std::log(row.value / row.baseline);
    why = "a perplexity of 0";
  } else if (row.metric_kind == "error_rate") {  // counts as the accuracy 1 - rate
    if (!row.higher_is_better && row.baseline < 1 - above_guessing)
      return std::max(0.0, 1 - row.value) / (1 - row.baseline);
    why = "its baseline fails on nearly all items";
  } else if (!row.higher_is_better) {
    why = "lower is better, but it is no error rate";
  } else if (row.metric_kind != "proportion") {
    return row.value / row.baseline;
  } else if (row.baseline - chance < above_guessing) {
    why = "its baseline is within five points of guessing";
  } else {
    return (row.value - chance) / (row.baseline - chance);
  }
  return std::nullopt;
}

std::string grid_of(const std::string& scheme) {
  for (const char* grid : {"nvfp4", "mxfp4", "fp8"})
    if (scheme.find(grid) != std::string::npos) return grid;
  return scheme.starts_with("MXFP4") ? "mxfp4" : "";
}

/// Bits per weight of a row that does not state them: those of the GGUF type it names, else the bits and a 16-bit
/// scale.
double bits_per_weight_of(const QualityMeasurement& row, const Treatment& t) {
  if (row.bits_per_weight) return *row.bits_per_weight;
  if (row.technique.starts_with("gguf")) {
    try {
      return describe_scheme(row.scheme).bits_per_weight;
    } catch (const Error&) {  // a type of a fork of llama.cpp
    }
  }
  return t.weight_bits + (t.group > 0 ? 16 / t.group : 0);
}

Treatment treatment_of(const QualityMeasurement& row) {
  Treatment t;
  t.technique = technique_class(row.technique, row.scheme);
  t.scheme = row.scheme;
  t.grid = grid_of(row.scheme);
  t.weight_bits = row.weight_bits.value_or(16);
  t.activation_bits = row.activation_bits.value_or(16);
  t.kv_bits = row.kv_bits.value_or(16);
  t.group = static_cast<double>(row.group_size.value_or(0));
  t.bits_per_weight = bits_per_weight_of(row, t);
  const bool dense = row.pattern.empty() || row.pattern == "none" || row.sparsity == 0;
  if (!dense) t.pattern = row.pattern, t.sparsity = row.sparsity;
  return t;
}

std::string bits_text(double bits) { return format_number(std::round(bits)); }

void set_format(QualityCase& c) {
  const auto& t = c.treatment;
  c.pruning = t.pruned();
  if (c.pruning) {
    c.format = t.technique + " " + t.pattern;
    c.format_class = "pruned " + t.pattern;
    return;
  }
  c.format_class = "W" + bits_text(t.weight_bits);
  c.format = c.format_class + "A" + bits_text(t.activation_bits) + (t.grid.empty() ? "" : "-" + t.grid);
}

}  // namespace

Treatment treatment_of(const Variant& variant) {
  const auto scheme = describe_scheme(variant.scheme);
  Treatment t;
  t.technique = technique_class(variant.technique, variant.scheme);
  t.scheme = variant.scheme;
  t.grid = grid_of(variant.scheme);
  t.weight_bits = std::round(scheme.weight_bits);
  t.activation_bits = std::round(scheme.activation_bits);
  const bool per_channel = variant.scheme.find("-channel") != std::string::npos;
  t.group = per_channel ? -1 : static_cast<double>(scheme.group);
  t.bits_per_weight = scheme.bits_per_weight;
  t.sparsity = variant.sparsity;
  t.pattern = variant.pattern;
  return t;
}

QualityCases::QualityCases(const Knowledge& knowledge) {
  for (const auto& task : knowledge.tasks) tasks_[task.id] = &task;
  for (const auto& model : knowledge.models) models_[model.id] = &model;
}

std::optional<QualityCase> QualityCases::read(const QualityMeasurement& row, std::string* why_not) const {
  std::string why = incomparable(row);
  QualityCase c;
  c.treatment = treatment_of(row);
  const auto& t = c.treatment;
  if (why.empty() && t.weight_bits >= 16 && t.activation_bits >= 16 && !t.pruned()) why = "nothing was compressed";
  const auto task = tasks_.find(row.task);
  c.yardstick = {row.task, row.family, task == tasks_.end() ? 0 : task->second->chance.value_or(0)};
  if (why.empty()) {
    const auto value = observed(row, c.yardstick.chance, why);
    if (value && std::isfinite(*value)) c.observed = *value;
    if (value && !std::isfinite(*value)) why = "its value is not a finite number";
  }
  if (!why.empty()) {
    if (why_not) *why_not = why;
    return std::nullopt;
  }
  if (const auto known = models_.find(row.model); known != models_.end()) c.model = *known->second;
  c.model.id = row.model;
  if (row.params.value_or(0) > 0) c.model.params = row.params;
  c.variant.model = row.model, c.variant.technique = row.technique, c.variant.scheme = row.scheme;
  c.variant.sparsity = t.sparsity, c.variant.pattern = t.pattern;
  c.measure = row.metric_kind == "perplexity" ? "perplexity" : "accuracy";
  c.baseline = row.metric_kind == "error_rate" ? 1 - row.baseline : row.baseline;
  set_format(c);
  c.source = row.source, c.where = row.url, c.recorded = row.recorded;
  return c;
}

}  // namespace advisor
