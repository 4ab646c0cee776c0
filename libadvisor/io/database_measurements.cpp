// Measurements, scores and what was fitted to them.
#include <algorithm>
#include <cmath>
#include <set>

#include "io/database_rows.h"

namespace advisor {
namespace {

/// What a value of this scale is multiplied by to be a fraction of 1; raw values stay.
double scale_factor(std::string_view scale) { return scale == "percent" ? 0.01 : 1; }

std::vector<QualityMeasurement> read_quality(const Sqlite& database, const std::string& model) {
  const std::string sql =
      "SELECT source_file, coalesce(catalog_model, q.model_id), coalesce(model_params_b, m.params_b), technique_id, "
      "format,"
      " weight_bits, activation_bits, kv_bits, bits_per_weight, group_size, pattern, sparsity, retrained, calibration,"
      " task_id, q.family, metric_name, higher_is_better, scale, baseline_value, value, url, q.locator, metric_kind,"
      " sparsity_of, baseline_precision, suspect"
      " FROM quality_rows q LEFT JOIN models m ON m.model_id = q.catalog_model" +
      where_is("q.named_model", model) + (model.empty() ? "" : " AND q.catalog_model = ?1") +
      " ORDER BY source_file, q.line";
  std::int64_t id = 0;
  return read_all<QualityMeasurement>(
      database, sql,
      [&](Row& row, QualityMeasurement& q) {
        q.id = ++id;
        q.source = row.text();
        q.model = row.text();
        q.params = times(row.maybe_number(), billion);
        q.technique = row.text();
        q.format = row.text();
        for (auto* bits : {&q.weight_bits, &q.activation_bits, &q.kv_bits, &q.bits_per_weight})
          *bits = row.maybe_number();
        q.group_size = row.maybe_integer();
        q.pattern = row.text();
        q.sparsity = row.maybe_number().value_or(0);
        q.retrained = row.yes();
        for (auto* text : {&q.calibration, &q.task, &q.family, &q.metric}) *text = row.text();
        q.higher_is_better = row.yes();
        const double factor = scale_factor(row.view());
        q.baseline = factor * row.number();
        q.value = factor * row.number();
        for (auto* text : {&q.url, &q.locator, &q.metric_kind, &q.sparsity_of, &q.baseline_precision, &q.suspect}) {
          *text = row.text();
        }
        q.scheme = scheme_of(q);
      },
      {model});
}

std::vector<SpeedMeasurement> read_speed(const Sqlite& database, const Selection& only) {
  const std::string sql =
      "SELECT source_file, coalesce(catalog_model, s.model_id), coalesce(model_params_b, m.params_b),"
      " coalesce(s.active_params_b, m.active_params_b), format, weight_bits,"
      " engine_name || CASE speculative WHEN 'yes' THEN '+specdec' ELSE '' END, engine_version, hardware, "
      "hardware_count,"
      " parallelism, input_len, output_len, batch_or_concurrency, metric, value, url, s.locator, suspect"
      " FROM speed_rows s LEFT JOIN models m ON m.model_id = s.catalog_model" +
      where_is("catalog_model", only.model) +
      (only.hardware.empty() ? ""
       : only.model.empty()  ? " WHERE hardware = ?2"
                             : " AND hardware = ?2") +
      " ORDER BY source_file, s.line";
  std::int64_t id = 0;
  return read_all<SpeedMeasurement>(database, sql,
                                    [&](Row& row, SpeedMeasurement& s) {
                                      s.id = ++id;
                                      s.source = row.text();
                                      s.model = row.text();
                                      s.params = times(row.maybe_number(), billion);
                                      s.active_params = times(row.maybe_number(), billion);
                                      s.format = row.text();
                                      s.weight_bits = row.maybe_number();
                                      for (auto* text : {&s.engine, &s.engine_version, &s.hardware}) *text = row.text();
                                      s.hardware_count = row.integer();
                                      s.parallelism = row.text();
                                      s.input_length = row.text();
                                      s.output_length = row.text();
                                      s.input_tokens = whole_number(s.input_length);
                                      s.output_tokens = whole_number(s.output_length);
                                      s.load = row.text();
                                      s.concurrency = whole_number(s.load);
                                      s.metric = row.text();
                                      s.value = row.number();
                                      for (auto* text : {&s.url, &s.locator, &s.suspect}) *text = row.text();
                                    },
                                    {only.model, only.hardware});
}

std::vector<OffloadMeasurement> read_offload(const Sqlite& database) {
  return read_all<OffloadMeasurement>(
      database,
      "SELECT source_file, coalesce(catalog_model, model_id), format, engine_name, engine_version, hardware,"
      " hardware_count, host, host_memory_gb, host_bandwidth_gbs, n_cpu_moe, gpu_layers, input_len, output_len,"
      " micro_batch, metric, value, url, locator, suspect FROM offload_rows ORDER BY source_file, line",
      [](Row& row, OffloadMeasurement& o) {
        for (auto* text : {&o.source, &o.model, &o.format, &o.engine, &o.engine_version, &o.hardware})
          *text = row.text();
        o.hardware_count = row.integer();
        o.host = row.text();
        o.host_memory = times(row.maybe_number(), gigabyte_of_memory);
        o.host_bandwidth = times(row.maybe_number(), giga);
        for (auto* count : {&o.cpu_moe_layers, &o.gpu_layers, &o.input_tokens, &o.output_tokens})
          *count = row.maybe_integer();
        o.micro_batch = row.maybe_number();
        o.metric = row.text();
        o.value = row.number();
        for (auto* text : {&o.url, &o.locator, &o.suspect}) *text = row.text();
      });
}

std::vector<Score> read_scores(const Sqlite& database, const std::string& model) {
  const std::string sql =
      "SELECT coalesce(catalog_model, model_id), task_id, family, metric_name, shots, mode, harness, scale, value, url,"
      " locator, metric_kind, closed, suspect FROM score_rows" +
      where_is("catalog_model", model) + " ORDER BY closed, line";
  return read_all<Score>(database, sql,
                         [](Row& row, Score& s) {
                           for (auto* text : {&s.model, &s.task, &s.family, &s.metric, &s.shots, &s.mode, &s.harness})
                             *text = row.text();
                           const double factor = scale_factor(row.view());
                           s.value = factor * row.number();
                           for (auto* text : {&s.url, &s.locator, &s.metric_kind}) *text = row.text();
                           s.closed = row.integer() != 0;
                           s.suspect = row.text();
                         },
                         {model});
}

/// Ids as the list of an SQL condition; they come from vocabularies and catalogs, which have no quotes.
std::string quoted(const std::set<std::string>& ids) {
  std::string list = "''";
  for (const auto& id : ids) list += ", '" + id + "'";
  return list;
}

/// What scores say of a task is needed where a task of its family is asked about, what compression does to it also
/// where the model was measured on it.
std::string about_tasks(const std::vector<std::string>& asked, const Knowledge& knowledge) {
  std::set<std::string> families, needed;
  for (const Task& task : knowledge.tasks)
    if (std::find(asked.begin(), asked.end(), task.id) != asked.end()) families.insert(task.family);
  for (const Task& task : knowledge.tasks)
    if (families.contains(task.family)) needed.insert(task.id);
  std::set<std::string> measured = needed;
  for (const auto& row : knowledge.quality) measured.insert(row.task);
  return " AND task IN (" + quoted(measured) + ") AND (fit = 'quality' OR task IN (" + quoted(needed) + "))";
}

/// Terms about another model, device or engine are of no use. In the order of their fits (estimate/fits.h), not of the
/// table.
std::vector<FittedTerm> read_fits(const Sqlite& database, const Selection& only, const Knowledge& knowledge) {
  std::string where = only.model.empty() ? " WHERE TRUE" : " WHERE model IN ('', ?1)";
  if (only.tasks) where += about_tasks(*only.tasks, knowledge);
  if (!only.hardware.empty()) where += " AND hardware IN ('', ?2)";
  if (!only.engine.empty()) where += " AND engine IN ('', ?3)";
  auto terms = read_all<FittedTerm>(database,
                                    "SELECT fit, term, level, value, sd, rows, sources FROM fitted_terms" + where +
                                        " ORDER BY model, task, fit, term, level",
                                    [](Row& row, FittedTerm& t) {
                                      for (auto* text : {&t.fit, &t.term, &t.level}) *text = row.view();
                                      t.value = row.number();
                                      t.sd = row.number();
                                      t.rows = row.integer();
                                      t.sources = split(row.view());
                                    },
                                    {only.model, only.hardware, only.engine});
  std::stable_sort(terms.begin(), terms.end(), [](const auto& a, const auto& b) { return a.fit < b.fit; });
  return terms;
}

/// "4", "2.28": bits as they are written in a scheme.
std::string bits_text(double bits) {
  if (bits == std::floor(bits)) return std::to_string(static_cast<std::int64_t>(bits));
  std::string text = std::to_string(bits);
  return text.substr(0, text.find_last_not_of('0') + 1);
}

/// The number grid of a scheme; integers need none.
std::string grid_of(const QualityMeasurement& row) {
  if (row.technique == "nvfp4" || row.format.starts_with("NVFP4")) return "-nvfp4";
  if (row.technique == "mxfp4" || row.format.starts_with("MXFP4")) return "-mxfp4";
  if (row.technique == "fp8" || row.format.find("FP8") != std::string::npos) return "-fp8";
  return "";
}

}  // namespace

std::string scheme_of(const QualityMeasurement& row) {
  if (row.technique.starts_with("gguf")) return row.format.substr(0, row.format.find(' '));
  if (!row.weight_bits) return row.format;
  std::string scheme = "W" + bits_text(*row.weight_bits) + "A" + bits_text(row.activation_bits.value_or(16));
  const std::string grid = grid_of(row);
  scheme += grid;
  if (grid.ends_with("fp4") || !row.group_size) return scheme;  // the group size is part of those formats
  return scheme + (*row.group_size == -1 ? "-channel" : "-g" + std::to_string(*row.group_size));
}

void read_measurements(const Sqlite& database, const Selection& only, Knowledge& knowledge) {
  knowledge.quality = read_quality(database, only.model);
  knowledge.speed = read_speed(database, only);
  if (only.model.empty()) knowledge.offload = read_offload(database);  // a slice has what was fitted to them
  knowledge.scores = read_scores(database, only.model);
  knowledge.fits = read_fits(database, only, knowledge);
}

}  // namespace advisor
