#include "io/database.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "io/sqlite.h"

namespace advisor {
namespace {

constexpr std::int64_t layout_major = 1;
constexpr double billion = 1e9, giga = 1e9, tera = 1e12;
/// Memory sizes are binary: an "80 GB" A100 reports 81920 MiB, a "141 GB" H200 143771 MiB, a "24 GB" 4090 24564 MiB.
constexpr double gigabyte_of_memory = 1024.0 * 1024 * 1024;

std::optional<double> times(std::optional<double> number, double factor) {
  return number ? std::optional(*number * factor) : std::nullopt;
}

/// "text;image" -> {"text", "image"}
std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> items;
  for (std::size_t start = 0; start < list.size();) {
    const std::size_t end = std::min(list.find(';', start), list.size());
    if (end > start) items.push_back(list.substr(start, end - start));
    start = end + 1;
  }
  return items;
}

/// A count where the text is one: "512", not "ShareGPT" or "10 req/s".
std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// Reads the columns of one row from left to right, so that a query and its reader stand side by side.
class Row {
 public:
  explicit Row(const Statement& statement) : statement_(statement) {}
  std::string text() { return statement_.text(next_++); }
  double number() { return statement_.number(next_++); }
  std::int64_t integer() { return statement_.integer(next_++); }
  bool yes() { return statement_.yes(next_++); }
  std::optional<double> maybe_number() { return statement_.maybe_number(next_++); }
  std::optional<std::int64_t> maybe_integer() { return statement_.maybe_integer(next_++); }
  std::optional<bool> maybe_yes() { return statement_.maybe_yes(next_++); }

