-- The layout of advisor.db. tools/build_db creates these tables in this order and fills each table X from data/X.csv
-- (or, where the table has a column `source_file`, from every data/measurements/X/<source>.csv). The columns of a file
-- are the columns of its table, whatever their order, without:
--   line         the line of the row in its file, filled in by build_db so that every check can say where
--   source_file  the source id, which is the name of the file
-- An empty field is NULL: not stated. Every constraint is named by what a person should read when it fails.
--
-- Published spellings are kept in the rows. The *_names tables, filled by triggers, hold each id of a vocabulary and
-- each alias of it; a row may use either, and the views at the end give the id.

CREATE TABLE metadata (
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;
-- major: readers of another major must refuse; minor: columns or tables were added.
INSERT INTO metadata VALUES ('layout_major', '1'), ('layout_minor', '4');

---------------------------------------------------------------------------------------------------- vocabularies

CREATE TABLE units (
  unit TEXT PRIMARY KEY,
  dimension TEXT NOT NULL CONSTRAINT "dimension is known" CHECK (dimension IN
    ('none', 'rate', 'bandwidth', 'bytes', 'power', 'time', 'throughput', 'score', 'logical')),
  si_factor REAL CONSTRAINT "si_factor is positive" CHECK (si_factor > 0),
  note TEXT,
  line INTEGER NOT NULL
);

CREATE TABLE families (
  family TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  parent TEXT REFERENCES families(family),
  line INTEGER NOT NULL
);

CREATE TABLE tasks (
  task TEXT PRIMARY KEY,
  kind TEXT NOT NULL CONSTRAINT "kind is benchmark, type or average" CHECK (kind IN ('benchmark', 'type', 'average')),
  family TEXT NOT NULL REFERENCES families(family),
  chance REAL CONSTRAINT "chance is a fraction of 1" CHECK (chance > 0 AND chance < 1),
  knowledge_intensive TEXT NOT NULL CONSTRAINT "knowledge_intensive is yes or no" CHECK (knowledge_intensive IN ('yes', 'no')),
  benchmark TEXT,
  questions INTEGER CONSTRAINT "questions is a count" CHECK (questions > 0),
  questions_source TEXT,
  line INTEGER NOT NULL,
  CONSTRAINT "questions and only questions have a questions_source" CHECK ((questions IS NULL) = (questions_source IS NULL)),
  CONSTRAINT "a type and only a type names its default benchmark" CHECK ((kind = 'type') = (benchmark IS NOT NULL)),
  CONSTRAINT "a type has no chance level" CHECK (kind <> 'type' OR chance IS NULL)
);

CREATE TABLE task_names (name TEXT PRIMARY KEY, task TEXT NOT NULL) WITHOUT ROWID;
-- A type is what a user asks for, not what a table measures: 'math' the type and 'math' the published name may differ.
CREATE TRIGGER task_is_a_name AFTER INSERT ON tasks WHEN new.kind <> 'type'
BEGIN INSERT INTO task_names VALUES (new.task, new.task); END;

CREATE TABLE task_aliases (
  published TEXT PRIMARY KEY,
  task TEXT NOT NULL REFERENCES tasks(task),
  line INTEGER NOT NULL
);
CREATE TRIGGER task_alias_is_a_name AFTER INSERT ON task_aliases
BEGIN INSERT INTO task_names VALUES (new.published, new.task); END;

CREATE TABLE metrics (
  metric TEXT PRIMARY KEY,
  kind TEXT NOT NULL CONSTRAINT "kind of metric is known" CHECK (kind IN
    ('proportion', 'perplexity', 'loss', 'divergence', 'error_rate', 'similarity', 'points', 'retained',
     'rate', 'latency', 'size')),
  unit TEXT NOT NULL REFERENCES units(unit),
  higher_is_better TEXT NOT NULL CONSTRAINT "higher_is_better is yes or no" CHECK (higher_is_better IN ('yes', 'no')),
  low REAL,
  high REAL,
  title TEXT NOT NULL,
  line INTEGER NOT NULL,
  CONSTRAINT "low is below high" CHECK (low < high)
);

CREATE TABLE metric_names (name TEXT PRIMARY KEY, metric TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER metric_is_a_name AFTER INSERT ON metrics BEGIN INSERT INTO metric_names VALUES (new.metric, new.metric); END;

CREATE TABLE metric_aliases (
  published TEXT PRIMARY KEY,
  metric TEXT NOT NULL REFERENCES metrics(metric),
  line INTEGER NOT NULL
);
CREATE TRIGGER metric_alias_is_a_name AFTER INSERT ON metric_aliases
BEGIN INSERT INTO metric_names VALUES (new.published, new.metric); END;

CREATE TABLE techniques (
  technique TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  kind TEXT NOT NULL CONSTRAINT "kind of technique is known" CHECK (kind IN
    ('none', 'quantization', 'kv_quantization', 'pruning', 'distillation', 'mixed')),
  needs_calibration TEXT NOT NULL CONSTRAINT "needs_calibration is yes or no" CHECK (needs_calibration IN ('yes', 'no')),
  implemented TEXT NOT NULL CONSTRAINT "implemented is yes or no" CHECK (implemented IN ('yes', 'no')),
  source TEXT,
  line INTEGER NOT NULL
);

CREATE TABLE technique_names (name TEXT PRIMARY KEY, technique TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER technique_is_a_name AFTER INSERT ON techniques
BEGIN INSERT INTO technique_names VALUES (new.technique, new.technique); END;

CREATE TABLE technique_aliases (
  published TEXT PRIMARY KEY,
  technique TEXT NOT NULL REFERENCES techniques(technique),
  line INTEGER NOT NULL
);
CREATE TRIGGER technique_alias_is_a_name AFTER INSERT ON technique_aliases
BEGIN INSERT INTO technique_names VALUES (new.published, new.technique); END;

CREATE TABLE engines (
  engine TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE engine_names (name TEXT PRIMARY KEY, engine TEXT NOT NULL, speculative TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER engine_is_a_name AFTER INSERT ON engines
BEGIN INSERT INTO engine_names VALUES (new.engine, new.engine, 'no'); END;

CREATE TABLE engine_aliases (
  published TEXT PRIMARY KEY,
  engine TEXT NOT NULL REFERENCES engines(engine),
  speculative TEXT NOT NULL CONSTRAINT "speculative is yes or no" CHECK (speculative IN ('yes', 'no')),
  line INTEGER NOT NULL
);
CREATE TRIGGER engine_alias_is_a_name AFTER INSERT ON engine_aliases
BEGIN INSERT INTO engine_names VALUES (new.published, new.engine, new.speculative); END;

-- Hardware generations as the engine matrix splits them; several rows per spelling where a source names several.
CREATE TABLE generations (
  generation TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE generation_aliases (
  published TEXT NOT NULL,
  generation TEXT REFERENCES generations(generation),
  line INTEGER NOT NULL,
  CONSTRAINT "the pair appears once" UNIQUE (published, generation)
);

-- What a line of the engine matrix means in our file formats and schemes; several rows where it means several.
CREATE TABLE support_aliases (
  published TEXT NOT NULL,
  format TEXT,
  scheme TEXT,
  line INTEGER NOT NULL,
  CONSTRAINT "the triple appears once" UNIQUE (published, format, scheme),
  CONSTRAINT "format and scheme come together" CHECK ((format IS NULL) = (scheme IS NULL))
);

--------------------------------------------------------------------------------------------------------- catalogs

CREATE TABLE models (
  model_id TEXT PRIMARY KEY,
  family TEXT NOT NULL,
  developer TEXT NOT NULL,
  params_b REAL CONSTRAINT "params_b is positive" CHECK (params_b > 0),
  active_params_b REAL CONSTRAINT "active_params_b is positive" CHECK (active_params_b > 0),
  architecture TEXT,
  n_layers INTEGER CONSTRAINT "n_layers is positive" CHECK (n_layers > 0),
  hidden_size INTEGER CONSTRAINT "hidden_size is positive" CHECK (hidden_size > 0),
  intermediate_size INTEGER CONSTRAINT "intermediate_size is positive" CHECK (intermediate_size > 0),
  n_heads INTEGER CONSTRAINT "n_heads is positive" CHECK (n_heads > 0),
  n_kv_heads INTEGER CONSTRAINT "n_kv_heads is positive" CHECK (n_kv_heads > 0),
  head_dim INTEGER CONSTRAINT "head_dim is positive" CHECK (head_dim > 0),
  vocab_size INTEGER CONSTRAINT "vocab_size is positive" CHECK (vocab_size > 0),
  max_context INTEGER CONSTRAINT "max_context is positive" CHECK (max_context > 0),
  n_experts INTEGER CONSTRAINT "n_experts is positive" CHECK (n_experts > 0),
  n_experts_used INTEGER CONSTRAINT "n_experts_used is positive" CHECK (n_experts_used > 0),
  attention TEXT,
  sliding_window INTEGER CONSTRAINT "sliding_window is positive" CHECK (sliding_window > 0),
  tie_embeddings TEXT CONSTRAINT "tie_embeddings is yes or no" CHECK (tie_embeddings IN ('yes', 'no')),
  modalities_in TEXT,
  modalities_out TEXT,
  native_dtype TEXT,
  qat TEXT CONSTRAINT "qat is yes or no" CHECK (qat IN ('yes', 'no')),
  pre_quantized_variants TEXT,
  license TEXT,
  release_year_month TEXT CONSTRAINT "release_year_month reads YYYY-MM"
    CHECK (release_year_month GLOB '[12][0-9][0-9][0-9]-[01][0-9]'),
  specialty TEXT,
  source TEXT NOT NULL,
  locator TEXT NOT NULL,
  params_source TEXT,
  kv_cache_layers INTEGER CONSTRAINT "kv_cache_layers is not negative" CHECK (kv_cache_layers >= 0),
  kv_lora_rank INTEGER CONSTRAINT "kv_lora_rank is positive" CHECK (kv_lora_rank > 0),
  qk_rope_head_dim INTEGER CONSTRAINT "qk_rope_head_dim is positive" CHECK (qk_rope_head_dim > 0),
  moe_intermediate_size INTEGER CONSTRAINT "moe_intermediate_size is positive" CHECK (moe_intermediate_size > 0),
  shared_expert_intermediate INTEGER CONSTRAINT "shared_expert_intermediate is positive" CHECK (shared_expert_intermediate > 0),
  params_from_geometry_b REAL CONSTRAINT "params_from_geometry_b is positive" CHECK (params_from_geometry_b > 0),
  kv_bytes_per_token_bf16 INTEGER CONSTRAINT "kv_bytes_per_token_bf16 is not negative" CHECK (kv_bytes_per_token_bf16 >= 0),
  -- Of the layers that keep a KV cache, those that attend to everything; the others slide. full_* where they differ.
  full_attention_layers INTEGER CONSTRAINT "full_attention_layers is at most kv_cache_layers"
    CHECK (full_attention_layers >= 0 AND full_attention_layers <= coalesce(kv_cache_layers, n_layers)),
  full_kv_heads INTEGER CONSTRAINT "full_kv_heads is positive" CHECK (full_kv_heads > 0),
  full_head_dim INTEGER CONSTRAINT "full_head_dim is positive" CHECK (full_head_dim > 0),
  q_lora_rank INTEGER CONSTRAINT "q_lora_rank is positive" CHECK (q_lora_rank > 0),
  qk_nope_head_dim INTEGER CONSTRAINT "qk_nope_head_dim is positive" CHECK (qk_nope_head_dim > 0),
  v_head_dim INTEGER CONSTRAINT "v_head_dim is positive" CHECK (v_head_dim > 0),
  -- keys of a sparse-attention indexer, bytes per token and layer
  indexer_bytes_per_token INTEGER CONSTRAINT "indexer_bytes_per_token is positive" CHECK (indexer_bytes_per_token > 0),
  -- of a mixture of experts: layers with one ordinary MLP
  dense_layers INTEGER CONSTRAINT "dense_layers is at most n_layers" CHECK (dense_layers >= 0 AND dense_layers <= n_layers),
  -- constant state of all linear-attention or Mamba layers, bytes per sequence
  state_bytes INTEGER CONSTRAINT "state_bytes is positive" CHECK (state_bytes > 0),
  notes TEXT,
  line INTEGER NOT NULL
);

-- model is NULL where a published name is of no model in the catalog; reason then says why.
CREATE TABLE model_names (name TEXT PRIMARY KEY, model TEXT, relation TEXT NOT NULL, reason TEXT) WITHOUT ROWID;
CREATE TRIGGER model_is_a_name AFTER INSERT ON models
BEGIN INSERT INTO model_names VALUES (new.model_id, new.model_id, 'same', NULL); END;

-- relation: same (another spelling) | checkpoint (a compressed copy) | finetune (other weights, same geometry) | none
CREATE TABLE model_aliases (
  published TEXT PRIMARY KEY,
  model_id TEXT REFERENCES models(model_id),
  relation TEXT NOT NULL CONSTRAINT "relation is same, checkpoint, finetune or none"
    CHECK (relation IN ('same', 'checkpoint', 'finetune', 'none')),
  reason TEXT NOT NULL,
  line INTEGER NOT NULL,
  CONSTRAINT "relation none and only none has no model_id" CHECK ((relation = 'none') = (model_id IS NULL))
);
CREATE TRIGGER model_alias_is_a_name AFTER INSERT ON model_aliases
BEGIN INSERT INTO model_names VALUES (new.published, new.model_id, new.relation, new.reason); END;

-- Models that can be had through an API only; their scores and prices are what an open model is compared with.
CREATE TABLE closed_models (
  model_id TEXT PRIMARY KEY,
  line INTEGER NOT NULL
);
CREATE TRIGGER closed_model_is_a_name AFTER INSERT ON closed_models
BEGIN INSERT INTO model_names VALUES (new.model_id, new.model_id, 'closed', NULL); END;

CREATE TABLE model_licences (
  model_id TEXT PRIMARY KEY REFERENCES models(model_id),
  licence TEXT NOT NULL,
  commercial_use TEXT NOT NULL CONSTRAINT "commercial_use is yes, no or conditional"
    CHECK (commercial_use IN ('yes', 'no', 'conditional')),
  conditions TEXT,
  release_year_month TEXT CONSTRAINT "release_year_month reads YYYY-MM"
    CHECK (release_year_month GLOB '[12][0-9][0-9][0-9]-[01][0-9]'),
  url TEXT NOT NULL,
  locator TEXT,
  line INTEGER NOT NULL
);

CREATE TABLE hardware (
  hardware_id TEXT PRIMARY KEY,
  vendor TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL CONSTRAINT "kind of hardware is known" CHECK (kind IN
    ('consumer-gpu', 'datacenter-gpu', 'workstation-gpu', 'apple-soc', 'edge', 'x86-cpu', 'arm-cpu', 'mobile', 'npu', 'tpu')),
  generation TEXT NOT NULL,
  compute_capability REAL CONSTRAINT "compute_capability is positive" CHECK (compute_capability > 0),
  memory_gb REAL CONSTRAINT "memory_gb is positive" CHECK (memory_gb > 0),
  memory_bandwidth_gbs REAL CONSTRAINT "memory_bandwidth_gbs is positive" CHECK (memory_bandwidth_gbs > 0),
  fp32_tflops REAL CONSTRAINT "fp32_tflops is positive" CHECK (fp32_tflops > 0),
  fp16_tflops REAL CONSTRAINT "fp16_tflops is positive" CHECK (fp16_tflops > 0),
  bf16_tflops REAL CONSTRAINT "bf16_tflops is positive" CHECK (bf16_tflops > 0),
  fp8_tflops REAL CONSTRAINT "fp8_tflops is positive" CHECK (fp8_tflops > 0),
  int8_tops REAL CONSTRAINT "int8_tops is positive" CHECK (int8_tops > 0),
  fp4_tflops REAL CONSTRAINT "fp4_tflops is positive" CHECK (fp4_tflops > 0),
  int4_tops REAL CONSTRAINT "int4_tops is positive" CHECK (int4_tops > 0),
  sparse_2_4 TEXT CONSTRAINT "sparse_2_4 is yes or no" CHECK (sparse_2_4 IN ('yes', 'no')),
  interconnect_gbs REAL CONSTRAINT "interconnect_gbs is positive" CHECK (interconnect_gbs > 0),
  pcie_gbs REAL CONSTRAINT "pcie_gbs is positive" CHECK (pcie_gbs > 0),
  tdp_w REAL CONSTRAINT "tdp_w is positive" CHECK (tdp_w > 0),
  unified_memory TEXT NOT NULL CONSTRAINT "unified_memory is yes or no" CHECK (unified_memory IN ('yes', 'no')),
  source TEXT NOT NULL,
  locator TEXT NOT NULL,
  notes TEXT,
  line INTEGER NOT NULL
);

CREATE TABLE hardware_names (name TEXT PRIMARY KEY, hardware TEXT, reason TEXT) WITHOUT ROWID;
CREATE TRIGGER hardware_is_a_name AFTER INSERT ON hardware
BEGIN INSERT INTO hardware_names VALUES (new.hardware_id, new.hardware_id, NULL); END;

CREATE TABLE hardware_aliases (
  published TEXT PRIMARY KEY,
  hardware_id TEXT REFERENCES hardware(hardware_id),
  reason TEXT NOT NULL,
  line INTEGER NOT NULL
);
CREATE TRIGGER hardware_alias_is_a_name AFTER INSERT ON hardware_aliases
BEGIN INSERT INTO hardware_names VALUES (new.published, new.hardware_id, new.reason); END;

CREATE TABLE hardware_rates (
  hardware_id TEXT NOT NULL REFERENCES hardware(hardware_id),
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  unit TEXT NOT NULL REFERENCES units(unit),
  accumulate TEXT NOT NULL CONSTRAINT "accumulate is fp16, fp32 or n/a" CHECK (accumulate IN ('fp16', 'fp32', 'n/a')),
  matrix_units TEXT NOT NULL CONSTRAINT "matrix_units is yes, no or n/a" CHECK (matrix_units IN ('yes', 'no', 'n/a')),
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE engine_support (
  engine TEXT NOT NULL REFERENCES engine_names(name),
  format TEXT NOT NULL,
  hardware_generation TEXT NOT NULL,
  supported TEXT NOT NULL CONSTRAINT "supported is yes, no or emulated" CHECK (supported IN ('yes', 'no', 'emulated')),
  source TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE prices (
  provider TEXT NOT NULL,
  sku TEXT NOT NULL,
  hardware_id TEXT NOT NULL REFERENCES hardware_names(name),
  count INTEGER NOT NULL CONSTRAINT "count is positive" CHECK (count > 0),
  usd_per_hour REAL NOT NULL CONSTRAINT "usd_per_hour is positive" CHECK (usd_per_hour > 0),
  pricing TEXT NOT NULL CONSTRAINT "pricing is on-demand, reserved or spot" CHECK (pricing IN ('on-demand', 'reserved', 'spot')),
  as_of TEXT,
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE api_prices (
  model TEXT NOT NULL REFERENCES model_names(name),
  provider TEXT NOT NULL,
  usd_per_million_input_tokens REAL NOT NULL CONSTRAINT "price is not negative" CHECK (usd_per_million_input_tokens >= 0),
  usd_per_million_output_tokens REAL NOT NULL CONSTRAINT "price is not negative" CHECK (usd_per_million_output_tokens >= 0),
  as_of TEXT,
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE published_checkpoints (
  model_id TEXT NOT NULL REFERENCES models(model_id),
  checkpoint_id TEXT PRIMARY KEY,
  technique TEXT NOT NULL REFERENCES technique_names(name),
  scheme TEXT NOT NULL,
  format TEXT NOT NULL,
  publisher TEXT NOT NULL,
  official TEXT NOT NULL CONSTRAINT "official is yes or no" CHECK (official IN ('yes', 'no')),
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TRIGGER checkpoint_is_a_name AFTER INSERT ON published_checkpoints
WHEN NOT EXISTS (SELECT 1 FROM model_names WHERE name = new.checkpoint_id)
BEGIN INSERT INTO model_names VALUES (new.checkpoint_id, new.model_id, 'checkpoint', 'listed in published_checkpoints.csv'); END;

CREATE TABLE cost_cases (
  company TEXT NOT NULL,
  what_they_did TEXT NOT NULL,
  lever TEXT NOT NULL,
  "before" TEXT NOT NULL,
  "after" TEXT NOT NULL,
  source_url TEXT NOT NULL,
  locator TEXT NOT NULL,
  source_type TEXT NOT NULL,
  evidence_quality TEXT NOT NULL,
  line INTEGER NOT NULL
);

-------------------------------------------------------------------------------------------- scores and measurements

CREATE TABLE model_scores (
  model_id TEXT NOT NULL REFERENCES model_names(name),
  task TEXT NOT NULL REFERENCES task_names(name),
  task_family TEXT NOT NULL,
  metric TEXT NOT NULL REFERENCES metric_names(name),
  shots TEXT,
  value REAL NOT NULL,
  scale TEXT NOT NULL CONSTRAINT "scale is percent, fraction or raw" CHECK (scale IN ('percent', 'fraction', 'raw')),
  mode TEXT,
  harness TEXT NOT NULL,
  source_label TEXT,
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE model_scores_closed (
  model_id TEXT NOT NULL REFERENCES closed_models(model_id),
  task TEXT NOT NULL REFERENCES task_names(name),
  task_family TEXT NOT NULL,
  metric TEXT NOT NULL REFERENCES metric_names(name),
  shots TEXT,
  value REAL NOT NULL,
  scale TEXT NOT NULL CONSTRAINT "scale is percent, fraction or raw" CHECK (scale IN ('percent', 'fraction', 'raw')),
  mode TEXT,
  harness TEXT NOT NULL,
  source_label TEXT,
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL
);

CREATE TABLE sources (
  source_id TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  publisher TEXT NOT NULL,
  year TEXT NOT NULL,
  url TEXT NOT NULL,
  license_if_stated TEXT,
  line INTEGER NOT NULL
);

CREATE TABLE quality (
  source_file TEXT NOT NULL REFERENCES sources(source_id),
  model_id TEXT NOT NULL REFERENCES model_names(name),
  model_params_b REAL CONSTRAINT "model_params_b is positive" CHECK (model_params_b > 0),
  technique TEXT NOT NULL REFERENCES technique_names(name),
  format TEXT,
  weight_bits REAL CONSTRAINT "weight_bits is between 0 and 32" CHECK (weight_bits > 0 AND weight_bits <= 32),
  activation_bits REAL CONSTRAINT "activation_bits is between 0 and 32" CHECK (activation_bits > 0 AND activation_bits <= 32),
  kv_bits REAL CONSTRAINT "kv_bits is between 0 and 32" CHECK (kv_bits > 0 AND kv_bits <= 32),
  group_size INTEGER CONSTRAINT "group_size is positive, or -1 per channel" CHECK (group_size > 0 OR group_size = -1),
  bits_per_weight REAL CONSTRAINT "bits_per_weight is between 0 and 32" CHECK (bits_per_weight > 0 AND bits_per_weight <= 32),
  pattern TEXT CONSTRAINT "pattern is known" CHECK (pattern IN
    ('unstructured', '2:4', '4:8', 'structured-width', 'structured-depth')),
  sparsity REAL CONSTRAINT "sparsity is a fraction of 1" CHECK (sparsity >= 0 AND sparsity < 1),
  sparsity_of TEXT CONSTRAINT "sparsity_of is known" CHECK (sparsity_of IN
    ('weights', 'activations', 'rank', 'visual_tokens', 'multiplications')),
  retrained TEXT NOT NULL CONSTRAINT "retrained is yes or no" CHECK (retrained IN ('yes', 'no')),
  calibration TEXT,
  task TEXT NOT NULL REFERENCES task_names(name),
  task_family TEXT NOT NULL,
  metric TEXT NOT NULL REFERENCES metric_names(name),
  higher_is_better TEXT NOT NULL CONSTRAINT "higher_is_better is yes or no" CHECK (higher_is_better IN ('yes', 'no')),
  scale TEXT NOT NULL CONSTRAINT "scale is percent, fraction or raw" CHECK (scale IN ('percent', 'fraction', 'raw')),
  baseline_precision TEXT NOT NULL,
  baseline_value REAL NOT NULL,
  value REAL NOT NULL,
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL,
  CONSTRAINT "sparsity above 0 says what it is of" CHECK ((coalesce(sparsity, 0) > 0) = (sparsity_of IS NOT NULL)),
  PRIMARY KEY (source_file, line)
);

-- llama.cpp with a part of the weights in the memory of the host. One of n_cpu_moe (expert layers there) and gpu_layers
-- (-ngl: layers on the device, the output counted as one). host_bandwidth_gbs: all channels together, as measured or
-- stated by the source, or of the memory that it names; empty where it names none.
CREATE TABLE offload (
  source_file TEXT NOT NULL REFERENCES sources(source_id),
  model_id TEXT NOT NULL REFERENCES model_names(name),
  format TEXT NOT NULL,
  engine TEXT NOT NULL REFERENCES engine_names(name),
  engine_version TEXT,
  hardware_id TEXT NOT NULL REFERENCES hardware_names(name),
  hardware_count INTEGER NOT NULL CONSTRAINT "hardware_count is positive" CHECK (hardware_count > 0),
  host TEXT,
  host_memory_gb REAL CONSTRAINT "host_memory_gb is positive" CHECK (host_memory_gb > 0),
  host_bandwidth_gbs REAL CONSTRAINT "host_bandwidth_gbs is positive" CHECK (host_bandwidth_gbs > 0),
  n_cpu_moe INTEGER CONSTRAINT "n_cpu_moe is positive" CHECK (n_cpu_moe > 0),
  gpu_layers INTEGER CONSTRAINT "gpu_layers is not negative" CHECK (gpu_layers >= 0),
  input_len INTEGER CONSTRAINT "input_len is not negative" CHECK (input_len >= 0),
  output_len INTEGER CONSTRAINT "output_len is positive" CHECK (output_len > 0),
  micro_batch INTEGER CONSTRAINT "micro_batch is positive" CHECK (micro_batch > 0),
  metric TEXT NOT NULL CONSTRAINT "metric is decode_tok_s or prefill_tok_s"
    CHECK (metric IN ('decode_tok_s', 'prefill_tok_s')),
  value REAL NOT NULL CONSTRAINT "value is positive" CHECK (value > 0),
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL,
  PRIMARY KEY (source_file, line),
  CONSTRAINT "n_cpu_moe or gpu_layers is given, not both" CHECK ((n_cpu_moe IS NULL) <> (gpu_layers IS NULL))
);
CREATE TABLE speed (
  source_file TEXT NOT NULL REFERENCES sources(source_id),
  model_id TEXT NOT NULL REFERENCES model_names(name),
  model_params_b REAL CONSTRAINT "model_params_b is positive" CHECK (model_params_b > 0),
  active_params_b REAL CONSTRAINT "active_params_b is positive" CHECK (active_params_b > 0),
  format TEXT NOT NULL,
  weight_bits REAL CONSTRAINT "weight_bits is between 0 and 32" CHECK (weight_bits > 0 AND weight_bits <= 32),
  engine TEXT NOT NULL REFERENCES engine_names(name),
  engine_version TEXT,
  hardware_id TEXT NOT NULL REFERENCES hardware_names(name),
  hardware_count INTEGER NOT NULL CONSTRAINT "hardware_count is positive" CHECK (hardware_count > 0),
  parallelism TEXT,
  input_len TEXT,
  output_len TEXT,
  batch_or_concurrency TEXT NOT NULL,
  metric TEXT NOT NULL REFERENCES metric_names(name),
  value REAL NOT NULL CONSTRAINT "value is positive" CHECK (value > 0),
  url TEXT NOT NULL,
  locator TEXT NOT NULL,
  line INTEGER NOT NULL,
  PRIMARY KEY (source_file, line)
);

-- Rows of data/measurements are never edited. What is found wrong later is said here, and a better figure goes into a
-- new row. suspect: kept, marked. superseded: not loaded.
CREATE TABLE measurement_flags (
  kind TEXT NOT NULL CONSTRAINT "kind is quality, speed, offload or score" CHECK (kind IN ('quality', 'speed', 'offload', 'score')),
  source_id TEXT,
  row_line INTEGER NOT NULL,
  flag TEXT NOT NULL CONSTRAINT "flag is suspect or superseded" CHECK (flag IN ('suspect', 'superseded')),
  reason TEXT NOT NULL,
  line INTEGER NOT NULL,
  CONSTRAINT "a row is flagged once by hand" UNIQUE (kind, source_id, row_line)
);

-- Coefficients of the models fitted to the rows above, filled by build_db from libadvisor/estimate (core/fit.h).
CREATE TABLE fitted_terms (
  fit TEXT NOT NULL,
  term TEXT NOT NULL,
  level TEXT NOT NULL,
  value REAL NOT NULL,
  sd REAL NOT NULL CONSTRAINT "sd is not negative" CHECK (sd >= 0),
  rows INTEGER NOT NULL CONSTRAINT "rows is not negative" CHECK (rows >= 0),
  sources TEXT NOT NULL,
  -- What the term is only about, as it is spelled in its level; empty: about more than one, so always needed.
  model TEXT NOT NULL,
  task TEXT NOT NULL,
  hardware TEXT NOT NULL,
  engine TEXT NOT NULL,
  PRIMARY KEY (model, task, fit, term, level)  -- what one question needs lies together
) WITHOUT ROWID;
