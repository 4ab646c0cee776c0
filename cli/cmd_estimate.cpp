#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"
#include "core/units.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;

/// Options that set a field of the profile as they are.
constexpr std::array<std::pair<const char*, const char*>, 10> field_options{
    {{"model", "model"},
     {"engine", "engine"},
     {"hardware", "hardware.id"},
     {"count", "hardware.count"},
     {"host-memory", "hardware.host_memory"},
     {"host-bandwidth", "hardware.host_bandwidth"},
     {"context", "workload.context"},
     {"input", "workload.input_tokens"},
     {"output", "workload.output_tokens"},
     {"concurrency", "workload.concurrency"}}};

po::options_description options_of_estimate() {
  const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
  po::options_description options("options");
  options.add_options()("model", text("ID|DIR")->required(), "catalog id or checkpoint folder")(
      "technique", text("T"), "rtn, gptq, awq, fp8, gguf-k, wanda ... (default: by the scheme)")(
      "scheme", text("S"), "W4A16-g128, W8A8-fp8, Q4_K_M ... (default: W16A16, not compressed)")(
      "format", text("F"), "file format (default: by the scheme)")(
      "engine", text("E"), "vllm, sglang, tensorrt-llm, llama.cpp, transformers (default: by the format)")(
      "hardware", text("ID"), "catalog id, or 'auto' for this machine; without it nothing is said about speed")(
      "count", text("N"), "devices (default 1)")(
      "host-memory", text("BYTES"),
      "of the host: llama.cpp puts experts or layers there that the devices have no room for")(
      "host-bandwidth", text("B/S"), "of the host's memory (default 51.2 GB/s: two channels of DDR4-3200)")(
      "task", po::value<std::vector<std::string>>()->value_name("T")->composing(),
      "task type or benchmark (repeatable); without it nothing is said about quality")(
      "context", text("TOKENS"), "tokens that the KV cache holds per sequence (default 4096)")(
      "input", text("TOKENS"), "prompt (default 1024)")("output", text("TOKENS"), "answer (default 256)")(
      "concurrency", text("N"), "sequences at once (default 1)")(
      "kv", text("K"), "KV cache: fp16, fp8, int8 (default fp16)")("sparsity", text("S"),
                                                                   "share of weights removed, or a pattern: 0.5, 2:4")(
      "price", po::value<double>()->value_name("USD/H"), "your own price of the whole machine")(
      "utilisation", po::value<double>()->value_name("SHARE"), "share of the hour with tokens produced (default 0.5)")(
      "level", po::value<double>()->value_name("P"), "of the intervals (default 0.9)")(
      "set", po::value<std::vector<std::string>>()->value_name("FIELD=VALUE")->composing(),
      "any other field of a profile, e.g. --set hardware.memory=20GiB (repeatable)");
  return options;
}

double share_of(const po::variables_map& values, const char* option, double fallback) {
  if (values.count(option) == 0) return fallback;
  const auto value = values[option].as<double>();
  if (!(value > 0 && value < 1) && !(std::string(option) == "utilisation" && value == 1)) {
    throw Error(ErrorCode::invalid_argument,
                std::string("--") + option + " is " + format_number(value) + "; a share between 0 and 1 is wanted");
  }
  return value;
}

void set_sparsity(Variant& variant, const std::string& text) {
  try {
    const Sparsity sparsity = parse_sparsity(text);
    variant.sparsity = sparsity.share, variant.pattern = sparsity.pattern;
  } catch (const Error& error) {
    throw Error(error.code(), std::string("--sparsity ") + error.what());
  }
}

PointRequest request_of(const po::variables_map& values) {
  PointRequest request;
  for (const auto& [option, field] : field_options)
    if (values.count(option) != 0)
      set_field(request.profile, field, std::string_view(values[option].as<std::string>()));
  for (const std::string& setting : list_of(values, "set")) {
    const auto [field, value] = split_setting(setting, "--set");
    set_field(request.profile, field, std::string_view(value));
  }
  request.variant.technique = request.variant.scheme = request.variant.format = request.variant.kv = "";
  for (auto [option, member] : {std::pair{"technique", &request.variant.technique},
                                {"scheme", &request.variant.scheme},
                                {"format", &request.variant.format},
                                {"kv", &request.variant.kv}})
    if (values.count(option) != 0) *member = values[option].as<std::string>();
  if (values.count("sparsity") != 0) set_sparsity(request.variant, values["sparsity"].as<std::string>());
  request.tasks = list_of(values, "task");
  if (values.count("price") != 0) {
    request.usd_per_hour = values["price"].as<double>();
    if (!(*request.usd_per_hour > 0))
      throw Error(ErrorCode::invalid_argument, "--price must be positive, in USD per hour of the whole machine");
  }
  if (values.count("utilisation") != 0) request.utilisation = share_of(values, "utilisation", 0.5);
  request.level = share_of(values, "level", 0.9);
  return request;
}

