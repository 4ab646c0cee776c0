-- Each query names what breaks a rule that one row alone cannot show: (file, line, what is wrong). All must be empty.

-- models
SELECT 'models.csv', line, model_id || ': n_kv_heads does not divide n_heads'
  FROM models WHERE n_heads % n_kv_heads <> 0;
SELECT 'models.csv', line, model_id || ': more active than total parameters'
  FROM models WHERE active_params_b > params_b;
SELECT 'models.csv', line, model_id || ': n_experts_used is above n_experts'
  FROM models WHERE n_experts_used > n_experts;
SELECT 'models.csv', line, model_id || ': more layers with a KV cache than layers'
  FROM models WHERE kv_cache_layers > n_layers;
SELECT 'models.csv', line, model_id || ': the latent of MLA needs both kv_lora_rank and qk_rope_head_dim'
  FROM models WHERE (kv_lora_rank IS NULL) <> (qk_rope_head_dim IS NULL) OR (attention = 'mla') <> (kv_lora_rank IS NOT NULL);
SELECT 'models.csv', line, model_id || ': modality of "' || modalities_in || '" is not of text, image, audio, video'
  FROM models WHERE trim(replace(replace(replace(replace(';' || modalities_in || ';', ';text;', ';'), ';image;', ';'), ';audio;', ';'), ';video;', ';'), ';') <> '';
SELECT 'model_licences.csv', l.line, l.model_id || ': licence differs from models.csv (' || m.license || ')'
  FROM model_licences l JOIN models m USING (model_id) WHERE l.licence <> m.license;

-- vocabularies
SELECT 'tasks.csv', line, task || ': benchmark ' || benchmark || ' is no benchmark of this file'
  FROM tasks WHERE kind = 'type' AND benchmark NOT IN (SELECT task FROM tasks WHERE kind <> 'type');
SELECT 'engine_support.csv', line, 'column hardware_generation: "' || hardware_generation || '" is not in generations.csv or generation_aliases.csv'
  FROM engine_support WHERE hardware_generation NOT IN (SELECT name FROM generation_names);
SELECT 'hardware.csv', line, 'column generation: "' || generation || '" is not in generations.csv or generation_aliases.csv'
  FROM hardware WHERE generation NOT IN (SELECT name FROM generation_names);
SELECT 'engine_support.csv', line, 'column format: "' || format || '" is not in support_aliases.csv'
  FROM engine_support WHERE format NOT IN (SELECT published FROM support_aliases);

-- quality
SELECT 'measurements/quality/' || source_file || '.csv', q.line, 'higher_is_better is not what metrics.csv says of ' || q.metric
  FROM quality q JOIN metric_names n ON n.name = q.metric JOIN metrics m USING (metric)
  WHERE q.higher_is_better <> m.higher_is_better;
SELECT 'measurements/quality/' || source_file || '.csv', line, 'perplexity below 1'
  FROM quality_rows WHERE metric_kind = 'perplexity' AND min(value, baseline_value) < 1 AND suspect IS NULL;
SELECT 'measurements/quality/' || source_file || '.csv', q.line, 'a value outside the bounds of metrics.csv for ' || q.metric
  FROM quality_rows q JOIN metrics m ON m.metric = q.metric_name
  WHERE suspect IS NULL AND
    (max(value, baseline_value) * CASE scale WHEN 'percent' THEN 0.01 ELSE 1 END > m.high
     OR min(value, baseline_value) * CASE scale WHEN 'percent' THEN 0.01 ELSE 1 END < m.low);
SELECT 'measurements/quality/' || source_file || '.csv', line, 'a divergence from the uncompressed model has baseline 0'
  FROM quality_rows WHERE metric_kind = 'divergence' AND baseline_value <> 0;
SELECT 'measurements/quality/' || source_file || '.csv', line, 'a share of what is retained has baseline 100 percent'
  FROM quality_rows WHERE metric_kind = 'retained' AND baseline_value <> CASE scale WHEN 'percent' THEN 100 ELSE 1 END;
SELECT 'measurements/quality/' || source_file || '.csv', line, 'scale ' || scale || ' does not fit metric ' || metric
  FROM quality_rows WHERE (metric_kind IN ('proportion', 'error_rate', 'similarity', 'retained')) = (scale = 'raw');
