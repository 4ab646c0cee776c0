// Tables in the columns of data/measurements/quality and data/measurements/speed (data/schema.sql), for results of
// tools that have no reader of their own. Columns may be left out where they may be empty.
#include <algorithm>
#include <cmath>

#include "io/csv.h"
#include "io/import_formats.h"

namespace advisor::imports {
namespace {

constexpr double billion = 1e9;

class Row {
 public:
  Row(const CsvTable& table, const CsvRow& row) : table_(table), row_(row), where_(table.where(row)) {}
  const std::string& where() const { return where_; }

  std::string text(const char* column) const {
    const auto found = std::find(table_.columns.begin(), table_.columns.end(), column);
    if (found == table_.columns.end()) return "";
    return row_.fields[static_cast<std::size_t>(found - table_.columns.begin())];
  }
  std::string required(const char* column) const {
    std::string value = text(column);
    if (value.empty()) refuse(where_, std::string(column) + " is empty");
    return value;
  }
  std::optional<double> number(const char* column) const {
    const std::string value = text(column);
    if (value.empty()) return std::nullopt;
    const auto number = number_in(value, where_ + ": " + column);
    if (!number) refuse(where_, std::string(column) + " \"" + value + "\" is no number");
    return number;
  }
  double required_number(const char* column) const {
    required(column);
    return *number(column);
  }
  /// A count where the text is one ("512"), not "ShareGPT".
  std::optional<std::int64_t> count(const char* column) const {
    const auto number = number_in(text(column), where_ + ": " + column);
    const bool whole = number && *number >= 0 && *number < 1e15 && *number == std::floor(*number);
    return whole ? std::optional(static_cast<std::int64_t>(*number)) : std::nullopt;
  }
  bool yes(const char* column) const { return text(column) == "yes"; }

 private:
  const CsvTable& table_;
  const CsvRow& row_;
  std::string where_;
};

ToolRun quality_run(const Row& row) {
  const std::string scale = row.required("scale");
  if (scale != "percent" && scale != "fraction" && scale != "raw") {
    refuse(row.where(), "scale \"" + scale + "\" is not percent, fraction or raw");
  }
  const double factor = scale == "percent" ? 0.01 : 1;
  ToolRun run;
  run.tool = "table";
  run.model = row.required("model_id");
  run.weights.technique = row.required("technique");
  run.weights.scheme = row.text("format");
  if (const auto params = row.number("model_params_b")) run.params = billion * *params;
  run.weight_bits = row.number("weight_bits");
  run.activation_bits = row.number("activation_bits");
  run.bits_per_weight = row.number("bits_per_weight");
  run.group_size = row.number("group_size");
  run.kv_bits = row.number("kv_bits");
  run.sparsity = row.number("sparsity");
  run.pattern = row.text("pattern");
  run.sparsity_of = row.text("sparsity_of");
  run.calibration = row.text("calibration");
  run.baseline_precision = row.text("baseline_precision");
  run.retrained = row.yes("retrained");
  ToolQuality q;
  q.task = row.required("task");
  q.metric = row.required("metric");
  q.baseline = factor * row.required_number("baseline_value");
  q.value = factor * row.required_number("value");
  q.locator = row.text("locator");
  run.quality.push_back(std::move(q));
  return run;
}

ToolRun speed_run(const Row& row) {
  ToolRun run;
  run.tool = "table";
  run.model = row.required("model_id");
  run.weights.scheme = row.required("format");
  if (const auto params = row.number("model_params_b")) run.params = billion * *params;
  run.weight_bits = row.number("weight_bits");
  run.engine = row.required("engine");
  run.engine_version = row.text("engine_version");
  run.hardware = row.required("hardware_id");
  run.hardware_count = row.count("hardware_count").value_or(1);
  run.parallelism = row.text("parallelism");
  ToolSpeed s;
  s.metric = row.required("metric");
  s.value = row.required_number("value");
  s.input_tokens = row.count("input_len");
  s.output_tokens = row.count("output_len");
  s.load = row.required("batch_or_concurrency");
  s.concurrency = row.count("batch_or_concurrency");
  s.locator = row.text("locator");
  run.speed.push_back(std::move(s));
  return run;
}

}  // namespace

bool read_measurement_table(std::string_view text, ImportedFile& file) {
  const std::string_view header = text.substr(0, text.find('\n'));
  const bool model = header.find("model_id") != std::string_view::npos;
  const bool quality = model && header.find("baseline_value") != std::string_view::npos;
  const bool speed = model && header.find("batch_or_concurrency") != std::string_view::npos;
  if (!quality && !speed) return false;
  file.kind = quality ? "table of quality measurements" : "table of speed measurements";
  const CsvTable table = parse_csv(text, file.name);
  for (const CsvRow& line : table.rows) {
    const Row row(table, line);
    file.runs.push_back(quality ? quality_run(row) : speed_run(row));
  }
  return true;
}

}  // namespace advisor::imports
