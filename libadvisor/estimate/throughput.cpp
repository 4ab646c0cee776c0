#include "estimate/throughput.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "estimate/memory.h"
#include "estimate/speed_case.h"
#include "estimate/weights.h"

namespace advisor {

namespace {

/// Spread of ln(efficiency): rows of one table scatter by a quarter, tables differ by as much; without any row a factor
/// of about two either way.
constexpr PoolPrior decode_prior{.within = 0.25, .between = 0.2};
constexpr double decode_guess = 0.6, prefill_guess = 0.4, guess_sd = 0.45;

/// One spelling per engine; empty for engines and modes that do not compare (speculative decoding).
std::string engine_class(const std::string& engine) {
  std::string lower;
  for (const char c : engine) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower.find("specdec") != std::string::npos) return "";
  for (const auto* known : {"llama.cpp", "vllm", "sglang", "tensorrt-llm", "transformers"})
    if (lower.starts_with(known)) return known;
  return lower == "ollama" ? "llama.cpp" : "";
}

std::string hardware_class(const Device& device) {
  if (device.kind.find("gpu") != std::string::npos) return device.kind == "datacenter-gpu" ? "datacenter" : "gpu";
  if (device.kind == "apple-soc") return "apple";
  return "cpu";
}

/// Seconds per layer and step that no bandwidth explains: kernel launches, scheduling, Python. Grid search over the
/// single-stream rows of the measurements (least mean error of ln t with one η per weight class).
double seconds_per_layer(const std::string& engine, const std::string& hardware) {
  if (hardware == "cpu") return engine == "transformers" ? 1e-4 : 2e-5;
  if (engine == "llama.cpp") return hardware == "apple" ? 1.5e-4 : 0.9e-4;
  if (engine == "transformers") return 7e-4;
  if (engine == "tensorrt-llm") return 0.7e-4;
  return 1.2e-4;
}

double layers_of(const Model& model) {
  if (model.layers) return static_cast<double>(*model.layers);
  return std::clamp(32 * std::cbrt(model.params.value_or(8e9) / 8e9), 2.0, 128.0);
}

int bits_class(double bits) { return bits >= 12 ? 16 : bits >= 6.5 ? 8 : 4; }

bool splits_tensors(const std::string& engine) { return engine != "llama.cpp" && engine != "transformers"; }

/// Devices that work at once. Layer split has them work one after the other; tensor split loses to communication.
double parallel_devices(const std::string& engine, std::int64_t count) {
  return splits_tensors(engine) ? std::pow(static_cast<double>(count), 0.7) : 1.0;
}

/// Mixtures of experts gather their weights and have an efficiency of their own.
const std::string mixture = "/mixture";
bool is_mixture(const Model& model) {
  return model.active_params && model.params && *model.active_params < 0.9 * *model.params;
}

std::optional<double> peak_rate(const Device& device, const std::string& activation) {
  const auto half = device.bf16 ? device.bf16 : device.fp16 ? device.fp16 : device.fp32;
  if (activation == "fp8" && device.fp8) return device.fp8;
  if (activation == "int8" && device.int8) return device.int8;
  if (activation == "fp4" && device.fp4) return device.fp4;
  return half;
}

}  // namespace

SpeedEstimator::SpeedEstimator(const Knowledge& knowledge) {
  std::map<std::string, const Model*> models;
  for (const auto& model : knowledge.models) models[model.id] = &model;
  std::map<std::string, const Device*> devices;
  for (const auto& device : knowledge.devices) devices[device.id] = &device;
  std::vector<const SpeedMeasurement*> rows;
  for (const auto& row : knowledge.speed) rows.push_back(&row);
  std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) {
    return std::tie(a->source, a->model, a->hardware, a->engine, a->format, a->value, a->id) <
           std::tie(b->source, b->model, b->hardware, b->engine, b->format, b->value, b->id);
  });
  for (const auto* row : rows) {
    const auto device = devices.find(row->hardware);
    if (device == devices.end() || row->value <= 0 || !row->weight_bits || !row->suspect.empty()) continue;
    Model model;
    if (const auto found = models.find(row->model); found != models.end()) model = *found->second;
    if (row->params) model.params = row->params;
    if (row->active_params) model.active_params = row->active_params;
    if (model.params) add_row(*row, model, *device->second);
  }
}

