#include "io/measurement_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <span>
#include <tuple>

#include "core/error.h"
#include "core/suggest.h"
#include "io/csv.h"
#include "io/database.h"

namespace advisor {
namespace {

constexpr double billion = 1e9;

const std::vector<std::string> quality_required{"model_id", "technique", "weight_bits",      "task",
                                                "metric",   "value",     "higher_is_better", "baseline_value"};
const std::vector<std::string> quality_optional{"source_id",
                                                "model_params_b",
                                                "format",
                                                "activation_bits",
                                                "kv_bits",
                                                "group_size",
                                                "bits_per_weight",
                                                "pattern",
                                                "sparsity",
                                                "sparsity_of",
                                                "retrained",
                                                "scale",
                                                "url",
                                                "locator",
                                                "calibration",
                                                "task_family",
                                                "baseline_precision"};
const std::vector<std::string> speed_required{"model_id",    "format",         "weight_bits", "engine",
                                              "hardware_id", "hardware_count", "metric",      "batch_or_concurrency",
                                              "value"};
const std::vector<std::string> speed_optional{"source_id",   "model_params_b", "active_params_b", "engine_version",
                                              "parallelism", "input_len",      "output_len",      "url",
                                              "locator"};

template <typename Number>
std::optional<Number> parse_number(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// Columns of one table by name; absent ones read as empty.
class Columns {
 public:
  explicit Columns(const CsvTable& table) : table_(table) {
    for (std::size_t i = 0; i < table.columns.size(); ++i) index_[table.columns[i]] = i;
  }
  bool has(const std::string& name) const { return index_.contains(name); }

  std::string text(const CsvRow& row, const std::string& name) const {
    const auto found = index_.find(name);
    return found == index_.end() ? "" : row.fields[found->second];
  }
  std::optional<double> maybe_number(const CsvRow& row, const std::string& name) const {
    const std::string field = text(row, name);
    if (field.empty()) return std::nullopt;
    const auto number = parse_number<double>(field);
    if (!number || !std::isfinite(*number)) refuse(row, name, "is not a number");
    return number;
  }
  double number(const CsvRow& row, const std::string& name) const {
    const auto number = maybe_number(row, name);
    if (!number) refuse(row, name, "is not a number");
    return *number;
  }
  std::optional<std::int64_t> maybe_integer(const CsvRow& row, const std::string& name) const {
    const std::string field = text(row, name);
    if (field.empty()) return std::nullopt;
    const auto number = parse_number<std::int64_t>(field);
    if (!number) refuse(row, name, "is not a whole number");
    return number;
  }
  /// Empty is no.
  bool yes(const CsvRow& row, const std::string& name) const {
    const std::string field = text(row, name);
    if (field == "yes" || field == "1" || field == "true") return true;
    if (!field.empty() && field != "no" && field != "0" && field != "false") refuse(row, name, "is not yes or no");
    return false;
  }
  [[noreturn]] void refuse(const CsvRow& row, const std::string& name, const std::string& what) const {
    throw Error(ErrorCode::parse_error, table_.where(row) + ":" + std::to_string(index_.at(name) + 1) + ": column " +
                                            name + ": \"" + text(row, name) + "\" " + what);
  }

 private:
  const CsvTable& table_;
  std::map<std::string, std::size_t> index_;
};

void check_columns(const CsvTable& table, const Columns& columns, const std::vector<std::string>& required,
                   const std::vector<std::string>& optional) {
  for (const auto& name : required)
    if (!columns.has(name)) throw Error(ErrorCode::parse_error, table.file + ":1: column " + name + " is missing");
  std::vector<std::string> known = required;
  known.insert(known.end(), optional.begin(), optional.end());
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    if (std::find(known.begin(), known.end(), table.columns[i]) != known.end()) continue;
    throw Error(ErrorCode::parse_error, table.file + ":1:" + std::to_string(i + 1) + ": column " + table.columns[i] +
                                            " is unknown" + did_you_mean(table.columns[i], known));
  }
}

/// A count where the text is one: "512", not "ShareGPT" or "10 req/s".
std::optional<std::int64_t> whole_number(const std::string& text) { return parse_number<std::int64_t>(text); }

struct Reader {
  const CsvTable& table;
  const Columns& columns;
  const NameTables& names;
  const std::map<std::string, const Model*>& catalog;
  std::string source;  ///< where no column says it
  MeasurementFile& out;