 private:
  const Statement& statement_;
  int next_ = 0;
};

/// `chosen` is bound to the first parameter of `sql`, if it has one: the id that rows are selected by, empty = all.
template <typename Value, typename Read>
std::vector<Value> read_all(const Sqlite& database, const std::string& sql, Read read, const std::string& chosen = {}) {
  std::vector<Value> values;
  Statement statement = database.prepare(sql);
  if (!chosen.empty()) statement.bind(1, chosen);
  while (statement.step()) {
    Row row(statement);
    read(row, values.emplace_back());
  }
  return values;
}

std::string metadata(const Sqlite& database, const std::string& key) {
  Statement statement = database.prepare("SELECT value FROM metadata WHERE key = ?");
  statement.bind(1, key);
  return statement.step() ? statement.text(0) : "";
}

void check_layout(const Sqlite& database, const std::string& name) {
  std::string major, minor;
  try {
    major = metadata(database, "layout_major");
    minor = metadata(database, "layout_minor");
  } catch (const Error&) {  // no table metadata, or no database at all
  }
  if (major.empty())
    throw Error(ErrorCode::parse_error, name + ": not a database of libadvisor; build it with build_db");
  if (whole_number(major) != layout_major) {
    throw Error(ErrorCode::unsupported, name + ": layout " + major + "." + minor + ", this build reads " +
                                            std::to_string(layout_major) +
                                            ".x; use the database that came with this version of libadvisor");
  }
}

std::vector<Model> read_models(const Sqlite& database) {
  const char* sql =
      "SELECT m.model_id, family, developer, architecture, attention, native_dtype, specialty, params_b, "
      "active_params_b,"
      " n_layers, hidden_size, intermediate_size, n_heads, n_kv_heads, head_dim, vocab_size, max_context, n_experts,"
      " n_experts_used, sliding_window, kv_cache_layers, kv_lora_rank, qk_rope_head_dim, kv_bytes_per_token_bf16,"
      " tie_embeddings, modalities_in, modalities_out, qat, coalesce(l.licence, m.license), l.commercial_use,"
      " coalesce(m.release_year_month, l.release_year_month), m.source, m.locator, moe_intermediate_size,"
      " shared_expert_intermediate, params_source, notes"
      " FROM models m LEFT JOIN model_licences l USING (model_id) ORDER BY m.model_id";
  return read_all<Model>(database, sql, [](Row& row, Model& m) {
    m.id = row.text();
    for (auto* text : {&m.family, &m.developer, &m.architecture, &m.attention, &m.native_dtype, &m.specialty}) {
      *text = row.text();
    }
    m.params = times(row.maybe_number(), billion);
    m.active_params = times(row.maybe_number(), billion);
    for (auto* count :
         {&m.layers, &m.hidden, &m.intermediate, &m.heads, &m.kv_heads, &m.head_dim, &m.vocab, &m.max_context,
          &m.experts, &m.experts_used, &m.sliding_window, &m.kv_layers, &m.kv_lora_rank, &m.qk_rope_head_dim}) {
      *count = row.maybe_integer();
    }
    m.kv_bytes_per_token_bf16 = row.maybe_number();
    m.tie_embeddings = row.maybe_yes();
    m.modalities_in = split(row.text());
    m.modalities_out = split(row.text());
    for (auto* text : {&m.qat, &m.licence, &m.commercial_use, &m.released, &m.url, &m.locator}) *text = row.text();
    m.moe_intermediate = row.maybe_integer();
    m.shared_expert_intermediate = row.maybe_integer();
    m.params_source = row.text();
    m.notes = row.text();
  });
}

std::vector<Device> read_devices(const Sqlite& database) {
  const char* sql =
      "SELECT hardware_id, h.name, vendor, kind, g.generation, compute_capability, memory_gb, memory_bandwidth_gbs,"
      " fp32_tflops, fp16_tflops, bf16_tflops, fp8_tflops, int8_tops, fp4_tflops, int4_tops, sparse_2_4, "
      "unified_memory,"
      " interconnect_gbs FROM hardware h JOIN generation_names g ON g.name = h.generation ORDER BY hardware_id";
  return read_all<Device>(database, sql, [](Row& row, Device& d) {
    for (auto* text : {&d.id, &d.name, &d.vendor, &d.kind, &d.generation}) *text = row.text();
    d.compute_capability = row.maybe_number();
    d.memory = times(row.maybe_number(), gigabyte_of_memory).value_or(0);
    d.bandwidth = times(row.maybe_number(), giga);
    for (auto* rate : {&d.fp32, &d.fp16, &d.bf16, &d.fp8, &d.int8, &d.fp4, &d.int4})
      *rate = times(row.maybe_number(), tera);
    d.sparse_2_4 = row.maybe_yes();
    d.unified_memory = row.yes();
    d.interconnect = times(row.maybe_number(), giga);
  });
}

/// " WHERE column = ?1" when something is chosen.
std::string where_is(const char* column, const std::string& chosen) {
  return chosen.empty() ? "" : std::string(" WHERE ") + column + " = ?1";
}

void read_catalogs(const Sqlite& database, Knowledge& knowledge, const Selection& only) {
  knowledge.models = read_models(database);
  knowledge.devices = read_devices(database);
  knowledge.techniques = read_all<Technique>(
      database,
      "SELECT technique, title, kind, needs_calibration, implemented, source FROM techniques ORDER BY technique",
      [](Row& row, Technique& t) {
        for (auto* text : {&t.id, &t.title, &t.kind}) *text = row.text();
        t.needs_calibration = row.yes();
        t.implemented = row.yes();
        t.source = row.text();
      });
  knowledge.engine_support =
      read_all<EngineSupport>(database,
                              "SELECT engine, format || ':' || scheme, generation, supported, source, locator, "
                              "published_format FROM support_rows"
                              " ORDER BY engine, format, scheme, generation, line",
                              [](Row& row, EngineSupport& s) {
                                for (auto* text : {&s.engine, &s.format, &s.generation, &s.supported, &s.source,
                                                   &s.locator, &s.published_format}) {
                                  *text = row.text();
                                }
                              });
  knowledge.prices = read_all<Price>(
      database,
      "SELECT provider, sku, h.hardware, count, usd_per_hour, pricing, as_of, url, locator"
      " FROM prices p JOIN hardware_names h ON h.name = p.hardware_id" +
          where_is("h.hardware", only.hardware) + " ORDER BY p.line",
      [](Row& row, Price& p) {
        for (auto* text : {&p.provider, &p.sku, &p.hardware}) *text = row.text();
        p.count = row.integer();
        p.usd_per_hour = row.number();
        for (auto* text : {&p.pricing, &p.as_of, &p.url, &p.locator}) *text = row.text();
      },
      only.hardware);
  knowledge.api_prices = read_all<ApiPrice>(
      database,
      "SELECT coalesce(a.model, p.model), provider, usd_per_million_input_tokens, usd_per_million_output_tokens, as_of,"
      " url, locator FROM api_prices p JOIN model_names a ON a.name = p.model ORDER BY p.line",
      [](Row& row, ApiPrice& p) {
        p.model = row.text();
        p.provider = row.text();
        p.usd_per_million_input = row.number();
        p.usd_per_million_output = row.number();
        for (auto* text : {&p.as_of, &p.url, &p.locator}) *text = row.text();
      });
  knowledge.published = read_all<PublishedCheckpoint>(
      database,
      "SELECT model_id, checkpoint_id, e.technique, scheme, format, publisher, official, url, locator"
      " FROM published_checkpoints p JOIN technique_names e ON e.name = p.technique ORDER BY model_id, checkpoint_id",
      [](Row& row, PublishedCheckpoint& p) {
        for (auto* text : {&p.model, &p.checkpoint, &p.technique, &p.scheme, &p.format, &p.publisher})
          *text = row.text();
        p.official = row.yes();
        p.url = row.text();
        p.locator = row.text();
      });
}

void read_tasks(const Sqlite& database, Knowledge& knowledge) {
  knowledge.families =
      read_all<Family>(database, "SELECT family, title, parent FROM families ORDER BY family", [](Row& row, Family& f) {
        for (auto* text : {&f.id, &f.title, &f.parent}) *text = row.text();
      });
  knowledge.tasks = read_all<Task>(
      database, "SELECT task, kind, family, chance, knowledge_intensive, benchmark FROM tasks ORDER BY task",
      [](Row& row, Task& t) {
        for (auto* text : {&t.id, &t.kind, &t.family}) *text = row.text();
        t.chance = row.maybe_number();
        t.knowledge_intensive = row.yes();
        t.benchmark = row.text();
      });
  knowledge.sources = read_all<Source>(
      database, "SELECT source_id, title, publisher, year, url, license_if_stated FROM sources ORDER BY source_id",
      [](Row& row, Source& s) {
        for (auto* text : {&s.id, &s.title, &s.publisher, &s.year, &s.url, &s.licence}) *text = row.text();
      });
}

/// What a value of this scale is multiplied by to be a fraction of 1; raw values stay.
double scale_factor(const std::string& scale) { return scale == "percent" ? 0.01 : 1; }

std::vector<QualityMeasurement> read_quality(const Sqlite& database, const std::string& model) {
  const std::string sql =
      "SELECT source_file, coalesce(catalog_model, q.model_id), coalesce(model_params_b, m.params_b), technique_id, "
      "format,"
      " weight_bits, activation_bits, kv_bits, bits_per_weight, group_size, pattern, sparsity, retrained, calibration,"
      " task_id, q.family, metric_name, higher_is_better, scale, baseline_value, value, url, q.locator, metric_kind,"
      " sparsity_of, baseline_precision, suspect"
      " FROM quality_rows q LEFT JOIN models m ON m.model_id = q.catalog_model" +
      where_is("catalog_model", model) + " ORDER BY source_file, q.line";
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
        const double factor = scale_factor(row.text());
        q.baseline = factor * row.number();
        q.value = factor * row.number();
        for (auto* text : {&q.url, &q.locator, &q.metric_kind, &q.sparsity_of, &q.baseline_precision, &q.suspect}) {
          *text = row.text();
        }
        q.scheme = scheme_of(q);
      },
      model);
}