void SpeedEstimator::add_row(const SpeedMeasurement& row, const Model& model, const Device& device) {
  const auto engine = engine_class(row.engine);
  if (engine.empty() || !device.bandwidth) return;
  const int bits = bits_class(*row.weight_bits);
  const auto hardware = hardware_class(device);
  const double active = model.active_params.value_or(*model.params);
  const std::string family = is_mixture(model) ? mixture : "";
  const auto add = [&](std::map<Cell, std::vector<Sample>>& cells, double efficiency) {
    if (efficiency <= 0 || efficiency > 1.15) return;  // above the roofline: a mislabelled row
    for (const auto& kind : {hardware, std::string()})
      cells[{engine + family, kind, bits}].push_back({std::log(efficiency), 1, row.source});
  };
  if (row.metric == "decode_tok_s") {
    if (!row.concurrency) return;  // a load in requests per second or offline
    const auto concurrency = *row.concurrency;
    exact_[{row.model, row.hardware, engine, bits}].push_back(
        {std::log(row.value), concurrency, row.hardware_count, row.source});
    if (concurrency != 1 || row.hardware_count != 1) return;
    const double step = 1 / row.value;
    const double fixed = std::min(seconds_per_layer(engine, hardware) * layers_of(model), 0.8 * step);
    const double stored_bits = *row.weight_bits < 12 ? 1.1 * *row.weight_bits : *row.weight_bits;  // scales
    add(decode_, active * stored_bits / 8 / *device.bandwidth / (step - fixed));
  } else if (row.metric == "prefill_tok_s" && row.concurrency == 1 && row.hardware_count == 1 &&
             row.input_tokens.value_or(0) >= 256) {
    if (const auto peak = peak_rate(device, "fp16")) add(prefill_, 2 * active * row.value / *peak);
  }
}

std::optional<SpeedEstimator::Efficiency> SpeedEstimator::efficiency(const std::map<Cell, std::vector<Sample>>& cells,
                                                                     const std::string& engine, const std::string& kind,
                                                                     int bits) {
  for (const auto& hardware : {kind, std::string()}) {
    const auto cell = cells.find({engine, hardware, bits});
    if (cell == cells.end() || cell->second.size() < 4) continue;
    const auto pooled = pool(cell->second, decode_prior);
    std::set<std::string> sources;
    for (const auto& sample : cell->second) sources.insert(sample.source);
    return Efficiency{pooled->prediction, pooled->rows, {sources.begin(), sources.end()}};
  }
  return std::nullopt;
}

