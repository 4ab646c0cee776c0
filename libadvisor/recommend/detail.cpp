#include "recommend/detail.h"

#include <algorithm>
#include <cmath>

#include "core/units.h"
#include "estimate/cost.h"
#include "estimate/memory.h"
#include "recommend/accuracy.h"

namespace advisor {

namespace {

const CatalogTreatment& treatment_of(const Toolbox& tools, const Cell& cell) {
  return tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)];
}

std::string placement_text(const MemoryEstimate& memory) {
  const auto& host = *memory.host;
  const auto bytes = [](double value) { return format_quantity(value, Dimension::bytes); };
  const std::string layers = std::to_string(host.layers) + " of " + std::to_string(host.of) + " layers";
  return (host.kind == "experts" ? "the experts of the first " + layers : "the first " + layers + ", whole") +
         " and the embedding table lie in the host's memory (" + bytes(host.weights + host.kv_cache) + " of " +
         bytes(host.available) + "), " +
         (host.kind == "experts" ? "attention, the other experts, the output head and the KV cache"
                                 : "the other layers, their KV cache and the output head") +
         " on the device (" + bytes(memory.total) + " of " + bytes(memory.available) + ")";
}

/// Of a cell of which a part lies with the host.
const LayerBytes& layers_of(const CatalogModel& model, const Cell& cell) {
  return *std::find_if(model.applied.begin(), model.applied.end(), [&](const Applied& one) {
            return one.treatment == cell.treatment;
          })->layers;
}

/// Sources, sample and basis of a speed are looked up in words; its numbers are the cell's.
Estimate with(const Distribution& log, const Rate& rate) {
  return to_log_estimate(log, rate.basis, rate.rows, rate.sources);
}

void add_speeds(const Toolbox& tools, const Question& q, const Cell& cell, Option& option) {
  if (!cell.has_speed) return;
  const auto& model = *q.at(tools, cell.model).model;
  const auto& workload = q.profile.workload;
  const Load load{workload.input_tokens, workload.output_tokens, workload.concurrency};
  const double arriving = workload.requests_per_second.value_or(0);
  using Q = SpeedQuantity;
  const SpeedEstimator::Asked questions[] = {{Q::decode, 0}, {Q::first_token, arriving}, {Q::per_token, arriving}};
  const auto& speed = tools.estimator.speed();
  const auto rates = cell.offloaded > 0
                         ? speed.with_host(model, option.variant, q.hardware, load, questions,
                                           place(layers_of(q.at(tools, cell.model), cell), cell.offloaded))
                         : speed.rates(model, option.variant, q.hardware, load, questions);
  const auto &decode = rates[0], &first = rates[1], &token = rates[2];
  if (decode) {
    option.decode_tokens_per_second = with(cell.log_decode, *decode);
    option.evidence.push_back({"measurement", "speed", "speed: " + decode->how, decode->sources});
  }
  if (token) option.tpot_seconds = with(cell.log_tpot, *token);
  if (first) option.ttft_seconds = cell.has_ttft ? with(cell.log_ttft, *first) : first->estimate();
  if (!option.usd_per_hour || !decode) return;
  Rate rate = *decode;
  rate.log = cell.log_decode;
  option.usd_per_million_tokens = cost_per_million(*option.usd_per_hour, rate, q.profile.cost.utilisation);
}

void add_probabilities(const Chances& chances, Option& option) {
  const std::pair<const char*, const Chance&> all[] = {
      {"memory", chances.memory}, {"accuracy", chances.accuracy}, {"ttft", chances.ttft},
      {"tpot", chances.tpot},     {"budget", chances.budget},     {"effort", chances.effort}};
  for (const auto& [limit, chance] : all)
    if (chance) option.probabilities[limit] = *chance;
}

void add_rules(const Toolbox& tools, CellJudge& judge, const Cell& cell, Option& option, std::vector<Gap>* undecided) {
  const auto findings = tools.rules.apply(judge.facts_of(cell), "variant");
  if (undecided != nullptr)
    for (const auto& unknown : findings.unknowns)
      if (unknown.kind == "forbid") undecided->push_back(unknown.gap());
  for (const auto& warn : findings.warns) {
    option.warnings.push_back(warn.reason);
    option.evidence.push_back(warn.evidence());
  }
}

}  // namespace

Variant variant_of(const Toolbox& tools, const Question& q, const Cell& cell) {
  Variant variant = treatment_of(tools, cell).choice.variant;
  variant.model = q.at(tools, cell.model).model->id;
  return variant;
}

std::string id_of(const Toolbox& tools, const Question& q, const Cell& cell) {
  const auto& model = q.at(tools, cell.model).model->id;
  const auto& tail = treatment_of(tools, cell).id_tail;
  std::string id;
  id.reserve(model.size() + tail.size());
  id.append(model).append(tail);
  return id;
}

std::string device_name(const Hardware& hardware) {
  const auto& device = hardware.device;
  return std::to_string(hardware.count) + " x " +
         (!device.name.empty() ? device.name
          : !device.id.empty() ? device.id
                               : "this hardware");
}

MemoryEstimate memory_words(const Toolbox& tools, const Question& q, CellJudge& judge, const Cell& cell) {
  const auto& workload = q.profile.workload;
  const auto variant = variant_of(tools, q, cell);
  auto words =
      estimate_memory(*q.at(tools, cell.model).model, variant, q.hardware, workload.context, workload.concurrency)
          .value_or(MemoryEstimate{});
  judge.facts_of(cell);
  if (!q.at(tools, cell.model).has_size) return {};
  const auto& numbers = judge.memory();
  words.total = numbers.total, words.weights = numbers.weights, words.weights_sd = numbers.weights_sd;
  words.overhead = numbers.overhead, words.overhead_sd = numbers.overhead_sd;
  words.kv_cache = numbers.kv_cache, words.kv_cache_sd = numbers.kv_cache_sd;
  words.activations = numbers.activations;
  words.host = judge.host_share();
  return words;
}

Option describe(const Toolbox& tools, const Question& q, CellJudge& judge, const Cell& cell,
                std::vector<Gap>* undecided) {
  Option option;
  option.action = name(cell.action);
  option.variant = variant_of(tools, q, cell);
  option.memory = memory_words(tools, q, judge, cell);
  if (option.memory.host) option.evidence.push_back({"placement", "host", placement_text(option.memory), {}});
  const auto& quality = judge.quality();  // of memory_words()
  option.quality = quality.estimate;
  if (option.quality)
    option.evidence.push_back({"measurement", q.task.family, quality.how, option.quality->value.sources});
  if (!quality.baseline.empty())
    option.evidence.push_back({"prediction", option.quality->task, quality.baseline, option.quality->value.sources});
  option.usd_per_hour = judge.usd_per_hour();
  if (!option.usd_per_hour && q.profile.budget.usd_per_hour)
    option.warnings.push_back("no price of " + device_name(q.hardware) +
                              " is known: budget.usd_per_hour is not checked");
  add_speeds(tools, q, cell, option);
  add_probabilities(cell.chances, option);
  add_rules(tools, judge, cell, option, undecided);
  return option;
}

}  // namespace advisor