SELECT 'measurements/quality/' || source_file || '.csv', line, pattern || ' is half of the weights'
  FROM quality WHERE pattern IN ('2:4', '4:8') AND sparsity_of = 'weights' AND sparsity <> 0.5;
SELECT 'sources.csv', line, source_id || ' has no measurement'
  FROM sources WHERE source_id NOT IN (SELECT source_file FROM quality UNION SELECT source_file FROM speed
    UNION SELECT source_file FROM offload);

-- scores
SELECT CASE closed WHEN 1 THEN 'model_scores_closed.csv' ELSE 'model_scores.csv' END, line, 'scale ' || scale || ' does not fit metric ' || metric
  FROM score_rows WHERE (metric_kind IN ('proportion', 'error_rate', 'similarity', 'retained')) = (scale = 'raw');
SELECT CASE closed WHEN 1 THEN 'model_scores_closed.csv' ELSE 'model_scores.csv' END, s.line, 'a value outside the bounds of metrics.csv for ' || s.metric
  FROM score_rows s JOIN metrics m ON m.metric = s.metric_name
  WHERE suspect IS NULL AND (value * CASE scale WHEN 'percent' THEN 0.01 ELSE 1 END > m.high
    OR value * CASE scale WHEN 'percent' THEN 0.01 ELSE 1 END < m.low);

-- rates: what hardware_rates.csv gives as the figure is the figure of hardware.csv, 3 % left for boost clocks and
-- rounding ("conflict:" marks other opinions)
SELECT 'hardware_rates.csv', r.line, r.hardware_id || ' ' || r.field || ': ' || r.value || ' here, another figure in hardware.csv'
  FROM hardware_rates r JOIN hardware h USING (hardware_id)
  WHERE CASE r.field WHEN 'fp32_tflops' THEN h.fp32_tflops WHEN 'fp16_tflops' THEN h.fp16_tflops
    WHEN 'bf16_tflops' THEN h.bf16_tflops WHEN 'fp8_tflops' THEN h.fp8_tflops WHEN 'int8_tops' THEN h.int8_tops
    WHEN 'fp4_tflops' THEN h.fp4_tflops WHEN 'int4_tops' THEN h.int4_tops WHEN 'memory_gb' THEN h.memory_gb
    WHEN 'memory_bandwidth_gbs' THEN h.memory_bandwidth_gbs WHEN 'interconnect_gbs' THEN h.interconnect_gbs
    WHEN 'pcie_gbs' THEN h.pcie_gbs WHEN 'tdp_w' THEN h.tdp_w END NOT BETWEEN 0.97 * CAST(r.value AS REAL) AND 1.03 * CAST(r.value AS REAL);

-- aliases and flags that point nowhere are mistakes waiting to be copied
SELECT 'model_aliases.csv', line, '"' || published || '" is used by no row'
  FROM model_aliases WHERE published NOT IN (SELECT model_id FROM quality UNION SELECT model_id FROM speed
    UNION SELECT model_id FROM offload UNION SELECT model_id FROM model_scores UNION SELECT model FROM api_prices);
SELECT 'measurement_flags.csv', line, 'there is no row ' || row_line || ' of that kind and source'
  FROM measurement_flags f WHERE NOT EXISTS (SELECT 1 FROM quality q WHERE f.kind = 'quality' AND q.source_file = f.source_id AND q.line = f.row_line)
    AND NOT EXISTS (SELECT 1 FROM speed p WHERE f.kind = 'speed' AND p.source_file = f.source_id AND p.line = f.row_line)
    AND NOT EXISTS (SELECT 1 FROM offload p WHERE f.kind = 'offload' AND p.source_file = f.source_id AND p.line = f.row_line)
    AND NOT EXISTS (SELECT 1 FROM model_scores s WHERE f.kind = 'score' AND f.source_id IS NULL AND s.line = f.row_line)
    AND NOT EXISTS (SELECT 1 FROM model_scores_closed s WHERE f.kind = 'score' AND f.source_id = 'closed' AND s.line = f.row_line);