std::string digits(double value, const char* format) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

/// In the unit that people read: percent, GiB, ms.
std::string shown(double value, const std::string& unit) {
  if (unit == "fraction" || unit == "probability") return digits(100 * value, "%.1f") + " %";
  if (unit == "bytes") return format_quantity(value, Dimension::bytes);
  if (unit == "seconds") return format_quantity(value, Dimension::seconds);
  return digits(value, "%.4g") + " " + unit;
}

std::string sources_text(const Estimate& estimate) {
  if (estimate.sources.empty()) return "-";
  std::string text = estimate.sources.front();
  if (text.size() > 48) text = text.substr(0, 45) + "...";
  if (estimate.sources.size() > 1) text += " +" + std::to_string(estimate.sources.size() - 1);
  return text;
}

std::string text_of(const PointEstimate& answer) {
  const Variant& variant = answer.request.variant;
  std::string out =
      variant.model + ", " + variant.technique + " " + variant.scheme +
      (variant.pattern.empty() ? "" : ", " + variant.pattern + " sparsity " + format_number(variant.sparsity)) +
      ", KV cache " + variant.kv + ", " + variant.format + " on " + variant.engine;
  if (!answer.hardware.device.name.empty())
    out += ", " + std::to_string(answer.hardware.count) + " x " + answer.hardware.device.name;
  const std::string level = format_number(std::round(1000 * answer.request.level) / 10) + " % interval";
  Table table{{"estimate", "mean", level, "basis", "n", "sources"}, {}};
  for (const NamedEstimate& e : answer.estimates) {
    const std::string name = e.name + (e.task.empty() ? "" : " (" + e.task + ")");
    if (!e.estimate) {
      table.rows.push_back({name, Cell{}, "unknown: needs " + e.missing, Cell{}, Cell{}, Cell{}});
      continue;
    }
    const Estimate& value = *e.estimate;
    table.rows.push_back({name, shown(value.mean, e.unit),
                          shown(value.low, e.unit) + " to " + shown(value.high, e.unit),
                          std::string(advisor::name(value.basis)), static_cast<double>(value.n), sources_text(value)});
  }
  out += "\n\n" + table.text() + "\n";
  for (const NamedEstimate& e : answer.estimates)
    if (e.estimate && !e.how.empty()) out += e.name + (e.task.empty() ? "" : " (" + e.task + ")") + ": " + e.how + "\n";
  for (const PointRule& rule : answer.rules)
    out += std::string(rule.kind == "forbid" ? "forbidden" : "warning") +
           (rule.task.empty() ? "" : " (" + rule.task + ")") + ": " + rule.because + " [" + rule.rule + "]\n";
  for (const std::string& warning : answer.warnings) out += "warning: " + warning + "\n";
  out += "Defaults applied:";
  const char* separator = " ";
  for (const auto& [field, value] : answer.defaults) {
    out += separator + field + " = " + value;
    separator = ", ";
  }
  return out;
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::variables_map values;
  if (!parse_options(self, args, options_of_estimate(), {}, values)) return exit_ok;
  const PointEstimate answer = open_advisor(values).estimate(request_of(values));
  std::cout << (values.count("json") != 0 ? to_json(answer) : text_of(answer)) << '\n';
  return exit_ok;
}

}  // namespace

const Command estimate_command = {
    "estimate", "quality, memory, speed and cost of one point, each with its interval and sources",
    "estimate --model ID [--technique T --scheme S --engine E --hardware H --task T ...] [--json]",
    "Every number has a mean, an interval, its basis (measured, transferred, modelled), the number of measurements "
    "and\n"
    "their sources; what cannot be estimated says what would be needed. Rules that forbid it or warn are named.\n\n"
    "  advisor estimate --model meta-llama/Llama-3.1-8B-Instruct --scheme W4A16-g128 --technique gptq \\\n"
    "      --hardware nvidia-a100-sxm4-80gb --task mmlu --concurrency 8\n",
    run};

}  // namespace advisor::cli
