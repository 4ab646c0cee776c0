// The columns of the user's own rows, each list written once: from it come the tables, the statements and the JSON.
// Private to io/. Adding or removing a column is another layout of the local database.
#pragma once

#include "io/import_match.h"

namespace advisor::local {

/// `f(name, member, is_key)`: key columns together tell whether two rows are the same measurement.
template <typename Recorded, typename F>
void quality_columns(Recorded& r, F&& f) {
  auto& q = r.row;
  f("model", q.model, true);
  f("params", q.params, false);
  f("technique", q.technique, true);
  f("scheme", q.scheme, true);
  f("format", q.format, false);
  f("weight_bits", q.weight_bits, false);
  f("activation_bits", q.activation_bits, false);
  f("kv_bits", q.kv_bits, true);
  f("bits_per_weight", q.bits_per_weight, true);
  f("group_size", q.group_size, true);
  f("pattern", q.pattern, true);
  f("sparsity", q.sparsity, true);
  f("sparsity_of", q.sparsity_of, false);
  f("retrained", q.retrained, true);
  f("calibration", q.calibration, true);
  f("task", q.task, true);
  f("family", q.family, false);
  f("metric", q.metric, true);
  f("metric_kind", q.metric_kind, false);
  f("higher_is_better", q.higher_is_better, false);
  f("baseline_precision", q.baseline_precision, false);
  f("baseline", q.baseline, true);
  f("value", q.value, true);
  f("standard_error", q.standard_error, false);
  f("locator", q.locator, false);
  f("tool", r.tool, true);
  f("settings", r.settings, true);
}

template <typename Recorded, typename F>
void speed_columns(Recorded& r, F&& f) {
  auto& s = r.row;
  f("model", s.model, true);
  f("params", s.params, false);
  f("active_params", s.active_params, false);
  f("format", s.format, true);
  f("weight_bits", s.weight_bits, false);
  f("engine", s.engine, true);
  f("engine_version", s.engine_version, true);
  f("hardware", s.hardware, true);
  f("hardware_count", s.hardware_count, true);
  f("parallelism", s.parallelism, true);
  f("input_tokens", s.input_tokens, true);
  f("output_tokens", s.output_tokens, true);
  f("concurrency", s.concurrency, true);
  f("load", s.load, true);
  f("metric", s.metric, true);
  f("value", s.value, true);
  f("standard_error", s.standard_error, false);
  f("locator", s.locator, false);
  f("tool", r.tool, true);
}

template <typename Recorded, typename F>
void score_columns(Recorded& r, F&& f) {
  auto& s = r.row;
  f("model", s.model, true);
  f("task", s.task, true);
  f("family", s.family, false);
  f("metric", s.metric, true);
  f("metric_kind", s.metric_kind, false);
  f("shots", s.shots, true);
  f("mode", s.mode, true);
  f("harness", s.harness, true);
  f("value", s.value, true);
  f("standard_error", r.standard_error, false);
  f("locator", s.locator, false);
  f("tool", r.tool, false);
  f("settings", r.settings, true);
}

/// One list per kind of row, chosen by type.
template <typename F>
void columns(RecordedQuality& r, F&& f) {
  quality_columns(r, f);
}
template <typename F>
void columns(const RecordedQuality& r, F&& f) {
  quality_columns(r, f);
}
template <typename F>
void columns(RecordedSpeed& r, F&& f) {
  speed_columns(r, f);
}
template <typename F>
void columns(const RecordedSpeed& r, F&& f) {
  speed_columns(r, f);
}
template <typename F>
void columns(RecordedScore& r, F&& f) {
  score_columns(r, f);
}
template <typename F>
void columns(const RecordedScore& r, F&& f) {
  score_columns(r, f);
}

}  // namespace advisor::local
