#include <array>
#include <iostream>

#include "cli/command.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

constexpr double giga = 1e9, tera = 1e12, gib = 1024.0 * 1024 * 1024;

Cell scaled(const std::optional<double>& value, double unit) { return value ? Cell{*value / unit} : Cell{}; }

Table models(const Knowledge& knowledge) {
  Table table{{"model", "params_b", "active_b", "layers", "hidden", "kv_heads", "head_dim", "max_context", "licence"},
              {}};
  for (const Model& m : knowledge.models) {
    table.rows.push_back({m.id, scaled(m.params, giga), scaled(m.active_params, giga), cell(m.layers), cell(m.hidden),
                          cell(m.kv_heads), cell(m.head_dim), cell(m.max_context), cell(m.licence)});
  }
  return table;
}

Table hardware(const Knowledge& knowledge) {
  Table table{{"hardware", "name", "generation", "memory_gib", "bandwidth_gbs", "fp16_tflops", "fp8_tflops",
               "int8_tops", "fp4_tflops"},
              {}};
  for (const Device& d : knowledge.devices) {
    table.rows.push_back({d.id, d.name, cell(d.generation), d.memory / gib, scaled(d.bandwidth, giga),
                          scaled(d.fp16, tera), scaled(d.fp8, tera), scaled(d.int8, tera), scaled(d.fp4, tera)});
  }
  return table;
}

Table technique_table(const Knowledge& knowledge) {
  Table table{{"technique", "kind", "needs_calibration", "implemented", "title"}, {}};
  for (const Technique& t : knowledge.techniques) {
    table.rows.push_back({t.id, cell(t.kind), t.needs_calibration, t.implemented, cell(t.title)});
  }
  return table;
}

Table engines(const Knowledge& knowledge) {
  Table table{{"engine", "format", "generation", "supported", "source"}, {}};
  for (const EngineSupport& e : knowledge.engine_support) {
    table.rows.push_back({e.engine, cell(e.format), cell(e.generation), cell(e.supported), cell(e.source)});
  }
  return table;
}

Table tasks(const Knowledge& knowledge) {
  Table table{{"task", "kind", "family", "chance", "knowledge_intensive"}, {}};
  for (const Task& t : knowledge.tasks) {
    table.rows.push_back({t.id, cell(t.kind), cell(t.family), cell(t.chance), t.knowledge_intensive});
  }
  return table;
}

Table prices(const Knowledge& knowledge) {
  Table table{{"provider", "sku", "hardware", "count", "usd_per_hour", "pricing", "as_of"}, {}};
  for (const Price& p : knowledge.prices) {
    table.rows.push_back({p.provider, cell(p.sku), cell(p.hardware), static_cast<double>(p.count), p.usd_per_hour,
                          cell(p.pricing), cell(p.as_of)});
  }
  return table;
}

Table checkpoints(const Knowledge& knowledge) {
  Table table{{"model", "checkpoint", "technique", "scheme", "format", "publisher", "official"}, {}};
  for (const PublishedCheckpoint& c : knowledge.published) {
    table.rows.push_back(
        {c.model, c.checkpoint, cell(c.technique), cell(c.scheme), cell(c.format), cell(c.publisher), c.official});
  }
  return table;
}

Table sources(const Knowledge& knowledge) {
  Table table{{"source", "title", "publisher", "year", "url"}, {}};
  for (const Source& s : knowledge.sources) {
    table.rows.push_back({s.id, cell(s.title), cell(s.publisher), cell(s.year), cell(s.url)});
  }
  return table;
}

Table rules(const Knowledge& knowledge) {
  Table table{{"rule", "kind", "when", "because"}, {}};
  for (const RuleSource& r : knowledge.rules) {
    table.rows.push_back({r.id, r.kind, cell(r.kind == "derive" ? r.fact + " = " + r.value : r.when), cell(r.because)});
  }
  return table;
}

Table field_table(const Knowledge&) {
  Table table{{"field", "type", "default", "values", "meaning"}, {}};
  const Profile defaults;
  for (const Field& field : fields()) {
    std::string values;
    for (const auto value : field.values) values += (values.empty() ? "" : " ") + std::string(value);
    const std::string text = get_field(defaults, field.path);
    table.rows.push_back({std::string(field.path), std::string(name(field.kind())),
                          cell(text.empty() ? std::string(field.unset) : text), cell(values), std::string(field.doc)});
  }
  return table;
}

struct Kind {
  const char* name;
  Table (*make)(const Knowledge&);
};
constexpr std::array kinds = {
    Kind{"models", models}, Kind{"hardware", hardware}, Kind{"techniques", technique_table}, Kind{"engines", engines},
    Kind{"tasks", tasks},   Kind{"prices", prices},     Kind{"checkpoints", checkpoints},    Kind{"sources", sources},
    Kind{"rules", rules},   Kind{"fields", field_table}};

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("kind", po::value<std::string>()->required()->value_name("KIND"), "what to list")(
      "filter", po::value<std::string>()->value_name("TEXT"), "only rows that contain it, whatever the case");
  po::positional_options_description positional;
  positional.add("kind", 1).add("filter", 1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  const auto wanted = values["kind"].as<std::string>();
  const auto* kind = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& k) { return wanted == k.name; });
  if (kind == kinds.end()) {
    std::vector<std::string> names;
    for (const Kind& k : kinds) names.emplace_back(k.name);
    throw Error(ErrorCode::invalid_argument,
                "unknown catalog \"" + wanted + '"' + did_you_mean(wanted, names) + "; known: " + join(names));
  }
  Table table = kind->make(open_advisor(values).knowledge());
  if (values.count("filter") != 0) table.keep(values["filter"].as<std::string>());
  std::cout << (values.count("json") != 0 ? table.json() + "\n" : table.text());
  return exit_ok;
}

}  // namespace

const Command catalog_command = {
    "catalog", "what is known: models, hardware, techniques, engines, ...", "catalog KIND [TEXT] [--json]",
    "KIND: models hardware techniques engines tasks prices checkpoints sources rules fields.\n"
    "Numbers come from the sources named in each row; '-' means that no source states it.\n",
    run};

}  // namespace advisor::cli
