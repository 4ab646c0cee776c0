// Catalogs: models, hardware, techniques, the engine matrix, prices, published checkpoints; and the vocabularies.
#include "io/database_rows.h"

namespace advisor {
namespace {

std::vector<Model> read_models(const Sqlite& database, const std::string& only) {
  const std::string sql =
      "SELECT m.model_id, family, developer, architecture, attention, native_dtype, specialty, params_b, "
      "active_params_b,"
      " n_layers, hidden_size, intermediate_size, n_heads, n_kv_heads, head_dim, vocab_size, max_context, n_experts,"
      " n_experts_used, sliding_window, kv_cache_layers, kv_lora_rank, qk_rope_head_dim, kv_bytes_per_token_bf16,"
      " tie_embeddings, modalities_in, modalities_out, qat, coalesce(l.licence, m.license), l.commercial_use,"
      " coalesce(m.release_year_month, l.release_year_month), m.source, m.locator, moe_intermediate_size,"
      " shared_expert_intermediate, params_source, notes, full_attention_layers, full_kv_heads, full_head_dim,"
      " q_lora_rank, qk_nope_head_dim, v_head_dim, indexer_bytes_per_token, dense_layers, state_bytes"
      " FROM models m LEFT JOIN model_licences l USING (model_id)" +
      where_is("m.model_id", only) + " ORDER BY m.model_id";
  return read_all<Model>(
      database, sql,
      [](Row& row, Model& m) {
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
        m.modalities_in = split(row.view());
        m.modalities_out = split(row.view());
        for (auto* text : {&m.qat, &m.licence, &m.commercial_use, &m.released, &m.url, &m.locator}) *text = row.text();
        m.moe_intermediate = row.maybe_integer();
        m.shared_expert_intermediate = row.maybe_integer();
        m.params_source = row.text();
        m.notes = row.text();
        for (auto* count : {&m.full_attention_layers, &m.full_kv_heads, &m.full_head_dim, &m.q_lora_rank,
                            &m.qk_nope_head_dim, &m.v_head_dim, &m.indexer_bytes_per_token, &m.dense_layers}) {
          *count = row.maybe_integer();
        }
        m.state_bytes = row.maybe_number();
      },
      {only});
}

std::vector<Device> read_devices(const Sqlite& database, const std::string& only) {
  const std::string sql =
      "SELECT hardware_id, h.name, vendor, kind, g.generation, compute_capability, memory_gb, memory_bandwidth_gbs,"
      " fp32_tflops, fp16_tflops, bf16_tflops, fp8_tflops, int8_tops, fp4_tflops, int4_tops, sparse_2_4, "
      "unified_memory,"
      " interconnect_gbs, pcie_gbs, h.source, h.locator, h.notes FROM hardware h JOIN generation_names g ON g.name = "
      "h.generation" +
      where_is("hardware_id", only) + " ORDER BY hardware_id";
  return read_all<Device>(database, sql,
                          [](Row& row, Device& d) {
                            for (auto* text : {&d.id, &d.name, &d.vendor, &d.kind, &d.generation}) *text = row.text();
                            d.compute_capability = row.maybe_number();
                            d.memory = times(row.maybe_number(), gigabyte_of_memory).value_or(0);
                            d.bandwidth = times(row.maybe_number(), giga);
                            for (auto* rate : {&d.fp32, &d.fp16, &d.bf16, &d.fp8, &d.int8, &d.fp4, &d.int4})
                              *rate = times(row.maybe_number(), tera);
                            d.sparse_2_4 = row.maybe_yes();
                            d.unified_memory = row.yes();
                            d.interconnect = times(row.maybe_number(), giga);
                            d.host_link = times(row.maybe_number(), giga);
                            for (auto* text : {&d.url, &d.locator, &d.notes}) *text = row.text();
                          },
                          {only});
}

std::vector<Technique> read_techniques(const Sqlite& database) {
  return read_all<Technique>(
      database,
      "SELECT technique, title, kind, needs_calibration, implemented, source FROM techniques ORDER BY technique",
      [](Row& row, Technique& t) {
        for (auto* text : {&t.id, &t.title, &t.kind}) *text = row.text();
        t.needs_calibration = row.yes();
        t.implemented = row.yes();
        t.source = row.text();
      });
}

/// `hardware` keeps the rows of its generation.
std::vector<EngineSupport> read_support(const Sqlite& database, const std::string& hardware) {
  const std::string of_generation = hardware.empty() ? ""
                                                     : " WHERE generation IN (SELECT g.generation FROM hardware h JOIN"
                                                       " generation_names g ON g.name = h.generation"
                                                       " WHERE h.hardware_id = ?1)";
  return read_all<EngineSupport>(database,
                                 "SELECT engine, format || ':' || scheme, generation, supported, source, locator, "
                                 "published_format FROM support_rows" +
                                     of_generation + " ORDER BY engine, format, scheme, generation, line",
                                 [](Row& row, EngineSupport& s) {
                                   for (auto* text : {&s.engine, &s.format, &s.generation, &s.supported, &s.source,
                                                      &s.locator, &s.published_format}) {
                                     *text = row.text();
                                   }
                                 },
                                 {hardware});
}

std::vector<Price> read_prices(const Sqlite& database, const std::string& hardware) {
  return read_all<Price>(database,
                         "SELECT provider, sku, h.hardware, count, usd_per_hour, pricing, as_of, url, locator"
                         " FROM prices p JOIN hardware_names h ON h.name = p.hardware_id" +
                             where_is("h.hardware", hardware) + " ORDER BY p.line",
                         [](Row& row, Price& p) {
                           for (auto* text : {&p.provider, &p.sku, &p.hardware}) *text = row.text();
                           p.count = row.integer();
                           p.usd_per_hour = row.number();
                           for (auto* text : {&p.pricing, &p.as_of, &p.url, &p.locator}) *text = row.text();
                         },
                         {hardware});
}

std::vector<ApiPrice> read_api_prices(const Sqlite& database) {
  return read_all<ApiPrice>(
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
}

std::vector<PublishedCheckpoint> read_published(const Sqlite& database) {
  return read_all<PublishedCheckpoint>(
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

/// Spellings of published tables that stand for an id.
std::vector<Alias> read_aliases(const Sqlite& database) {
  return read_all<Alias>(
      database,
      "SELECT published AS name, model_id AS id, 'model' AS kind, relation || ': ' || reason FROM model_aliases"
      " WHERE model_id IS NOT NULL"
      " UNION ALL SELECT published, hardware_id, 'hardware', reason FROM hardware_aliases WHERE hardware_id IS NOT NULL"
      " UNION ALL SELECT published, technique, 'technique', '' FROM technique_aliases"
      " UNION ALL SELECT published, task, 'task', '' FROM task_aliases"
      " UNION ALL SELECT published, metric, 'metric', '' FROM metric_aliases"
      " UNION ALL SELECT published, engine, 'engine', '' FROM engine_aliases ORDER BY kind, name",
      [](Row& row, Alias& a) {
        for (auto* text : {&a.name, &a.id, &a.kind, &a.reason}) *text = row.text();
      });
}

std::vector<Source> read_sources(const Sqlite& database) {
  return read_all<Source>(
      database, "SELECT source_id, title, publisher, year, url, license_if_stated FROM sources ORDER BY source_id",
      [](Row& row, Source& s) {
        for (auto* text : {&s.id, &s.title, &s.publisher, &s.year, &s.url, &s.licence}) *text = row.text();
      });
}

}  // namespace

void read_catalogs(const Sqlite& database, const Selection& only, Knowledge& knowledge) {
  knowledge.models = read_models(database, only.model);
  knowledge.devices = read_devices(database, only.hardware);
  knowledge.techniques = read_techniques(database);
  knowledge.engine_support = read_support(database, only.hardware);
  knowledge.prices = read_prices(database, only.hardware);
  if (!only.model.empty()) return;  // what is left is about choosing a model or citing
  knowledge.api_prices = read_api_prices(database);
  knowledge.published = read_published(database);
  knowledge.aliases = read_aliases(database);
  knowledge.sources = read_sources(database);
}

void read_vocabularies(const Sqlite& database, Knowledge& knowledge) {
  knowledge.families =
      read_all<Family>(database, "SELECT family, title, parent FROM families ORDER BY family", [](Row& row, Family& f) {
        for (auto* text : {&f.id, &f.title, &f.parent}) *text = row.text();
      });
  knowledge.tasks = read_all<Task>(
      database, "SELECT task, kind, family, chance, knowledge_intensive, benchmark, questions FROM tasks ORDER BY task",
      [](Row& row, Task& t) {
        for (auto* text : {&t.id, &t.kind, &t.family}) *text = row.text();
        t.chance = row.maybe_number();
        t.knowledge_intensive = row.yes();
        t.benchmark = row.text();
        t.questions = row.maybe_integer();
      });
}

}  // namespace advisor