  void count(const std::string& reason) const { ++out.unmapped[reason]; }
  std::string source_of(const CsvRow& row) const {
    const std::string stated = columns.text(row, "source_id");
    return stated.empty() ? source : stated;
  }
  std::optional<double> params(const CsvRow& row, const char* column, const std::string& model,
                               std::optional<double> Model::*fact) const {
    if (const auto stated = columns.maybe_number(row, column)) return *stated * billion;
    const auto known = catalog.find(model);
    return known == catalog.end() ? std::nullopt : known->second->*fact;
  }
  void read_quality(const CsvRow& row) const;
  void read_speed(const CsvRow& row) const;
  double scale(const CsvRow& row, const QualityMeasurement& q) const;
};

bool is_share(const std::string& kind) {
  return kind == "proportion" || kind == "error_rate" || kind == "similarity" || kind == "retained";
}

/// What makes fractions of 1. No table says percent and prints shares of one per cent and less for both values, so a
/// row without a stated scale tells by itself; checked on all rows of data/, which state it.
double Reader::scale(const CsvRow& row, const QualityMeasurement& q) const {
  const std::string stated = columns.text(row, "scale");
  if (stated == "percent") return 0.01;
  if (stated == "fraction" || stated == "raw") return 1;
  if (!stated.empty()) columns.refuse(row, "scale", "is not percent, fraction or raw");
  return is_share(q.metric_kind) && std::max(std::abs(q.baseline), std::abs(q.value)) > 1 ? 0.01 : 1;
}

void Reader::read_quality(const CsvRow& row) const {
  QualityMeasurement q;
  q.source = source_of(row);
  q.baseline = columns.number(row, "baseline_value");
  q.value = columns.number(row, "value");
  q.weight_bits = columns.maybe_number(row, "weight_bits");
  q.activation_bits = columns.maybe_number(row, "activation_bits");
  q.kv_bits = columns.maybe_number(row, "kv_bits");
  q.bits_per_weight = columns.maybe_number(row, "bits_per_weight");
  q.group_size = columns.maybe_integer(row, "group_size");
  q.sparsity = columns.maybe_number(row, "sparsity").value_or(0);
  q.retrained = columns.yes(row, "retrained");
  q.higher_is_better = columns.yes(row, "higher_is_better");
  q.model = columns.text(row, "model_id");
  if (const auto known = names.models.find(q.model); known != names.models.end())  // a finetune has other weights
    if (!known->second.model.empty() && known->second.relation != "finetune") q.model = known->second.model;
  q.params = params(row, "model_params_b", q.model, &Model::params);
  q.technique = columns.text(row, "technique");
  // The compiled tables say "other" for many methods; which vocabulary word that is depends on what they are about.
  if (q.technique == "other") q.technique = columns.has("pattern") ? "other-compression" : "other-quantization";
  if (const auto known = names.techniques.find(q.technique); known != names.techniques.end())
    q.technique = known->second;
  q.format = columns.text(row, "format");
  q.pattern = columns.text(row, "pattern");
  if (q.pattern == "none") q.pattern.clear();
  q.sparsity_of = columns.text(row, "sparsity_of");
  if (q.sparsity > 0 && q.sparsity_of.empty()) q.sparsity_of = q.pattern.empty() ? "what is not stated" : "weights";
  q.calibration = columns.text(row, "calibration");
  q.baseline_precision = columns.text(row, "baseline_precision");
  q.url = columns.text(row, "url");
  q.locator = columns.text(row, "locator");

  const auto task = names.tasks.find(columns.text(row, "task"));
  const auto metric = names.metrics.find(columns.text(row, "metric"));
  if (task == names.tasks.end()) return count("task \"" + columns.text(row, "task") + "\" is in no vocabulary");
  if (metric == names.metrics.end()) return count("metric \"" + columns.text(row, "metric") + "\" is in no vocabulary");
  q.task = task->second;
  if (const auto family = names.families.find(q.task); family != names.families.end()) q.family = family->second;
  q.metric = metric->second.metric;
  q.metric_kind = metric->second.kind;
  const double factor = scale(row, q);
  q.baseline *= factor;
  q.value *= factor;
  if (q.metric_kind == "proportion" && std::max(q.baseline, q.value) > 1)
    q.suspect = "its value is no fraction after its scale is taken off";
  q.scheme = scheme_of(q);
  out.quality.push_back(std::move(q));
}

void Reader::read_speed(const CsvRow& row) const {
  SpeedMeasurement s;
  s.source = source_of(row);
  s.value = columns.number(row, "value");
  s.weight_bits = columns.maybe_number(row, "weight_bits");
  const auto devices = columns.maybe_integer(row, "hardware_count");
  if (devices && *devices < 1) columns.refuse(row, "hardware_count", "is not positive");
  s.hardware_count = devices.value_or(1);
  s.model = columns.text(row, "model_id");
  if (const auto known = names.models.find(s.model); known != names.models.end() && !known->second.model.empty())
    s.model = known->second.model;
  s.params = params(row, "model_params_b", s.model, &Model::params);
  s.active_params = params(row, "active_params_b", s.model, &Model::active_params);
  s.format = columns.text(row, "format");
  s.engine = columns.text(row, "engine");
  if (const auto known = names.engines.find(s.engine); known != names.engines.end()) s.engine = known->second;
  s.engine_version = columns.text(row, "engine_version");
  s.parallelism = columns.text(row, "parallelism");
  s.input_length = columns.text(row, "input_len");
  s.output_length = columns.text(row, "output_len");
  s.input_tokens = whole_number(s.input_length);
  s.output_tokens = whole_number(s.output_length);
  s.load = columns.text(row, "batch_or_concurrency");
  s.concurrency = whole_number(s.load);
  s.url = columns.text(row, "url");
  s.locator = columns.text(row, "locator");

  const std::string hardware = columns.text(row, "hardware_id"), metric = columns.text(row, "metric");
  const auto device = names.hardware.find(hardware);
  if (device == names.hardware.end()) return count("hardware \"" + hardware + "\" is in no vocabulary");
  const auto quantity = names.metrics.find(metric);
  if (quantity == names.metrics.end()) return count("metric \"" + metric + "\" is in no vocabulary");
  s.hardware = device->second;
  s.metric = quantity->second.metric;
  out.speed.push_back(std::move(s));
}

auto content(const QualityMeasurement& q) {
  return std::tuple(q.source, q.model, q.technique, q.format, q.task, q.metric, q.baseline, q.value, q.locator);
}
auto content(const SpeedMeasurement& s) {
  return std::tuple(s.source, s.model, s.engine, s.hardware, s.format, s.metric, s.load, s.value, s.locator);
}

/// Marks rows that the database marks too.
template <typename Measurement>
void take_marks(std::vector<Measurement>& rows, const std::vector<Measurement>& shipped) {
  std::map<decltype(content(rows.front())), std::string> marks;
  for (const auto& row : shipped)
    if (!row.suspect.empty()) marks.emplace(content(row), row.suspect);
  for (auto& row : rows)
    if (const auto mark = marks.find(content(row)); mark != marks.end()) row.suspect = mark->second;
}

}  // namespace

MeasurementFile read_measurements(const std::filesystem::path& file, const NameTables& names,
                                  const Knowledge& knowledge) {
  const CsvTable table = read_csv(file, file.string());
  const Columns columns(table);
  const bool speed = columns.has("engine") && columns.has("hardware_id");
  if (!speed && !(columns.has("technique") && columns.has("baseline_value"))) {
    throw Error(ErrorCode::parse_error,
                table.file + ":1: neither quality measurements (they have columns technique and baseline_value) nor " +
                    "speed measurements (engine and hardware_id)");
  }
  check_columns(table, columns, speed ? speed_required : quality_required, speed ? speed_optional : quality_optional);

  std::map<std::string, const Model*> catalog;
  for (const Model& model : knowledge.models) catalog[model.id] = &model;
  MeasurementFile out;
  const Reader reader{table, columns, names, catalog, file.stem().string(), out};
  for (const CsvRow& row : table.rows) speed ? reader.read_speed(row) : reader.read_quality(row);
  out.rows = static_cast<std::int64_t>(table.rows.size());
  take_marks(out.quality, knowledge.quality);
  take_marks(out.speed, knowledge.speed);
  return out;
}

}  // namespace advisor
