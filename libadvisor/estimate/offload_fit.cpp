#include "estimate/offload_fit.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "estimate/memory.h"
#include "estimate/pooling.h"
#include "estimate/speed_fit.h"
#include "estimate/speed_table.h"

namespace advisor {

namespace {

/// PCI Express 4.0 with 16 lanes, where the catalog does not say.
constexpr double usual_link = 31.5e9;
/// From one run to the next of a setup that is described as far as these are: what throughput.cpp has for sources.
constexpr double run_noise = 0.1;
/// A row whose host takes less than this share of the time says nothing that the error of the device's part does not
/// drown.
constexpr double least_share = 0.15;
/// Threads alone: llama.cpp's default against the best on a hybrid processor, 14.1 and 29.5 tokens/s of gpt-oss-120b
/// with all experts in the host's memory (github.com/chrisdesrochers/MoEArc, docs/announcement; -t 4 and -t 16). Nobody
/// states his threads, so half of that factor is the least spread between publishers.
const double least_between = std::pow(std::log(29.54 / 14.11) / 2, 2);
constexpr double flat = 100;  ///< variance of a prior that says nothing
constexpr double df = 6;      ///< of what a handful of publishers tell

const Model* find_model(const Knowledge& knowledge, const std::string& id) {
  const auto found = std::find_if(knowledge.models.begin(), knowledge.models.end(),
                                  [&](const Model& model) { return model.id == id; });
  return found == knowledge.models.end() ? nullptr : &*found;
}

bool is_mixture(const Model& model) {
  return model.active_params && model.params && *model.active_params < 0.9 * *model.params;
}

double link_of(const Device& device) { return device.host_link.value_or(usual_link); }

/// Of the publishers' means around their own: Paule and Mandel's equation, solved by bisection.
double between_publishers(std::span<const Sample> samples) {
  std::map<std::string, std::pair<double, double>> studies;  // weight, weighted sum
  for (const auto& sample : samples) {
    studies[sample.source].first += 1 / sample.variance;
    studies[sample.source].second += sample.value / sample.variance;
  }
  if (studies.size() < 2)
    return 0.3 * 0.3;  // one publisher tells nothing of the next; that of the speed model's devices
  const auto excess = [&](double between) {
    double weights = 0, sum = 0, squares = 0;
    for (const auto& [name, study] : studies) {
      const double weight = 1 / (between + 1 / study.first);
      weights += weight, sum += weight * study.second / study.first;
    }
    for (const auto& [name, study] : studies) {
      const double off = study.second / study.first - sum / weights;
      squares += off * off / (between + 1 / study.first);
    }
    return squares - static_cast<double>(studies.size() - 1);
  };
  double low = 0, high = 4;
  if (excess(low) <= 0) return 0;
  for (int turn = 0; turn < 60; ++turn) {
    const double middle = (low + high) / 2;
    (excess(middle) > 0 ? low : high) = middle;
  }
  return high;
}

FittedTerm term_of(const char* term, const char* level, const Pooled& pooled, double between) {
  return {"offload", term, level, pooled.mean, std::sqrt(pooled.variance + between), pooled.rows, pooled.sources};
}

/// As samples of their publishers; the sources stay those of the rows.
struct Rows {
  std::vector<Sample> samples;
  std::set<std::string> sources;
  void add(const OffloadObservation& row) {
    samples.push_back({row.value, row.variance, row.publisher});
    sources.insert(row.source);
  }
  FittedTerm term(const char* name, const char* level, const PoolPrior& prior) const {
    auto pooled = pool(samples, prior);
    pooled.sources.assign(sources.begin(), sources.end());
    return term_of(name, level, pooled, prior.between);
  }
};

struct Setup {
  Model model;
  Variant variant;
  Hardware hardware;
  Placement placed;
  WeightEstimate weights;
};

std::optional<Setup> setup_of(const Knowledge& knowledge, const OffloadMeasurement& row, std::string& why) {
  Setup setup;
  const auto refuse = [&](std::string reason) {
    why = std::move(reason);
    return std::nullopt;
  };
  const auto* model = find_model(knowledge, row.model);
  if (model == nullptr) return refuse("model is in no catalog");
  setup.model = *model;
  const auto device = std::find_if(knowledge.devices.begin(), knowledge.devices.end(),
                                   [&](const Device& one) { return one.id == row.hardware; });
  if (device == knowledge.devices.end()) return refuse("hardware is in no catalog");
  setup.hardware = {*device, row.hardware_count, "catalog"};
  setup.variant.model = row.model;
  setup.variant.engine = row.engine;
  setup.variant.format = "gguf";
  setup.variant.scheme = row.format;
  const auto layout = layout_of(*model);
  if (!layout) return refuse("size of the model is not known");
  const auto format = weight_format(setup.variant, *model);
  const auto bytes = layer_bytes(*layout, format);
  if (!bytes) return refuse("layers or experts of the model are not known");
  const bool experts = row.cpu_moe_layers.has_value();
  if (experts != (bytes->kind == OffloadKind::experts)) return refuse("not the kind of offload that the model has");
  // -ngl counts the output layer too.
  setup.placed = place(*bytes, experts ? *row.cpu_moe_layers : bytes->layers() + 1 - *row.gpu_layers);
  if (setup.placed.layers <= 0) return refuse("nothing lies with the host");
  setup.weights = estimate_weights(*model, *layout, format);
  return setup;
}

}  // namespace

std::optional<OffloadObservation> observe_offload(const Knowledge& knowledge, const OffloadMeasurement& row,
                                                  std::span<const FittedTerm> speed, std::string* why_not) {
  std::string why;
  const auto refuse = [&](std::string reason) {
    if (why_not != nullptr) *why_not = std::move(reason);
    return std::nullopt;
  };
  const bool link = row.metric == "prefill_tok_s";
  if (!link && row.metric != "decode_tok_s") return refuse(row.metric + " is no rate of decoding or of prompts");
  if (!row.suspect.empty()) return refuse("marked as suspect");
  if (!link && !row.host_bandwidth) return refuse("bandwidth of the host's memory is not stated");
  const auto setup = setup_of(knowledge, row, why);
  if (!setup) return refuse(why);
  const auto& model = setup->model;
  const Load load{row.input_tokens.value_or(512), row.output_tokens.value_or(128), 1};
  const auto kv = kv_layout(model);
  const SpeedBytes bytes{setup->weights.bytes,
                         setup->weights.read_bytes,
                         setup->weights.active_params,
                         kv ? &*kv : nullptr,
                         2,
                         usable_memory(row.engine, setup->hardware),
                         &setup->placed,
                         nullptr};
  const auto work = speed_work(model, bytes, describe_scheme(setup->variant.scheme), engine_traits(row.engine),
                               setup->hardware, load);
  const SpeedTable table(speed);
  const auto levels = speed_levels(setup->variant, setup->hardware.device, is_mixture(model));
  const auto rates = table.setup(levels);
  if (!work || !rates) return refuse("the device's part cannot be estimated");
  const auto quantity = link ? SpeedQuantity::prefill : SpeedQuantity::decode;
  const double device = std::exp(log_seconds(*work, rates->rates, quantity).value);  // per token
  const double host = 1 / row.value - device;
  if (host < least_share / row.value) return refuse("the host takes too little of the time to tell");
  OffloadObservation seen;
  seen.kind = setup->placed.kind, seen.link = link;
  seen.source = row.source, seen.publisher = row.source;
  for (const auto& source : knowledge.sources)
    if (source.id == row.source && !source.publisher.empty()) seen.publisher = source.publisher;
  // Bytes per token of output, or per token of a chunk: as much as it touches.
  auto one = *work;
  one.host_rate = one.host_link = 1;
  const double reached = link ? row.micro_batch.value_or(512) : 1;
  const double touched = link ? (setup->placed.host_read +
                                 setup->placed.host_rest * (1 - std::pow(1 - work->used, std::max(0.0, reached - 1)))) /
                                    std::min(reached, static_cast<double>(load.input_tokens))
                              : setup->placed.host_read + work->host_cache;
  seen.value = std::log(touched / host / (link ? link_of(setup->hardware.device) : *row.host_bandwidth));
  const double spread = table.spread(speed_kind(*work, quantity, is_mixture(model)), row.engine).added;
  const double of_device = spread * device / host, of_run = run_noise / row.value / host;
  seen.variance = of_device * of_device + of_run * of_run;
  return seen;
}

std::vector<FittedTerm> fit_offload(const Knowledge& knowledge, std::span<const FittedTerm> speed) {
  Rows all, experts, layers, link;
  for (const auto& row : knowledge.offload) {
    const auto seen = observe_offload(knowledge, row, speed);
    if (!seen) continue;
    if (seen->link) {
      link.add(*seen);
      continue;
    }
    all.add(*seen);
    (seen->kind == OffloadKind::experts ? experts : layers).add(*seen);
  }
  std::vector<FittedTerm> terms;
  if (!all.samples.empty()) {
    const double between = std::max(least_between, between_publishers(all.samples));
    const auto common = pool(all.samples, {0, flat, between});
    const PoolPrior prior{common.mean, common.variance + between, between};
    terms.push_back(experts.term("efficiency", "experts", prior));
    terms.push_back(layers.term("efficiency", "layers", prior));
  }
  if (!link.samples.empty()) terms.push_back(link.term("link", "", {0, flat, between_publishers(link.samples)}));
  return terms;
}

OffloadTable::OffloadTable(std::span<const FittedTerm> terms) {
  std::set<std::string> sources;
  for (const auto& term : terms) {
    auto& place = term.term == "link" ? link_ : term.level == "experts" ? experts_ : layers_;
    place = Distribution{term.value, term.sd, df};
    rows_ += term.rows;
    sources.insert(term.sources.begin(), term.sources.end());
  }
  sources_.assign(sources.begin(), sources.end());
}

std::optional<HostRates> OffloadTable::rates(const Hardware& hardware, OffloadKind kind) const {
  const auto& efficiency = kind == OffloadKind::experts ? experts_ : layers_;
  if (kind == OffloadKind::none || !efficiency || !link_ || !has_host_memory(hardware)) return std::nullopt;
  HostRates rates{*efficiency, *link_};
  rates.log_read.mean += std::log(hardware.host_bandwidth.value_or(assumed_host_bandwidth));
  if (!hardware.host_bandwidth) rates.log_read.sd = std::hypot(rates.log_read.sd, assumed_host_spread);
  rates.log_link.mean += std::log(link_of(hardware.device));
  return rates;
}

}  // namespace advisor
