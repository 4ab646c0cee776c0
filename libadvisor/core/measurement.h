// Measurements as stored (one row of a published table each) and the estimates that are made of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace advisor {

struct Source {
  std::string id, title, publisher, year, url, licence;
};

/// One value of a task under compression, with the uncompressed value of the same table.
struct QualityMeasurement {
  std::int64_t id = 0;
  std::string source, model;
  std::optional<double> params;  ///< parameters of the model (not billions)
  std::string technique;         ///< vocabulary of data/techniques.csv
  std::string scheme;            ///< W4A16-g128 ... as published when it cannot be read
  std::string format;            ///< number or file format as published
  std::optional<double> weight_bits, activation_bits, kv_bits, bits_per_weight;
  std::optional<std::int64_t> group_size;  ///< -1 = per channel
  std::string pattern;                     ///< unstructured, 2:4, ... empty = dense
  double sparsity = 0;                     ///< 0..1
  bool retrained = false;
  std::string calibration;
  std::string task, family, metric;
  bool higher_is_better = true;
  double baseline = 0,
         value = 0;  ///< fractions of 1 where metric_kind says proportion, error_rate, similarity, retained
  std::string url, locator;
  std::string metric_kind{};         ///< data/metrics.csv: proportion, perplexity, loss, divergence, points ...
  std::string sparsity_of{};         ///< what `sparsity` is a share of: weights, activations, rank, visual_tokens ...
  std::string baseline_precision{};  ///< as published
  std::string suspect{};             ///< why the row is not to be used; empty = nothing against it
  std::optional<double> standard_error{};  ///< of `value`, in its scale, where the source states it
  std::string recorded{};                  ///< date of a user's own row (`advisor record`); empty = shipped
};

struct SpeedMeasurement {
  std::int64_t id = 0;
  std::string source, model;
  std::optional<double> params, active_params;
  std::string format;
  std::optional<double> weight_bits;
  std::string engine, engine_version;
  std::string hardware;  ///< catalog id; empty when it does not join (kept, listed in the report)
  std::int64_t hardware_count = 1;
  std::string parallelism;
  std::optional<std::int64_t> input_tokens, output_tokens, concurrency;
  std::string metric;  ///< decode_tok_s, prefill_tok_s, ttft_ms, tpot_ms, memory_gb ...
  double value = 0;    ///< in the unit that the metric names
  std::string url, locator;
  std::string load{};     ///< as published: "1", "10 req/s", "offline 100 req"; concurrency is set only where stated
  std::string suspect{};  ///< why the row is not to be used; empty = nothing against it
  std::optional<double> standard_error{};       ///< of `value`, in its unit, where the source states it
  std::string recorded{};                       ///< date of a user's own row (`advisor record`); empty = shipped
  std::string input_length{}, output_length{};  ///< as published: "512", "p50 280 (ShareGPT)", "<=256"
};

/// A speed of llama.cpp with a part of the weights in the host's memory.
struct OffloadMeasurement {
  std::string source, model;
  std::string format;  ///< a GGUF type
  std::string engine, engine_version;
  std::string hardware;  ///< catalog id; empty when it does not join
  std::int64_t hardware_count = 1;
  std::string host;                                         ///< processor and memory as published
  std::optional<double> host_memory, host_bandwidth;        ///< bytes, bytes per second
  std::optional<std::int64_t> cpu_moe_layers, gpu_layers;   ///< --n-cpu-moe, or -ngl: one of the two
  std::optional<std::int64_t> input_tokens, output_tokens;  ///< prompt (of decode_tok_s: what was in the cache), answer
  std::optional<double> micro_batch;                        ///< --ubatch-size; 512 where it is not stated
  std::string metric;                                       ///< decode_tok_s or prefill_tok_s, of one stream
  double value = 0;
  std::string url, locator;
  std::string suspect{};  ///< why the row is not to be used; empty = nothing against it
};

/// A published score of an uncompressed model. Compare only within one harness and mode.
struct Score {
  std::string model, task, family, metric, shots, mode, harness;
  double value = 0;  ///< fraction of 1 where metric_kind says proportion, error_rate, similarity
  std::string url, locator;
  std::string metric_kind{};  ///< data/metrics.csv
  bool closed = false;        ///< of a model that is had through an API only
  std::string suspect{};      ///< why the row is not to be used; empty = nothing against it
  std::string recorded{};     ///< date of a user's own row (`advisor record`); empty = shipped
};

/// How an estimate came about, best first.
enum class Basis { measured, transferred, modelled, prior };
std::string_view name(Basis basis);

/// A number that is not certain. Without evidence there is no Estimate but a Gap.
struct Estimate {
  double mean = 0;
  double sd = 0;
  double low = 0, high = 0;  ///< central interval at `level`
  double level = 0.9;
  Basis basis = Basis::prior;
  std::int64_t n = 0;                ///< measurements behind it
  std::vector<std::string> sources;  ///< source ids or addresses, sorted, unique
};

}  // namespace advisor
