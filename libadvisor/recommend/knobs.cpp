#include "recommend/knobs.h"

#include <algorithm>
#include <cmath>

#include "core/fields.h"
#include "core/units.h"
#include "recommend/question.h"

namespace advisor {

namespace {

constexpr double gib = 1024.0 * 1024.0 * 1024.0;
/// A question with a thousandth of the limit, or a machine of more than 64 times the memory, is another question.
constexpr int most_decades = 3;
constexpr double most_memory = 64, most_host_memory = 4096;  // times as much; GiB
constexpr int most_doublings = 4;                            ///< of devices: 16 times as many
constexpr std::int64_t context_step = 256;                   ///< tokens

/// The i-th number of three digits above `from`: 0.999, 1.00, 1.01 ...
double three_digits(double from, int i) {
  int exponent = static_cast<int>(std::floor(std::log10(from)));
  int digits = static_cast<int>(std::floor(from / std::pow(10, exponent - 2) + 1e-9)) + i;
  for (; digits >= 1000; ++exponent) digits -= 900;
  return std::stod(std::to_string(digits) + "e" + std::to_string(exponent - 2));
}

/// 900 steps are a factor of ten.
Knob upwards(const std::string& field, double from, double least) {
  const double base = std::max(from, least);
  const double decades = std::min<double>(most_decades, std::floor(std::log10(find_field(field).max / base)));
  return {field, from, static_cast<int>(900 * std::max(0.0, decades)),
          [base](int step) { return three_digits(base, step); }};
}

/// By thousandths (or hundredths) down to `least`.
Knob downwards(const std::string& field, double from, double unit, double least) {
  const auto parts = [unit](double value) { return static_cast<int>(std::ceil(value * unit - 1e-9)); };
  const int top = parts(from);
  return {field, from, std::max(0, top - parts(least)), [=](int step) { return (top - step) / unit; }};
}

Knob memory_of(const Hardware& hardware) {
  const double from = hardware.device.memory / gib;
  return {"hardware.memory", hardware.device.memory, static_cast<int>(900 * std::log10(most_memory)),
          [from](int step) { return three_digits(from, step) * gib; }};
}

/// Where weights can lie in it. Nobody has more than 4 TiB beside a device; where it is not known it may be any.
Knob host_memory_of(const Profile& profile, const Hardware& hardware) {
  const bool can = has_host_memory(hardware) && (profile.engine == "any" || profile.engine == "llama.cpp");
  const double from = std::max(1.0, hardware.host_memory.value_or(0) / gib);
  const int steps = can ? std::max(0, static_cast<int>(900 * std::log10(most_host_memory / from))) : 0;
  return {"hardware.host_memory", hardware.host_memory.value_or(0), steps,
          [from](int step) { return three_digits(from, step) * gib; }};
}

Knob context_of(const Profile& profile) {
  const auto& workload = profile.workload;
  const auto least = std::max<std::int64_t>(1, workload.input_tokens + workload.output_tokens);
  const auto top = (workload.context - 1) / context_step;  // multiples below what is set
  const auto steps = workload.context > least ? top - least / context_step + 1 : 0;
  return {"workload.context", static_cast<double>(workload.context), static_cast<int>(steps),
          [=](int step) { return static_cast<double>(std::max(least, (top - step + 1) * context_step)); }};
}

std::string more_memory(double bytes) {
  return format_number(std::ceil(bytes / gib * 10 - 1e-6) / 10) + " GiB more memory per device";
}

std::string in_percent(double value) { return format_number(std::round(value * 1000) / 10) + " %"; }

}  // namespace

std::vector<Knob> knobs(const Situation& now) {
  const auto& p = now.profile;
  std::vector<Knob> all;
  const auto accuracy = [&](const auto& limit, const std::string& prefix) {
    if (limit.min) all.push_back(downwards(prefix + "accuracy.min", *limit.min, 1000, 0.001));
    if (limit.retain) all.push_back(downwards(prefix + "accuracy.retain", *limit.retain, 1000, 0.001));
  };
  const auto by_default = [&](const auto& limit, bool critical, const std::string& prefix) {
    if (p.accuracy.min || p.accuracy.retain || limit.min || limit.retain) return;
    all.push_back(critical ? downwards(prefix + "accuracy.min", default_critical_min, 1000, 0.001)
                           : downwards(prefix + "accuracy.retain", default_retain, 1000, 0.001));
  };
  for (std::size_t i = 0; i < p.tasks.size(); ++i) {
    const auto prefix = "tasks." + std::to_string(i) + ".";
    accuracy(p.tasks[i].accuracy, prefix);
    by_default(p.tasks[i].accuracy, p.tasks[i].task.critical, prefix);
  }
  accuracy(p.accuracy, "");
  if (p.tasks.empty()) by_default(p.accuracy, p.task.critical, "");
  if (p.slo.ttft) all.push_back(upwards("slo.ttft", *p.slo.ttft, 0));
  if (p.slo.tpot) all.push_back(upwards("slo.tpot", *p.slo.tpot, 0));
  if (p.budget.usd_per_hour) all.push_back(upwards("budget.usd_per_hour", *p.budget.usd_per_hour, 0.01));
  if (p.budget.hours_to_compress) all.push_back(upwards("budget.hours_to_compress", *p.budget.hours_to_compress, 0.01));
  all.push_back(downwards("confidence", p.confidence, 100, find_field("confidence").min));
  all.push_back(memory_of(now.hardware));
  all.push_back(host_memory_of(p, now.hardware));
  all.push_back(context_of(p));
  const auto concurrency = static_cast<double>(p.workload.concurrency);
  all.push_back({"workload.concurrency", concurrency, static_cast<int>(p.workload.concurrency - 1),
                 [=](int step) { return concurrency - step; }});
  const auto count = static_cast<double>(now.hardware.count);
  // Machines and tensor parallelism come in powers of two.
  all.push_back({"hardware.count", count, most_doublings, [=](int step) { return std::ldexp(count, step); }});
  std::erase_if(all, [](const Knob& knob) { return knob.steps == 0; });
  return all;
}

int first_beyond(const Knob& knob, double wanted) {
  const bool up = knob.value(knob.steps) > knob.from;
  int low = 1, high = knob.steps + 1;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    const double value = knob.value(middle);
    (up ? value >= wanted : value <= wanted) ? high = middle : low = middle + 1;
  }
  return low;
}