std::vector<SpeedMeasurement> read_speed(const Sqlite& database, const std::string& model) {
  const std::string sql =
      "SELECT source_file, coalesce(catalog_model, s.model_id), coalesce(model_params_b, m.params_b),"
      " coalesce(s.active_params_b, m.active_params_b), format, weight_bits,"
      " engine_name || CASE speculative WHEN 'yes' THEN '+specdec' ELSE '' END, engine_version, hardware, "
      "hardware_count,"
      " parallelism, input_len, output_len, batch_or_concurrency, metric, value, url, s.locator, suspect"
      " FROM speed_rows s LEFT JOIN models m ON m.model_id = s.catalog_model" +
      where_is("catalog_model", model) + " ORDER BY source_file, s.line";
  std::int64_t id = 0;
  return read_all<SpeedMeasurement>(
      database, sql,
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
        s.input_tokens = whole_number(row.text());
        s.output_tokens = whole_number(row.text());
        s.load = row.text();
        s.concurrency = whole_number(s.load);
        s.metric = row.text();
        s.value = row.number();
        for (auto* text : {&s.url, &s.locator, &s.suspect}) *text = row.text();
      },
      model);
}

std::vector<Score> read_scores(const Sqlite& database, const std::string& model) {
  const std::string sql =
      "SELECT coalesce(catalog_model, model_id), task_id, family, metric_name, shots, mode, harness, scale, value, url,"
      " locator, metric_kind, closed, suspect FROM score_rows" +
      where_is("catalog_model", model) + " ORDER BY closed, line";
  return read_all<Score>(
      database, sql,
      [](Row& row, Score& s) {
        for (auto* text : {&s.model, &s.task, &s.family, &s.metric, &s.shots, &s.mode, &s.harness}) *text = row.text();
        const double factor = scale_factor(row.text());
        s.value = factor * row.number();
        for (auto* text : {&s.url, &s.locator, &s.metric_kind}) *text = row.text();
        s.closed = row.integer() != 0;
        s.suspect = row.text();
      },
      model);
}

std::vector<FittedTerm> read_fits(const Sqlite& database) {
  return read_all<FittedTerm>(database,
                              "SELECT fit, term, level, value, sd, rows, sources FROM fitted_terms"
                              " ORDER BY fit, term, level",
                              [](Row& row, FittedTerm& t) {
                                for (auto* text : {&t.fit, &t.term, &t.level}) *text = row.text();
                                t.value = row.number();
                                t.sd = row.number();
                                t.rows = row.integer();
                                t.sources = split(row.text());
                              });
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

Knowledge load_knowledge(const std::filesystem::path& path, const Selection& only) {
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorCode::not_found, path.string() + ": no such file; ./dev build makes it from data/");
  }
  const Sqlite database = Sqlite::open_read_only(path);
  check_layout(database, path.string());
  Knowledge knowledge;
  read_catalogs(database, knowledge, only);
  read_tasks(database, knowledge);
  knowledge.quality = read_quality(database, only.model);
  knowledge.speed = read_speed(database, only.model);
  knowledge.scores = read_scores(database, only.model);
  knowledge.fits = read_fits(database);
  knowledge.digest = metadata(database, "digest");
  return knowledge;
}

}  // namespace advisor
