#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "cli/catalog.h"
#include "core/fields.h"
#include "core/suggest.h"

namespace advisor::cli {
namespace {

constexpr double giga = 1e9, tera = 1e12, gib = 1024.0 * 1024 * 1024;

Cell scaled(const std::optional<double>& value, double unit) { return value ? tidy(*value / unit) : Cell{}; }
Cell count(std::size_t n) { return static_cast<double>(n); }

Listing models(const Knowledge& knowledge) {
  Listing list{{{"model",        "params_b",  "active_b", "released",  "licence",      "commercial_use",
                 "max_context",  "developer", "family",   "specialty", "layers",       "hidden",
                 "heads",        "kv_heads",  "head_dim", "experts",   "experts_used", "attention",
                 "native_dtype", "inputs",    "outputs",  "source"},
                {}},
               {"model", "params_b", "active_b", "released", "licence", "max_context"}};
  for (const Model& m : knowledge.models)
    list.table.rows.push_back({m.id,
                               scaled(m.params, giga),
                               scaled(m.active_params, giga),
                               cell(m.released),
                               cell(m.licence),
                               cell(m.commercial_use),
                               cell(m.max_context),
                               cell(m.developer),
                               cell(m.family),
                               cell(m.specialty),
                               cell(m.layers),
                               cell(m.hidden),
                               cell(m.heads),
                               cell(m.kv_heads),
                               cell(m.head_dim),
                               cell(m.experts),
                               cell(m.experts_used),
                               cell(m.attention),
                               cell(m.native_dtype),
                               cell(join(m.modalities_in)),
                               cell(join(m.modalities_out)),
                               cell(m.url)});
  return list;
}

Listing hardware(const Knowledge& knowledge) {
  Listing list{
      {{"hardware", "name", "vendor", "kind", "generation", "memory_gib", "bandwidth_gbs", "fp32_tflops", "fp16_tflops",
        "bf16_tflops", "fp8_tflops", "int8_tops", "fp4_tflops", "int4_tops", "sparse_2_4", "interconnect_gbs"},
       {}},
      {"hardware", "generation", "memory_gib", "bandwidth_gbs", "fp16_tflops", "fp8_tflops", "int8_tops"}};
  for (const Device& d : knowledge.devices)
    list.table.rows.push_back({d.id, d.name, cell(d.vendor), cell(d.kind), cell(d.generation), d.memory / gib,
                               scaled(d.bandwidth, giga), scaled(d.fp32, tera), scaled(d.fp16, tera),
                               scaled(d.bf16, tera), scaled(d.fp8, tera), scaled(d.int8, tera), scaled(d.fp4, tera),
                               scaled(d.int4, tera), cell(d.sparse_2_4), scaled(d.interconnect, giga)});
  return list;
}

Listing techniques(const Knowledge& knowledge) {
  std::map<std::string, std::size_t> rows;
  for (const auto& row : knowledge.quality) ++rows[row.technique];
  Listing list{{{"technique", "kind", "needs_calibration", "implemented", "measurements", "title", "source"}, {}},
               {"technique", "kind", "needs_calibration", "implemented", "measurements", "title"}};
  for (const Technique& t : knowledge.techniques)
    list.table.rows.push_back(
        {t.id, cell(t.kind), t.needs_calibration, t.implemented, count(rows[t.id]), cell(t.title), cell(t.source)});
  return list;
}

Listing engines(const Knowledge& knowledge) {
  std::map<std::string, std::set<std::string>> formats, generations;
  std::map<std::string, std::size_t> rows;
  for (const auto& row : knowledge.engine_support) {
    formats[row.engine];
    if (row.supported == "no") continue;
    formats[row.engine].insert(row.format.substr(0, row.format.find(':')));
    generations[row.engine].insert(row.generation);
  }
  for (const auto& row : knowledge.speed) {
    ++rows[row.engine];
    formats[row.engine];
  }
  Listing list{{{"engine", "speed_measurements", "formats", "generations"}, {}},
               {"engine", "speed_measurements", "formats"}};
  const auto joined = [](const std::set<std::string>& items) {
    return cell(join(std::vector<std::string>(items.begin(), items.end())));
  };
  for (const auto& [engine, names] : formats)
    list.table.rows.push_back({engine, count(rows[engine]), joined(names), joined(generations[engine])});
  return list;
}

Listing support(const Knowledge& knowledge) {
  Listing list{{{"engine", "format", "generation", "supported", "published_as", "source"}, {}},
               {"engine", "format", "generation", "supported"}};
  for (const EngineSupport& e : knowledge.engine_support)
    list.table.rows.push_back(
        {e.engine, cell(e.format), cell(e.generation), cell(e.supported), cell(e.published_format), cell(e.source)});
  return list;
}

Listing formats(const Knowledge& knowledge) {
  std::map<std::string, std::set<std::string>> schemes, engines;
  std::map<std::string, std::size_t> published;
  for (const auto& row : knowledge.engine_support) {
    const auto colon = row.format.find(':');
    const auto format = row.format.substr(0, colon);
    if (colon != std::string::npos && colon + 1 < row.format.size())
      schemes[format].insert(row.format.substr(colon + 1));
    if (row.supported != "no") engines[format].insert(row.engine);
  }
  for (const auto& row : knowledge.published) ++published[row.format];
  for (const auto& [format, n] : published) engines[format];
  Listing list{{{"format", "published_checkpoints", "engines", "schemes"}, {}},
               {"format", "published_checkpoints", "engines"}};
  const auto joined = [](const std::set<std::string>& items) {
    return cell(join(std::vector<std::string>(items.begin(), items.end())));
  };
  for (const auto& [format, names] : engines)
    if (!format.empty())
      list.table.rows.push_back({format, count(published[format]), joined(names), joined(schemes[format])});
  return list;
}

Listing tasks(const Knowledge& knowledge) {
  std::map<std::string, std::size_t> rows, scores;
  for (const auto& row : knowledge.quality) ++rows[row.task];
  for (const auto& row : knowledge.scores) ++scores[row.task];
  Listing list{{{"task", "kind", "family", "chance", "knowledge_intensive", "benchmark", "scores", "measurements"}, {}},
               {"task", "kind", "family", "chance", "scores", "measurements"}};
  for (const Task& t : knowledge.tasks)
    list.table.rows.push_back({t.id, cell(t.kind), cell(t.family), cell(t.chance), t.knowledge_intensive,
                               cell(t.benchmark), count(scores[t.id]), count(rows[t.id])});
  return list;
}

Listing families(const Knowledge& knowledge) {
  std::map<std::string, std::size_t> tasks, rows;
  for (const auto& task : knowledge.tasks) ++tasks[task.family];
  for (const auto& row : knowledge.quality) ++rows[row.family];
  Listing list{{{"family", "parent", "tasks", "measurements", "title"}, {}}, {}};
  for (const Family& f : knowledge.families)
    list.table.rows.push_back({f.id, cell(f.parent), count(tasks[f.id]), count(rows[f.id]), cell(f.title)});
  return list;
}

Listing metrics(const Knowledge& knowledge) {
  struct Counts {
    std::string kind;
    std::size_t quality = 0, speed = 0, scores = 0;
  };
  std::map<std::string, Counts> metrics;
  const auto seen = [&](const std::string& metric, const std::string& kind) -> Counts& {
    auto& counts = metrics[metric];
    if (!kind.empty()) counts.kind = kind;
    return counts;
  };
  for (const auto& row : knowledge.quality) ++seen(row.metric, row.metric_kind).quality;
  for (const auto& row : knowledge.scores) ++seen(row.metric, row.metric_kind).scores;
  for (const auto& row : knowledge.speed) ++seen(row.metric, "speed").speed;
  Listing list{{{"metric", "kind", "quality", "speed", "scores"}, {}}, {}};
  for (const auto& [metric, c] : metrics)
    list.table.rows.push_back({metric, cell(c.kind), count(c.quality), count(c.speed), count(c.scores)});
  return list;
}

Listing quality(const Knowledge& knowledge) {
  Listing list{{{"model", "params_b", "technique", "scheme", "weight_bits", "sparsity", "pattern", "task", "family",
                 "metric", "baseline", "value", "source", "recorded", "suspect", "url", "locator"},
                {}},
               {"model", "technique", "scheme", "task", "metric", "baseline", "value", "source"}};
  for (const auto& q : knowledge.quality)
    list.table.rows.push_back({q.model, scaled(q.params, giga), q.technique, cell(q.scheme), cell(q.weight_bits),
                               q.sparsity > 0 ? Cell{q.sparsity} : Cell{}, cell(q.pattern), q.task, q.family, q.metric,
                               tidy(q.baseline), tidy(q.value), q.source, cell(q.recorded), cell(q.suspect),
                               cell(q.url), cell(q.locator)});
  return list;
}

Listing speed(const Knowledge& knowledge) {
  Listing list{{{"model", "params_b", "format", "engine", "engine_version", "hardware", "count", "input", "output",
                 "load", "metric", "value", "source", "recorded", "suspect", "url", "locator"},
                {}},
               {"model", "format", "engine", "hardware", "count", "load", "metric", "value", "source"}};
  for (const auto& s : knowledge.speed)
    list.table.rows.push_back({s.model, scaled(s.params, giga), cell(s.format), cell(s.engine), cell(s.engine_version),
                               cell(s.hardware), static_cast<double>(s.hardware_count), cell(s.input_tokens),
                               cell(s.output_tokens), cell(s.load), s.metric, tidy(s.value), s.source, cell(s.recorded),
                               cell(s.suspect), cell(s.url), cell(s.locator)});
  return list;
}

Listing scores(const Knowledge& knowledge) {
  std::map<std::string, std::optional<double>> sizes;
  for (const auto& model : knowledge.models) sizes[model.id] = model.params;
  Listing list{{{"model", "params_b", "task", "family", "metric", "shots", "mode", "harness", "value", "closed",
                 "recorded", "suspect", "url", "locator"},
                {}},
               {"model", "task", "mode", "harness", "metric", "value"}};
  for (const auto& s : knowledge.scores)
    list.table.rows.push_back({s.model, scaled(sizes[s.model], giga), s.task, s.family, s.metric, cell(s.shots),
                               cell(s.mode), s.harness, tidy(s.value), s.closed, cell(s.recorded), cell(s.suspect),
                               cell(s.url), cell(s.locator)});
  return list;
}

Listing prices(const Knowledge& knowledge) {
  Listing list{{{"provider", "sku", "hardware", "count", "usd_per_hour", "pricing", "as_of", "source"}, {}},
               {"provider", "sku", "hardware", "count", "usd_per_hour", "pricing", "as_of"}};
  for (const Price& p : knowledge.prices)
    list.table.rows.push_back({p.provider, cell(p.sku), cell(p.hardware), static_cast<double>(p.count), p.usd_per_hour,
                               cell(p.pricing), cell(p.as_of), cell(p.url)});
  return list;
}

Listing api_prices(const Knowledge& knowledge) {
  Listing list{{{"model", "provider", "usd_per_million_input", "usd_per_million_output", "as_of", "source"}, {}},
               {"model", "provider", "usd_per_million_input", "usd_per_million_output", "as_of"}};
  for (const ApiPrice& p : knowledge.api_prices)
    list.table.rows.push_back(
        {p.model, p.provider, p.usd_per_million_input, p.usd_per_million_output, cell(p.as_of), cell(p.url)});
  return list;
}

Listing checkpoints(const Knowledge& knowledge) {
  std::map<std::string, std::optional<double>> sizes;
  for (const auto& model : knowledge.models) sizes[model.id] = model.params;
  Listing list{
      {{"model", "params_b", "checkpoint", "technique", "scheme", "format", "publisher", "official", "source"}, {}},
      {"checkpoint", "model", "technique", "format", "official"}};
  for (const PublishedCheckpoint& c : knowledge.published)
    list.table.rows.push_back({c.model, scaled(sizes[c.model], giga), c.checkpoint, cell(c.technique), cell(c.scheme),
                               cell(c.format), cell(c.publisher), c.official, cell(c.url)});
  return list;
}

Listing sources(const Knowledge& knowledge) {
  std::map<std::string, std::size_t> quality, speed;
  for (const auto& row : knowledge.quality) ++quality[row.source];
  for (const auto& row : knowledge.speed) ++speed[row.source];
  Listing list{{{"source", "publisher", "year", "licence", "quality", "speed", "title", "url"}, {}},
               {"source", "publisher", "year", "quality", "speed", "title"}};
  for (const Source& s : knowledge.sources)
    list.table.rows.push_back({s.id, cell(s.publisher), cell(s.year), cell(s.licence), count(quality[s.id]),
                               count(speed[s.id]), cell(s.title), cell(s.url)});
  return list;
}

Listing rules(const Knowledge& knowledge) {
  Listing list{{{"rule", "kind", "code", "when", "because", "sources", "file"}, {}}, {"rule", "kind", "code", "when"}};
  for (const RuleSource& r : knowledge.rules)
    list.table.rows.push_back({r.id, r.kind, cell(r.code), cell(r.kind == "derive" ? r.fact + " = " + r.value : r.when),
                               cell(r.because), cell(join(r.sources)), cell(r.where.file)});
  return list;
}

/// The fields of a profile, those of each task of a portfolio and those of each variant that it asks about.
Listing field_table(const Knowledge&) {
  Listing list{{{"field", "type", "unit", "default", "values", "meaning"}, {}},
               {"field", "type", "default", "values", "meaning"}};
  const auto add = [&](const Field& field, const std::string& before, const std::string& set) {
    std::string values;
    for (const auto value : field.values) values += (values.empty() ? "" : " ") + std::string(value);
    list.table.rows.push_back({before + std::string(field.path), std::string(name(field.kind())),
                               cell(std::string(field.unit)), cell(set.empty() ? std::string(field.unset) : set),
                               cell(values), std::string(field.doc)});
  };
  Profile defaults;
  for (const Field& field : fields()) add(field, "", get_field(defaults, field.path));
  defaults.tasks.emplace_back(), defaults.consider.emplace_back();
  const auto add_each = [&](std::span<const Field> of, const std::string& list_name) {
    for (const Field& field : of)
      add(field, list_name + ".<n>.", get_field(defaults, list_name + ".0." + std::string(field.path)));
  };
  add_each(task_fields(), "tasks");
  add_each(wish_fields(), "consider");
  return list;
}

constexpr std::array all_kinds = {
    CatalogKind{"models", "size, geometry, licence, release", models},
    CatalogKind{"hardware", "memory, bandwidth, peak rates", hardware},
    CatalogKind{"engines", "what each loads, how often it was timed", engines},
    CatalogKind{"support", "which engine loads which format on which generation", support},
    CatalogKind{"formats", "file formats, their engines and schemes", formats},
    CatalogKind{"techniques", "ways to compress, and whether libadvisor runs them", techniques},
    CatalogKind{"tasks", "benchmarks, task types, averages", tasks},
    CatalogKind{"families", "kinds of ability that tasks belong to", families},
    CatalogKind{"metrics", "what values measure", metrics},
    CatalogKind{"quality", "measurements of compressed models", quality},
    CatalogKind{"speed", "measurements of speed and memory", speed},
    CatalogKind{"scores", "published scores of uncompressed models", scores},
    CatalogKind{"prices", "hardware per hour", prices},
    CatalogKind{"api-prices", "models behind an API, per million tokens", api_prices},
    CatalogKind{"checkpoints", "compressed checkpoints that were published", checkpoints},
    CatalogKind{"sources", "where measurements are from", sources},
    CatalogKind{"rules", "what forbids, warns, derives", rules},
    CatalogKind{"fields", "settings of a profile", field_table}};

}  // namespace

Cell tidy(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g", value);
  return std::strtod(text.data(), nullptr);
}

std::span<const CatalogKind> catalog_kinds() { return all_kinds; }

}  // namespace advisor::cli
