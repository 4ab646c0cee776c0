-- What follows from the rows, worked out once while building: which rows are suspect, and the views that readers use.

CREATE TABLE suspects (kind TEXT NOT NULL, source_id TEXT NOT NULL, row_line INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (kind, source_id, row_line)) WITHOUT ROWID;

INSERT INTO suspects
  SELECT kind, coalesce(source_id, ''), row_line, reason FROM measurement_flags WHERE flag = 'suspect';

INSERT OR IGNORE INTO suspects
  SELECT 'quality', source_file, line, 'the source of the row calls its baseline abnormal'
  FROM quality WHERE calibration LIKE '%SUSPECT%';

INSERT OR IGNORE INTO suspects
  SELECT 'quality', source_file, q.line, 'its value is no fraction after its scale is taken off'
  FROM quality q JOIN metric_names n ON n.name = q.metric JOIN metrics m USING (metric)
  WHERE m.kind = 'proportion'
    AND max(baseline_value, value) > CASE scale WHEN 'percent' THEN 100.0 ELSE 1.0 END;

-- Word error rates of tasks without speech: accuracies under the wrong label.
INSERT OR IGNORE INTO suspects
  SELECT 'score', '', s.line, 'labelled word error rate, but ' || s.task || ' is a task on text'
  FROM model_scores s JOIN metric_names n ON n.name = s.metric JOIN task_names k ON k.name = s.task
    JOIN tasks t ON t.task = k.task
  WHERE n.metric = 'wer' AND t.family <> 'speech';
INSERT OR IGNORE INTO suspects
  SELECT 'score', 'closed', s.line, 'labelled word error rate, but ' || s.task || ' is a task on text'
  FROM model_scores_closed s JOIN metric_names n ON n.name = s.metric JOIN task_names k ON k.name = s.task
    JOIN tasks t ON t.task = k.task
  WHERE n.metric = 'wer' AND t.family <> 'speech';

-- Nothing generates faster than it reads its weights: at batch 1 without speculation, tokens/s <= bandwidth / bytes of
-- the active weights. 15 % is left for rounded parameter counts and the embedding, of which one row is read. Layers
-- split over devices are read one after the other, so they have the bandwidth of one.
CREATE TABLE roofline (source_file TEXT NOT NULL, line INTEGER NOT NULL, share REAL NOT NULL,
  PRIMARY KEY (source_file, line)) WITHOUT ROWID;
INSERT INTO roofline
  SELECT s.source_file, s.line,
    s.value * coalesce(s.active_params_b, m.active_params_b, s.model_params_b, m.params_b) * s.weight_bits / 8
      / (h.memory_bandwidth_gbs * CASE WHEN s.parallelism LIKE 'layer-split%' THEN 1 ELSE s.hardware_count END)
  FROM speed s
    JOIN engine_names e ON e.name = s.engine
    JOIN hardware_names n ON n.name = s.hardware_id JOIN hardware h ON h.hardware_id = n.hardware
    JOIN model_names a ON a.name = s.model_id LEFT JOIN models m ON m.model_id = a.model
  WHERE s.metric = 'decode_tok_s' AND s.batch_or_concurrency = '1' AND e.speculative = 'no'
    AND h.memory_bandwidth_gbs IS NOT NULL AND s.weight_bits IS NOT NULL
    AND coalesce(s.active_params_b, m.active_params_b, s.model_params_b, m.params_b) IS NOT NULL;
INSERT OR IGNORE INTO suspects
  SELECT 'speed', source_file, line, printf('%.0f %% of what memory bandwidth allows: mislabelled, or its active parameters are not stated', 100 * share)
  FROM roofline WHERE share > 1.15;

CREATE VIEW superseded AS
  SELECT kind, coalesce(source_id, '') AS source_id, row_line FROM measurement_flags WHERE flag = 'superseded';

-- One model's rows are found without reading all of them: an estimate for one point has 20 ms.
CREATE INDEX names_of_model ON model_names(model);
CREATE TABLE all_scores AS SELECT 0 AS closed, '' AS part, * FROM model_scores
  UNION ALL SELECT 1, 'closed', * FROM model_scores_closed;

---------------------------------------------------------------------------------------------------- for readers

-- Tables, with one model's rows side by side, because joining them anew takes a tenth of those 20 ms, and of all models
-- half of the time to read them.
-- A name of relation finetune has the geometry of its base but other weights: it joins for speed, not for quality.
CREATE TABLE quality_rows AS
  SELECT q.*, a.model AS named_model, CASE WHEN a.relation = 'finetune' THEN NULL ELSE a.model END AS catalog_model, e.technique AS technique_id,
    k.task AS task_id, t.family AS family, m.metric AS metric_name, m.kind AS metric_kind, s.reason AS suspect
  FROM quality q
    JOIN model_names a ON a.name = q.model_id JOIN technique_names e ON e.name = q.technique
    JOIN task_names k ON k.name = q.task JOIN tasks t ON t.task = k.task
    JOIN metric_names n ON n.name = q.metric JOIN metrics m ON m.metric = n.metric
    LEFT JOIN suspects s ON s.kind = 'quality' AND s.source_id = q.source_file AND s.row_line = q.line
    LEFT JOIN superseded o ON o.kind = 'quality' AND o.source_id = q.source_file AND o.row_line = q.line
  WHERE o.kind IS NULL
  ORDER BY named_model, source_file, q.line;
CREATE INDEX quality_of_model ON quality_rows(named_model, source_file, line);