std::optional<Rate> SpeedEstimator::decode(const Model& model, const Variant& variant, const Hardware& hardware,
                                           Load load) const {
  const auto scheme = describe_scheme(variant.scheme);
  const int bits = bits_class(scheme.weight_bits);
  const auto known = exact_.find({model.id, hardware.device.id, variant.engine, bits});
  if (known != exact_.end() && !hardware.device.id.empty()) {
    std::vector<Sample> samples;
    std::vector<std::string> sources;
    for (const auto& run : known->second)
      if (run.concurrency == load.concurrency && run.count == hardware.count)
        samples.push_back({run.log_rate, 1, run.source}), sources.push_back(run.source);
    if (const auto pooled = pool(samples, {.within = 0.1, .between = 0.1}))
      return Rate{pooled->prediction, Basis::measured, pooled->rows, sources};
  }
  const auto weights = estimate_weights(model, variant);
  if (!weights || !hardware.device.bandwidth) return std::nullopt;
  const auto kind = hardware_class(hardware.device);
  const auto devices = parallel_devices(variant.engine, hardware.count);
  const auto sequences = static_cast<double>(load.concurrency);
  // Half of the answer has been written on average.
  const auto kv = estimate_kv_cache(model, variant.kv, load.input_tokens + load.output_tokens / 2, load.concurrency);
  const double one = touched_share(model, 1), many = touched_share(model, sequences);
  const double share = one < 1 ? (many - one) / (1 - one) : 0;
  const double read = weights->read_bytes + (weights->bytes - weights->read_bytes) * share + (kv ? kv->bytes : 0);

  auto pooled = efficiency(decode_, variant.engine + (is_mixture(model) ? mixture : ""), kind, bits);
  const bool borrowed = is_mixture(model) && !pooled;
  if (borrowed) pooled = efficiency(decode_, variant.engine, kind, bits);
  const Distribution eta = pooled ? pooled->log : Distribution{std::log(decode_guess), guess_sd, 4};
  const double moving = read / (std::exp(eta.mean) * *hardware.device.bandwidth * devices);
  const auto peak = peak_rate(hardware.device, scheme.activation_dtype);
  const double computing = peak ? 2 * weights->active_params * sequences / (prefill_guess * *peak * devices) : 0;
  const double fixed = seconds_per_layer(variant.engine, kind) * layers_of(model);
  const double step = std::max(moving, computing) + fixed;
  Rate rate;
  rate.basis = pooled ? Basis::transferred : Basis::prior;
  rate.rows = pooled ? pooled->rows : 0;
  // η moves only its own share of the step; batches and several devices leave the fitted ground.
  double extra = 0.1;
  if (load.concurrency > 1) extra = std::hypot(extra, 0.3);
  if (hardware.count > 1) extra = std::hypot(extra, 0.3);
  if (borrowed) extra = std::hypot(extra, 0.5);
  rate.log = Distribution{std::log(sequences / step), eta.sd * (step - fixed) / step, eta.df}.widened(extra);
  if (pooled) rate.sources = pooled->sources;
  return rate;
}

std::optional<Rate> SpeedEstimator::first_token(const Model& model, const Variant& variant, const Hardware& hardware,
                                                Load load) const {
  const auto weights = estimate_weights(model, variant);
  const auto scheme = describe_scheme(variant.scheme);
  const auto peak = peak_rate(hardware.device, scheme.activation_dtype);
  if (!weights || !peak || !hardware.device.bandwidth) return std::nullopt;
  const auto kind = hardware_class(hardware.device);
  const auto devices = parallel_devices(variant.engine, hardware.count);
  const auto pooled =
      efficiency(prefill_, variant.engine + (is_mixture(model) ? mixture : ""), kind, bits_class(scheme.weight_bits));
  const Distribution eta = pooled ? pooled->log : Distribution{std::log(prefill_guess), guess_sd, 4};
  const double computing =
      2 * weights->active_params * static_cast<double>(load.input_tokens) / (std::exp(eta.mean) * *peak * devices);
  const double moving = weights->bytes / (decode_guess * *hardware.device.bandwidth * devices);
  const double fixed = seconds_per_layer(variant.engine, kind) * layers_of(model);
  Rate rate;
  rate.basis = pooled ? Basis::transferred : Basis::prior;
  rate.rows = pooled ? pooled->rows : 0;
  rate.log = Distribution{std::log(std::max(computing, moving) + fixed), eta.sd, eta.df}.widened(0.15);
  if (pooled) rate.sources = pooled->sources;
  return rate;
}

std::optional<Prediction> SpeedEstimator::predict(const SpeedCase& question) const {
  const auto& load = question.load;
  const bool first = question.quantity == "ttft" || question.quantity == "prefill";
  const auto rate = first ? first_token(question.model, question.variant, question.hardware, load)
                          : decode(question.model, question.variant, question.hardware, load);
  if (!rate) return std::nullopt;
  Distribution answer = rate->log;
  if (question.quantity == "prefill") {
    answer = answer.scaled(std::log(static_cast<double>(std::max<std::int64_t>(1, load.input_tokens))), -1);
  } else if (question.quantity == "tpot") {
    answer = answer.scaled(std::log(static_cast<double>(load.concurrency)), -1);
  }
  return Prediction{answer, rate->basis, rate->rows, rate->sources, "two-term roofline"};
}

}  // namespace advisor
