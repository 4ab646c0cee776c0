#include "estimate/estimator.h"

#include <cmath>
#include <utility>

#include "core/units.h"
#include "estimate/cost.h"
#include "estimate/memory.h"
#include "estimate/score_value.h"

namespace advisor {

namespace {

NamedEstimate known(std::string name, std::string unit, Estimate estimate, std::string how) {
  return {std::move(name), "", std::move(unit), std::move(estimate), std::move(how), ""};
}

NamedEstimate gap(std::string name, std::string unit, std::string missing) {
  return {std::move(name), "", std::move(unit), std::nullopt, "", std::move(missing)};
}

Estimate baseline_estimate(const Baseline& own, double level) {
  Estimate estimate = to_estimate({own.value, own.sd, 30}, own.basis, own.n, own.sources, level);
  estimate.low = own.quantile((1 - level) / 2);
  estimate.high = own.quantile((1 + level) / 2);
  return estimate;
}

std::string baseline_text(const Baseline& own, const ScoreTable& table) {
  if (own.predicted()) return table.task + ", no score is published: " + own.how;
  return table.task + " as reported by " + table.harness + (table.mode.empty() ? "" : " (" + table.mode + ")");
}

}  // namespace

Estimator::Estimator(const Knowledge& knowledge)
    : knowledge_(knowledge), quality_(knowledge), scores_(knowledge), speed_(knowledge) {}

void Estimator::add_quality(const Point& point, const Task& task, std::vector<NamedEstimate>& out) const {
  const auto add = [&](NamedEstimate estimate) {
    estimate.task = task.id;
    out.push_back(std::move(estimate));
  };
  // A type of task is judged by all tasks of its family, and scored by the benchmark that stands for it.
  const bool type = task.kind == "type";
  const auto table = scores_.choose(point.model, task);
  const auto own = table ? scores_.baseline(point.model, *table) : std::nullopt;
  const std::string benchmark = table ? table->task : type ? task.benchmark : task.id;
  Yardstick yardstick{type ? "" : task.id, task.family, task.chance.value_or(0)};
  for (const auto& other : knowledge_.tasks)
    if (other.id == benchmark) yardstick.chance = other.chance.value_or(0);
  if (own) yardstick.baseline = own->value;
  const auto kept = quality_.retention(point.model, point.variant, yardstick);
  const std::string unit = "fraction", no_score = "a score of " + point.model.id + " on " + benchmark;
  if (own) {
    add(known("quality.baseline", unit, baseline_estimate(*own, point.level), baseline_text(*own, *table)));
  } else {
    add(gap("quality.baseline", unit, no_score));
  }
  if (!kept) {
    const std::string missing =
        "a measurement of " + point.variant.technique + " " + point.variant.scheme + " on " + task.family + " tasks";
    add(gap("quality.retention", unit, missing));
    add(gap("quality.value", unit, missing));
    return;
  }
  add(known("quality.retention", unit,
            to_estimate(own_share(kept->recovery, own, yardstick.chance), kept->basis, kept->rows, kept->sources,
                        point.level),
            kept->how));
  if (own) {
    add(known("quality.value", unit, value_estimate(*kept, *own, yardstick.chance, point.level),
              "the baseline and what is kept of it above chance"));
  } else {
    add(gap("quality.value", unit, no_score));
  }
}

void Estimator::add_memory(const Point& point, std::vector<NamedEstimate>& out) const {
  const auto memory =
      estimate_memory(point.model, point.variant, point.hardware, point.context, point.load.concurrency);
  if (!memory) {
    out.push_back(gap("memory.total", "bytes", "the number of parameters of " + point.model.id));
    return;
  }
  const std::string model = point.model.url.empty() ? point.model.id : point.model.url;
  auto all = memory->sources;
  all.push_back(model);
  const auto add = [&](const char* name, double mean, double sd, std::vector<std::string> sources, std::string how) {
    out.push_back(known(name, "bytes", to_estimate({mean, sd, 30}, Basis::modelled, 1, std::move(sources), point.level),
                        std::move(how)));
  };
  const double machine = point.hardware.device.memory;
  add("memory.weights", memory->weights, memory->weights_sd, {model}, "counted from the " + memory->basis);
  add("memory.kv_cache", memory->kv_cache, memory->kv_cache_sd, {model},
      std::to_string(memory->concurrency) + " x " + std::to_string(memory->context) + " tokens, " + point.variant.kv);
  add("memory.overhead", memory->overhead, memory->overhead_sd, all, memory->assumed);
  if (memory->host) {
    const auto& host = *memory->host;
    const std::string what = host.kind == "experts" ? "experts of " : "";
    add("memory.host", host.weights + host.kv_cache + host.overhead, 0.01 * host.weights, all,
        what + std::to_string(host.layers) + " of " + std::to_string(host.of) +
            " layers in the host's memory; the other numbers are of the devices");
  }
  add("memory.total", memory->total, std::hypot(memory->weights_sd, memory->kv_cache_sd, memory->overhead_sd), all,
      "the three together, over all devices");
  if (machine <= 0) return;
  add("memory.available", memory->available, memory->available_sd, all, "what " + point.variant.engine + " may fill");
  const double fits = memory_distribution(*memory).probability_below(memory->available);
  out.push_back(known("memory.fits", "probability", to_estimate({fits, 0, 30}, Basis::modelled, 1, all, point.level),
                      "chance that the total is within what is available"));
}

void Estimator::add_speed(const Point& point, std::vector<NamedEstimate>& out) const {
  const auto memory =
      estimate_memory(point.model, point.variant, point.hardware, point.context, point.load.concurrency);
  const auto placed = memory && memory->host ? placement(point.model, point.variant, *memory->host) : std::nullopt;
  const auto add = [&](const char* name, const char* unit, const std::optional<Rate>& rate, const std::string& why) {
    if (rate) {
      const std::string version =
          rate->engine_version.empty() ? "" : "; newest " + point.variant.engine + " measured: " + rate->engine_version;
      out.push_back(known(name, unit, to_log_estimate(rate->log, rate->basis, rate->rows, rate->sources, point.level),
                          rate->how + version));
    } else {
      out.push_back(gap(name, unit, why));
    }
  };
  const bool machine = point.hardware.device.memory > 0 || point.hardware.device.bandwidth.has_value();
  const std::string why = !machine ? "a machine: --hardware"
                                   : "the size of the model, the bandwidth and rates of the machine, and a measured "
                                     "run of " +
                                         point.variant.engine + " on its kind";
  std::optional<Rate> decode, first, token;
  if (machine) {
    using Q = SpeedQuantity;
    const double arriving = point.load.requests_per_second;
    const SpeedEstimator::Asked asked[] = {{Q::decode, arriving}, {Q::first_token, arriving}, {Q::per_token, arriving}};
    const auto rates = placed ? speed_.with_host(point.model, point.variant, point.hardware, point.load, asked, *placed)
                              : speed_.rates(point.model, point.variant, point.hardware, point.load, asked);
    decode = rates[0], first = rates[1], token = rates[2];
  }
  add("decode_tokens_per_second", "tokens/s", decode, why);
  add("tpot_seconds", "seconds", token, why);
  add("ttft_seconds", "seconds", first, why);
  const auto price = hourly_cost(knowledge_, point.hardware, {.user_usd_per_hour = point.usd_per_hour});
  if (!price) {
    out.push_back(gap("usd_per_hour", "USD/h", machine ? "a price of the machine: --price" : "a machine: --hardware"));
    return;
  }
  out.push_back(known("usd_per_hour", "USD/h", *price, point.usd_per_hour ? "your own price" : "list prices"));
  if (!decode) {
    out.push_back(gap("usd_per_million_tokens", "USD/1e6 tokens", why));
    return;
  }
  out.push_back(
      known("usd_per_million_tokens", "USD/1e6 tokens", cost_per_million(*price, *decode, point.utilisation),
            "generated tokens, the machine busy " + format_number(100 * point.utilisation) + " % of the hour"));
}

std::vector<NamedEstimate> Estimator::at(const Point& point) const {
  std::vector<NamedEstimate> out;
  for (const Task& task : point.tasks) add_quality(point, task, out);
  add_memory(point, out);
  add_speed(point, out);
  return out;
}

}  // namespace advisor