CREATE TABLE speed_rows AS
  SELECT p.*, a.model AS catalog_model, e.engine AS engine_name, e.speculative AS speculative, h.hardware AS hardware,
    s.reason AS suspect
  FROM speed p
    JOIN model_names a ON a.name = p.model_id JOIN engine_names e ON e.name = p.engine
    JOIN hardware_names h ON h.name = p.hardware_id
    LEFT JOIN suspects s ON s.kind = 'speed' AND s.source_id = p.source_file AND s.row_line = p.line
    LEFT JOIN superseded o ON o.kind = 'speed' AND o.source_id = p.source_file AND o.row_line = p.line
  WHERE o.kind IS NULL
  ORDER BY catalog_model, source_file, p.line;
CREATE INDEX speed_of_model ON speed_rows(catalog_model, source_file, line);

CREATE VIEW offload_rows AS
  SELECT p.*, a.model AS catalog_model, e.engine AS engine_name, h.hardware AS hardware, s.reason AS suspect
  FROM offload p
    JOIN model_names a ON a.name = p.model_id JOIN engine_names e ON e.name = p.engine
    JOIN hardware_names h ON h.name = p.hardware_id
    LEFT JOIN suspects s ON s.kind = 'offload' AND s.source_id = p.source_file AND s.row_line = p.line
    LEFT JOIN superseded o ON o.kind = 'offload' AND o.source_id = p.source_file AND o.row_line = p.line
  WHERE o.kind IS NULL;

CREATE TABLE score_rows AS
  SELECT r.*, a.model AS catalog_model, k.task AS task_id, t.family AS family, m.metric AS metric_name,
    m.kind AS metric_kind, s.reason AS suspect
  FROM all_scores r
    JOIN model_names a ON a.name = r.model_id
    JOIN task_names k ON k.name = r.task JOIN tasks t ON t.task = k.task
    JOIN metric_names n ON n.name = r.metric JOIN metrics m ON m.metric = n.metric
    LEFT JOIN suspects s ON s.kind = 'score' AND s.source_id = r.part AND s.row_line = r.line
    LEFT JOIN superseded o ON o.kind = 'score' AND o.source_id = r.part AND o.row_line = r.line
  WHERE o.kind IS NULL
  ORDER BY catalog_model, closed, r.line;
CREATE INDEX scores_of_model ON score_rows(catalog_model, closed, line);

CREATE VIEW generation_names AS
  SELECT generation AS name, generation FROM generations
  UNION ALL SELECT published, generation FROM generation_aliases;

-- One row per engine, file format, scheme and generation; a published line that names several becomes several.
CREATE TABLE support_rows AS
  SELECT e.engine AS engine, a.format AS format, a.scheme AS scheme, g.generation AS generation, s.supported AS supported,
    s.format AS published_format, s.source AS source, s.locator AS locator, s.line AS line
  FROM engine_support s JOIN engine_names e ON e.name = s.engine
    JOIN support_aliases a ON a.published = s.format
    JOIN generation_names g ON g.name = s.hardware_generation
  WHERE a.format IS NOT NULL AND g.generation IS NOT NULL
  ORDER BY generation, engine, format, scheme, s.line;
CREATE INDEX support_of_generation ON support_rows(generation, engine, format, scheme, line);

-- What does not join the catalogs, and why; data/unjoined.csv is this view (a test compares them).
CREATE VIEW unjoined AS
  SELECT 'measurements/quality/' || q.source_file || '.csv' AS file, 'model_id' AS "column", q.model_id AS id,
    count(*) AS rows, a.reason AS reason
    FROM quality q JOIN model_names a ON a.name = q.model_id WHERE a.model IS NULL OR a.relation = 'finetune'
    GROUP BY q.source_file, q.model_id
  UNION ALL
  SELECT 'measurements/speed/' || p.source_file || '.csv', 'model_id', p.model_id, count(*), a.reason
    FROM speed p JOIN model_names a ON a.name = p.model_id WHERE a.model IS NULL GROUP BY p.source_file, p.model_id
  UNION ALL
  SELECT 'measurements/speed/' || p.source_file || '.csv', 'hardware_id', p.hardware_id, count(*), h.reason
    FROM speed p JOIN hardware_names h ON h.name = p.hardware_id WHERE h.hardware IS NULL
    GROUP BY p.source_file, p.hardware_id
  UNION ALL
  SELECT 'measurements/offload/' || p.source_file || '.csv', 'model_id', p.model_id, count(*), a.reason
    FROM offload p JOIN model_names a ON a.name = p.model_id WHERE a.model IS NULL GROUP BY p.source_file, p.model_id
  UNION ALL
  SELECT 'model_scores.csv', 'model_id', r.model_id, count(*), a.reason
    FROM model_scores r JOIN model_names a ON a.name = r.model_id WHERE a.model IS NULL GROUP BY r.model_id
  UNION ALL
  SELECT 'api_prices.csv', 'model', r.model, count(*), a.reason
    FROM api_prices r JOIN model_names a ON a.name = r.model WHERE a.model IS NULL GROUP BY r.model
  UNION ALL
  SELECT 'prices.csv', 'hardware_id', r.hardware_id, count(*), h.reason
    FROM prices r JOIN hardware_names h ON h.name = r.hardware_id WHERE h.hardware IS NULL GROUP BY r.hardware_id
  UNION ALL
  SELECT 'engine_support.csv', 'hardware_generation', s.hardware_generation, count(*),
    'the source does not say which generations'
    FROM engine_support s JOIN generation_aliases g ON g.published = s.hardware_generation WHERE g.generation IS NULL
    GROUP BY s.hardware_generation
  UNION ALL
  SELECT 'engine_support.csv', 'format', s.format, count(*), 'not a format and scheme that libadvisor names'
    FROM engine_support s JOIN support_aliases a ON a.published = s.format WHERE a.format IS NULL GROUP BY s.format
  ORDER BY 1, 2, 3;