int least_step(int steps, int guess, const std::function<bool(int)>& holds) {
  int low = 1, high = steps;  // the answer is among them
  if (guess >= 1 && guess < steps) {
    if (!holds(guess)) {
      low = guess + 1;
    } else if (guess == 1 || !holds(guess - 1)) {
      return guess;
    } else {
      high = guess - 1;
    }
  }
  if (high == steps && !holds(steps)) return 0;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    holds(middle) ? high = middle : low = middle + 1;
  }
  return high;
}

Situation changed(const Situation& now, const std::vector<Device>& devices, const std::string& field,
                  const std::string& to) {
  Situation then = now;
  set_field(then.profile, field, to);
  const auto& wanted = then.profile.hardware;
  if (field == "hardware.count") then.hardware.count = wanted.count;
  if (field == "hardware.memory") then.hardware.device.memory = *wanted.memory;
  if (field == "hardware.host_memory") then.hardware.host_memory = wanted.host_memory;
  if (field == "hardware.id") {
    then.hardware.device =
        *std::find_if(devices.begin(), devices.end(), [&](const Device& device) { return device.id == to; });
    then.hardware.count = wanted.count;
    then.hardware.source = "catalog";
  }
  return then;
}

std::string say(const Situation& now, const Situation& then, const Knob& knob) {
  const auto& field = knob.field;
  const double number = get_number(then.profile, field).value_or(0);
  const std::string text = get_field(then.profile, field);
  if (field.ends_with("accuracy.min")) return "if " + in_percent(number) + " accuracy suffices";
  if (field.ends_with("accuracy.retain"))
    return "if " + in_percent(number) + " of the accuracy of " + now.profile.model + " suffices";
  if (field == "slo.ttft") return "if the first token may take " + format_quantity(number, Dimension::seconds);
  if (field == "slo.tpot") return "if a token may take " + format_quantity(number, Dimension::seconds);
  if (field == "budget.usd_per_hour") return "with a budget of " + text;
  if (field == "budget.hours_to_compress") return "if compression may take " + text;
  if (field == "confidence") return "at a confidence of " + in_percent(number);
  if (field == "hardware.memory") return "with " + more_memory(number - now.hardware.device.memory);
  if (field == "hardware.host_memory")
    return "with " + format_number(std::ceil(number / gib * 10 - 1e-6) / 10) +
           " GiB of host memory, where a part of the weights would lie";
  if (field == "workload.context") return "at a context of " + text;
  if (field == "workload.concurrency")
    return number == 1 ? "with one request at a time" : "with " + text + " requests at the same time";
  return "with " + text + " devices";
}

}  // namespace advisor
