#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "cli/catalog.h"
#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"

namespace advisor::cli {
namespace {

constexpr double giga = 1e9, tera = 1e12, gib = 1024.0 * 1024 * 1024;

Cell scaled(const std::optional<double>& value, double unit) { return value ? tidy(*value / unit) : Cell{}; }
Cell number(std::size_t n) { return static_cast<double>(n); }

void add(Card& card, const char* title, Table table) {
  if (!table.rows.empty()) card.sections.emplace_back(title, std::move(table));
}

/// Rows that agree in the values of `keys`, counted, with the sources they are from; most rows first.
template <typename Row, typename Keys>
Table counted(std::vector<std::string> columns, const std::vector<Row>& rows, const Keys& keys) {
  struct Group {
    std::size_t rows = 0;
    std::set<std::string> sources, models;
  };
  std::map<std::vector<std::string>, Group> groups;
  for (const auto& row : rows) {
    const std::optional<std::vector<std::string>> key = keys(row);
    if (!key) continue;
    auto& group = groups[*key];
    ++group.rows;
    group.sources.insert(row.source);
    group.models.insert(row.model);
  }
  std::vector<std::pair<std::vector<std::string>, Group>> order(groups.begin(), groups.end());
  std::stable_sort(order.begin(), order.end(),
                   [](const auto& a, const auto& b) { return a.second.rows > b.second.rows; });
  for (const char* column : {"rows", "models", "sources"}) columns.emplace_back(column);
  Table table{std::move(columns), {}};
  for (const auto& [key, group] : order) {
    auto& cells = table.rows.emplace_back();
    for (const auto& text : key) cells.push_back(cell(text));
    cells.push_back(number(group.rows));
    cells.push_back(number(group.models.size()));
    cells.push_back(join(std::vector<std::string>(group.sources.begin(), group.sources.end())));
  }
  return table;
}

template <typename Wanted>
void add_measurements(Card& card, const Knowledge& k, const Wanted& wanted) {
  using Key = std::optional<std::vector<std::string>>;
  add(card, "quality measurements", counted({"technique", "family"}, k.quality, [&](const auto& q) {
        return wanted(q) ? Key({q.technique, q.family}) : std::nullopt;
      }));
}

template <typename Wanted>
void add_speed(Card& card, const Knowledge& k, const Wanted& wanted) {
  using Key = std::optional<std::vector<std::string>>;
  add(card, "speed measurements", counted({"engine", "hardware", "metric"}, k.speed, [&](const auto& s) {
        return wanted(s) ? Key({s.engine, s.hardware, s.metric}) : std::nullopt;
      }));
}

template <typename Wanted>
void add_scores(Card& card, const Knowledge& k, const Wanted& wanted) {
  Table table{{"model", "task", "mode", "metric", "value", "harness", "source"}, {}};
  std::vector<const Score*> rows;
  for (const auto& s : k.scores)
    if (wanted(s)) rows.push_back(&s);
  std::stable_sort(rows.begin(), rows.end(), [](const Score* a, const Score* b) {
    return std::tie(a->task, b->value, a->model) < std::tie(b->task, a->value, b->model);
  });
  for (const auto* s : rows)
    table.rows.push_back({s->model, s->task, cell(s->mode), s->metric, tidy(s->value), s->harness, cell(s->url)});
  add(card, "scores, uncompressed", std::move(table));
}

template <typename Wanted>
void add_checkpoints(Card& card, const Knowledge& k, const Wanted& wanted) {
  Table table{{"checkpoint", "model", "technique", "scheme", "format", "official", "source"}, {}};
  for (const auto& c : k.published)
    if (wanted(c))
      table.rows.push_back(
          {c.checkpoint, c.model, cell(c.technique), cell(c.scheme), cell(c.format), c.official, cell(c.url)});
  add(card, "published checkpoints", std::move(table));
}

/// One row per engine and format: on which generations it runs.
template <typename Wanted>
void add_support(Card& card, const Knowledge& k, const Wanted& wanted) {
  std::map<std::tuple<std::string, std::string, std::string>, std::pair<std::set<std::string>, std::set<std::string>>>
      rows;
  for (const auto& e : k.engine_support) {
    if (!wanted(e)) continue;
    auto& [generations, sources] = rows[{e.engine, e.format, e.supported}];
    generations.insert(e.generation);
    sources.insert(e.source);
  }
  Table table{{"engine", "format", "supported", "generations", "sources"}, {}};
  const auto list = [](const std::set<std::string>& items) {
    return cell(join(std::vector<std::string>(items.begin(), items.end())));
  };
  for (const auto& [key, values] : rows)
    table.rows.push_back(
        {std::get<0>(key), std::get<1>(key), std::get<2>(key), list(values.first), list(values.second)});
  add(card, "engine support", std::move(table));
}

Card model_card(const Knowledge& k, const Model& m) {
  Card card{"model", m.id, {}, {}};
  card.fields = {{"parameters (1e9)", scaled(m.params, giga)},
                 {"active parameters (1e9)", scaled(m.active_params, giga)},
                 {"size is", cell(m.params_source)},
                 {"developer", cell(m.developer)},
                 {"family", cell(m.family)},
                 {"specialty", cell(m.specialty)},
                 {"released", cell(m.released)},
                 {"licence", cell(m.licence)},
                 {"commercial use", cell(m.commercial_use)},
                 {"inputs", cell(join(m.modalities_in))},
                 {"outputs", cell(join(m.modalities_out))},
                 {"architecture", cell(m.architecture)},
                 {"native dtype", cell(m.native_dtype)},
                 {"layers", cell(m.layers)},
                 {"hidden size", cell(m.hidden)},
                 {"intermediate size", cell(m.intermediate)},
                 {"heads", cell(m.heads)},
                 {"KV heads", cell(m.kv_heads)},
                 {"head dimension", cell(m.head_dim)},
                 {"vocabulary", cell(m.vocab)},
                 {"context (tokens)", cell(m.max_context)},
                 {"attention", cell(m.attention)},
                 {"sliding window (tokens)", cell(m.sliding_window)},
                 {"experts", cell(m.experts)},
                 {"experts used", cell(m.experts_used)},
                 {"KV cache (bytes/token, bf16)", cell(m.kv_bytes_per_token_bf16)},
                 {"notes", cell(m.notes)},
                 {"source", cell(m.url)},
                 {"place in it", cell(m.locator)}};
  add_scores(card, k, [&](const Score& s) { return s.model == m.id; });
  add_measurements(card, k, [&](const auto& q) { return q.model == m.id; });
  add_speed(card, k, [&](const auto& s) { return s.model == m.id; });
  add_checkpoints(card, k, [&](const auto& c) { return c.model == m.id; });
  Table prices{{"provider", "usd_per_million_input", "usd_per_million_output", "as_of", "source"}, {}};
  for (const auto& p : k.api_prices)
    if (p.model == m.id)
      prices.rows.push_back(
          {p.provider, p.usd_per_million_input, p.usd_per_million_output, cell(p.as_of), cell(p.url)});
  add(card, "prices behind an API", std::move(prices));
  return card;
}

Card hardware_card(const Knowledge& k, const Device& d) {
  Card card{"hardware", d.id, {}, {}};
  card.fields = {{"name", cell(d.name)},
                 {"vendor", cell(d.vendor)},
                 {"kind", cell(d.kind)},
                 {"generation", cell(d.generation)},
                 {"compute capability", cell(d.compute_capability)},
                 {"memory (GiB)", d.memory / gib},
                 {"bandwidth (GB/s)", scaled(d.bandwidth, giga)},
                 {"fp32 (TFLOPS)", scaled(d.fp32, tera)},
                 {"fp16 (TFLOPS)", scaled(d.fp16, tera)},
                 {"bf16 (TFLOPS)", scaled(d.bf16, tera)},
                 {"fp8 (TFLOPS)", scaled(d.fp8, tera)},
                 {"int8 (TOPS)", scaled(d.int8, tera)},
                 {"fp4 (TFLOPS)", scaled(d.fp4, tera)},
                 {"int4 (TOPS)", scaled(d.int4, tera)},
                 {"2:4 sparsity", cell(d.sparse_2_4)},
                 {"unified memory", d.unified_memory},
                 {"interconnect (GB/s, each way)", scaled(d.interconnect, giga)},
                 {"notes", cell(d.notes)},
                 {"source", cell(d.url)},
                 {"place in it", cell(d.locator)}};
  Table prices{{"provider", "sku", "count", "usd_per_hour", "pricing", "as_of", "source"}, {}};
  for (const auto& p : k.prices)
    if (p.hardware == d.id)
      prices.rows.push_back({p.provider, cell(p.sku), static_cast<double>(p.count), p.usd_per_hour, cell(p.pricing),
                             cell(p.as_of), cell(p.url)});
  add(card, "prices", std::move(prices));
  add_speed(card, k, [&](const auto& s) { return s.hardware == d.id; });
  add_support(card, k, [&](const auto& e) { return e.generation == d.generation; });
  return card;
}

Card technique_card(const Knowledge& k, const Technique& t) {
  Card card{"technique", t.id, {}, {}};
  card.fields = {{"title", cell(t.title)},
                 {"kind", cell(t.kind)},
                 {"needs calibration data", t.needs_calibration},
                 {"libadvisor runs it", t.implemented},
                 {"source", cell(t.source)}};
  using Key = std::optional<std::vector<std::string>>;
  add(card, "quality measurements", counted({"scheme", "family"}, k.quality, [&](const auto& q) {
        return q.technique == t.id ? Key({q.scheme, q.family}) : std::nullopt;
      }));
  add_checkpoints(card, k, [&](const auto& c) { return c.technique == t.id; });
  return card;
}

Card task_card(const Knowledge& k, const Task& t) {
  Card card{"task", t.id, {}, {}};
  card.fields = {{"kind", cell(t.kind)},
                 {"family", cell(t.family)},
                 {"accuracy of guessing", cell(t.chance)},
                 {"needs facts stored in the weights", t.knowledge_intensive},
                 {"benchmark that stands for it", cell(t.benchmark)}};
  add_measurements(card, k, [&](const auto& q) { return q.task == t.id; });
  add_scores(card, k, [&](const Score& s) { return s.task == t.id; });
  return card;
}

Card family_card(const Knowledge& k, const Family& f) {
  Card card{"family", f.id, {{"title", cell(f.title)}, {"looks at next", cell(f.parent)}}, {}};
  std::map<std::string, std::size_t> rows;
  for (const auto& q : k.quality) ++rows[q.task];
  Table tasks{{"task", "kind", "chance", "measurements"}, {}};
  for (const auto& t : k.tasks)
    if (t.family == f.id) tasks.rows.push_back({t.id, t.kind, cell(t.chance), number(rows[t.id])});
  add(card, "tasks", std::move(tasks));
  add_measurements(card, k, [&](const auto& q) { return q.family == f.id; });
  return card;
}

Card engine_card(const Knowledge& k, const std::string& id) {
  Card card{"engine", id, {}, {}};
  add_support(card, k, [&](const auto& e) { return e.engine == id; });
  add_speed(card, k, [&](const auto& s) { return s.engine == id; });
  return card;
}

Card format_card(const Knowledge& k, const std::string& id) {
  Card card{"format", id, {}, {}};
  add_support(card, k, [&](const auto& e) { return e.format == id || e.format.starts_with(id + ":"); });
  add_checkpoints(card, k, [&](const auto& c) { return c.format == id; });
  return card;
}

Card metric_card(const Knowledge& k, const std::string& id) {
  Card card{"metric", id, {}, {}};
  for (const auto& q : k.quality)
    if (q.metric == id) {
      card.fields = {{"kind", cell(q.metric_kind)}, {"higher is better", q.higher_is_better}};
      break;
    }
  add_measurements(card, k, [&](const auto& q) { return q.metric == id; });
  add_speed(card, k, [&](const auto& s) { return s.metric == id; });
  add_scores(card, k, [&](const Score& s) { return s.metric == id; });
  return card;
}

Card source_card(const Knowledge& k, const Source& s) {
  Card card{"source", s.id, {}, {}};
  card.fields = {{"title", cell(s.title)},
                 {"publisher", cell(s.publisher)},
                 {"year", cell(s.year)},
                 {"licence", cell(s.licence)},
                 {"address", cell(s.url)}};
  add_measurements(card, k, [&](const auto& q) { return q.source == s.id; });
  add_speed(card, k, [&](const auto& row) { return row.source == s.id; });
  std::map<std::string, std::size_t> suspects;
  for (const auto& q : k.quality)
    if (q.source == s.id && !q.suspect.empty()) ++suspects[q.suspect];
  for (const auto& row : k.speed)
    if (row.source == s.id && !row.suspect.empty()) ++suspects[row.suspect];
  Table table{{"reason", "rows"}, {}};
  for (const auto& [reason, n] : suspects) table.rows.push_back({reason, number(n)});
  add(card, "rows that are not used", std::move(table));
  return card;
}

Card checkpoint_card(const PublishedCheckpoint& c) {
  return {"checkpoint",
          c.checkpoint,
          {{"of model", cell(c.model)},
           {"technique", cell(c.technique)},
           {"scheme", cell(c.scheme)},
           {"format", cell(c.format)},
           {"publisher", cell(c.publisher)},
           {"from the developer of the model", c.official},
           {"tested for existence", false},
           {"source", cell(c.url)},
           {"place in it", cell(c.locator)}},
          {}};
}

Card rule_card(const RuleSource& r) {
  return {"rule",
          r.id,
          {{"kind", cell(r.kind)},
           {"applies to", cell(r.applies_to)},
           {"when", cell(r.when)},
           {"fact", cell(r.fact)},
           {"value", cell(r.value)},
           {"because", cell(r.because)},
           {"rejection code", cell(r.code)},
           {"sources", cell(join(r.sources))},
           {"file", cell(r.where.file + ":" + std::to_string(r.where.line))}},
          {}};
}

Card field_card(const Field& f) {
  std::string values;
  for (const auto value : f.values) values += (values.empty() ? "" : " ") + std::string(value);
  const std::string text = get_field(Profile{}, f.path);
  return {"field",
          std::string(f.path),
          {{"type", std::string(name(f.kind()))},
           {"unit", cell(std::string(f.unit))},
           {"default", cell(text.empty() ? std::string(f.unset) : text)},
           {"values", cell(values)},
           {"meaning", std::string(f.doc)}},
          {}};
}

/// Other spellings that sources use.
Card with_aliases(const Knowledge& k, Card card) {
  Table aliases{{"name", "taken for it because"}, {}};
  for (const auto& alias : k.aliases)
    if (alias.kind == card.kind && alias.id == card.id) aliases.rows.push_back({alias.name, cell(alias.reason)});
  add(card, "also called", std::move(aliases));
  return card;
}

struct Entry {
  std::string id;
  std::function<Card()> make;
};

std::vector<Entry> entries(const Knowledge& k) {
  std::vector<Entry> all;
  for (const auto& x : k.models) all.push_back({x.id, [&] { return model_card(k, x); }});
  for (const auto& x : k.devices) all.push_back({x.id, [&] { return hardware_card(k, x); }});
  for (const auto& x : k.techniques) all.push_back({x.id, [&] { return technique_card(k, x); }});
  for (const auto& x : k.tasks) all.push_back({x.id, [&] { return task_card(k, x); }});
  for (const auto& x : k.families) all.push_back({x.id, [&] { return family_card(k, x); }});
  for (const auto& x : k.sources) all.push_back({x.id, [&] { return source_card(k, x); }});
  for (const auto& x : k.published) all.push_back({x.checkpoint, [&] { return checkpoint_card(x); }});
  for (const auto& x : k.rules) all.push_back({x.id, [&] { return rule_card(x); }});
  for (const auto& x : fields()) all.push_back({std::string(x.path), [&] { return field_card(x); }});
  std::set<std::string> engines, formats, metrics;
  for (const auto& x : k.engine_support) {
    engines.insert(x.engine);
    formats.insert(x.format.substr(0, x.format.find(':')));
  }
  for (const auto& x : k.published) formats.insert(x.format);
  for (const auto& x : k.speed) engines.insert(x.engine), metrics.insert(x.metric);
  for (const auto& x : k.quality) metrics.insert(x.metric);
  for (const auto& x : k.scores) metrics.insert(x.metric);
  for (const auto& x : engines) all.push_back({x, [&k, x] { return engine_card(k, x); }});
  for (const auto& x : formats) all.push_back({x, [&k, x] { return format_card(k, x); }});
  for (const auto& x : metrics) all.push_back({x, [&k, x] { return metric_card(k, x); }});
  std::erase_if(all, [](const Entry& entry) { return entry.id.empty(); });
  return all;
}

}  // namespace

std::vector<Card> cards(const Knowledge& knowledge, const std::string& id) {
  const auto all = entries(knowledge);
  const auto name = [](const std::string& text) { return text.substr(text.find('/') + 1); };
  const std::array<std::function<bool(const Entry&)>, 3> ways{
      [&](const Entry& entry) { return entry.id == id; },
      [&](const Entry& entry) { return lower(entry.id) == lower(id); },
      [&](const Entry& entry) { return lower(name(entry.id)) == lower(id); }};
  for (const auto& matches : ways) {
    std::set<std::string> ids;
    std::vector<Card> found;
    for (const auto& entry : all) {
      if (!matches(entry)) continue;
      ids.insert(entry.id);
      found.push_back(with_aliases(knowledge, entry.make()));
    }
    if (ids.size() == 1) return found;
    if (ids.size() > 1)
      throw Error(ErrorCode::invalid_argument,
                  '"' + id + "\" is several things: " + join(std::vector<std::string>(ids.begin(), ids.end())));
  }
  std::set<std::string> ids;
  for (const auto& entry : all) ids.insert(entry.id);
  throw Error(ErrorCode::not_found, "nothing is known of \"" + id + '"' +
                                        did_you_mean(id, std::vector<std::string>(ids.begin(), ids.end())) +
                                        "; 'advisor catalog KIND TEXT' searches");
}

}  // namespace advisor::cli
