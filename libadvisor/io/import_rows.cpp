#include "io/import_rows.h"

#include <algorithm>

#include "core/error.h"
#include "core/variant.h"
#include "io/database.h"

namespace advisor::imports {
namespace {

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

/// "llama-bench b6789".
std::string tool_of(const ToolRun& run) { return run.tool + (run.tool_version.empty() ? "" : " " + run.tool_version); }

/// The number format as the shipped speed tables write it.
std::string speed_format(const Placed& placed, const NameTables& names) {
  const WeightState& weights = placed.weights;
  if (placed.uncompressed()) {
    if (weights.scheme == "F16") return "fp16";
    if (weights.scheme == "BF16") return "bf16";
    if (!weights.scheme.empty()) return weights.scheme;
    const auto dtype = names.dtypes.find(placed.model.model);
    if (dtype != names.dtypes.end() && dtype->second == "float16") return "fp16";
    if (dtype != names.dtypes.end() && dtype->second == "float32") return "fp32";
    return "bf16";  // what engines load a checkpoint as when nothing else is said
  }
  if (weights.scheme.starts_with("W4A16") && weights.technique == "gptq") return "W4A16-GPTQ";
  if (weights.scheme.starts_with("W4A16") && weights.technique == "awq") return "W4A16-AWQ";
  if (weights.scheme == "W8A8-fp8") return "W8A8-FP8";
  if (weights.scheme == "W8A8-int8" || weights.scheme == "W8A8") return "W8A8-INT8";
  if (weights.scheme.find("nvfp4") != std::string::npos) return "NVFP4";
  if (weights.scheme.find("mxfp4") != std::string::npos) return "MXFP4";
  return weights.scheme;
}

std::optional<double> bits_of(const Placed& placed) {
  if (placed.run->weight_bits) return placed.run->weight_bits;
  if (placed.weights.scheme.empty()) return 16;
  try {
    return describe_scheme(placed.weights.scheme).weight_bits;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

RecordedScore score_row(const Placed& placed, const ToolQuality& q, const PlacedTask& task, const MetricName& metric) {
  RecordedScore score;
  score.row.model = placed.quality_model();
  score.row.task = task.task;
  score.row.family = task.family;
  score.row.metric = metric.metric;
  score.row.metric_kind = metric.kind;
  score.row.shots = q.shots;
  score.row.harness = placed.run->tool;
  score.row.value = q.value;
  score.row.locator = placed.file->name + ": " + q.locator;
  score.standard_error = q.standard_error;
  score.tool = tool_of(*placed.run);
  score.settings = q.settings;
  return score;
}

RecordedQuality quality_row(const Placed& placed, const ToolQuality& q, const PlacedTask& task,
                            const MetricName& metric, double baseline) {
  const ToolRun& run = *placed.run;
  RecordedQuality recorded;
  QualityMeasurement& row = recorded.row;
  row.model = placed.quality_model();
  row.params = placed.model.params ? placed.model.params : run.params;
  row.technique = placed.weights.technique;
  row.scheme = row.format = placed.weights.scheme;
  row.weight_bits = run.weight_bits;
  row.activation_bits = run.activation_bits;
  row.kv_bits = run.kv_bits;
  row.bits_per_weight = run.bits_per_weight;
  if (run.group_size) row.group_size = static_cast<std::int64_t>(*run.group_size);
  if (run.tool != "table") {
    const SchemeInfo info = describe_scheme(row.scheme);
    row.weight_bits = info.weight_bits;
    row.activation_bits = info.activation_bits;
    if (info.group > 0) row.group_size = info.group;
    if (row.scheme.find("-channel") != std::string::npos) row.group_size = -1;
    if (info.grid == "nvfp4" || info.grid == "mxfp4" || info.grid == "fp8") row.format = upper(row.scheme);
    if (info.grid == "nvfp4" || info.grid == "mxfp4") row.format = upper(info.grid);
  }
  if (run.tool == "table") row.scheme = scheme_of(row);
  row.pattern = run.pattern;
  row.sparsity = run.sparsity.value_or(0);
  row.sparsity_of = run.sparsity_of;
  row.retrained = run.retrained;
  row.calibration = run.calibration;
  row.task = task.task;
  row.family = task.family;
  row.metric = metric.metric;
  row.metric_kind = metric.kind;
  row.higher_is_better = metric.higher_is_better;
  row.baseline = baseline;
  row.value = q.value;
  row.standard_error = q.standard_error;
  row.baseline_precision = run.baseline_precision;
  row.locator = placed.file->name + ": " + q.locator;
  recorded.tool = tool_of(run);
  recorded.settings = q.settings;
  return recorded;
}

RecordedSpeed speed_row(const Placed& placed, const ToolSpeed& s, const std::string& metric,
                        const PlacedMachine& machine, const RecordOptions& options, const NameTables& names) {
  const ToolRun& run = *placed.run;
  RecordedSpeed recorded;
  SpeedMeasurement& row = recorded.row;
  row.model = placed.model.model;
  row.params = placed.model.params ? placed.model.params : run.params;
  row.format = run.tool == "table" && options.scheme.empty() ? run.weights.scheme : speed_format(placed, names);
  row.weight_bits = bits_of(placed);
  row.engine = machine.engine;
  row.engine_version = options.engine_version.empty() ? run.engine_version : options.engine_version;
  row.hardware = machine.hardware;
  row.hardware_count = options.hardware_count > 0 ? options.hardware_count : run.hardware_count;
  row.parallelism = run.parallelism;
  row.input_tokens = s.input_tokens;
  row.output_tokens = s.output_tokens;
  row.concurrency = s.concurrency;
  row.load = s.load;
  row.metric = metric;
  row.value = s.value;
  row.standard_error = s.standard_error;
  row.locator = placed.file->name + ": " + s.locator;
  recorded.tool = tool_of(run);
  return recorded;
}

}  // namespace advisor::imports
