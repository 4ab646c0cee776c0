#include "estimate/speed_levels.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace advisor {

namespace {

using enum SpeedField;

/// Above this a data-center GPU has stacked memory (V100 0.9 TB/s and up); L40S and A40 have GDDR and behave like
/// consumer cards.
constexpr double stacked_memory = 880e9;

std::string hardware_class(const Device& device) {
  if (device.kind == "apple-soc") return "apple";
  if (device.kind == "tpu" || device.kind == "npu") return "tpu";
  // Machines whose graphics unit shares the main memory, whatever their catalog kind (DGX Spark, Strix Halo).
  if (device.unified_memory && (device.fp16 || device.bf16)) return "unified";
  if (device.kind == "datacenter-gpu") return device.bandwidth.value_or(0) > stacked_memory ? "hbm" : "gpu";
  return device.kind.find("gpu") != std::string::npos ? "gpu" : "cpu";
}

/// The number after `prefix`, if the text starts with it.
std::optional<int> number_after(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  int value = 0;
  const auto result = std::from_chars(text.data() + prefix.size(), text.data() + text.size(), value);
  return result.ec == std::errc() ? std::optional(value) : std::nullopt;
}

/// llama.cpp decodes through CUDA graphs and fused attention since builds of mid 2024 (b3000); vLLM runs its rewritten
/// engine by default since 0.8. A version that is not stated counts as today's.
std::string era_of(const std::string& engine, const std::string& version) {
  if (engine == "llama.cpp") {
    if (version.find("2023") != std::string::npos || version.find("2024") != std::string::npos) return "old";
    const auto build = number_after(version, "b");
    return build && *build >= 1000 && *build < 3000 ? "old" : "new";
  }
  if (engine == "vllm") return is_rewritten_vllm(version) ? "new" : "old";
  return "any";
}

std::string engine_class(const std::string& engine) {
  std::string lower;
  for (const char c : engine) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower.find("specdec") != std::string::npos) return "";
  if (lower == "ollama" || lower == "lucebox") return "llama.cpp";  // the same kernels
  return lower;
}

std::string format_class(const Variant& variant, const SchemeInfo& scheme) {
  if (variant.format == "gguf" || scheme.grid == "gguf")
    return scheme.bits_per_weight >= 12 ? "gguf16" : "gguf" + std::to_string(std::lround(scheme.bits_per_weight));
  if (scheme.weight_bits >= 12) return "16";
  const auto bits = std::to_string(std::lround(scheme.weight_bits));
  const auto& dtype = scheme.activation_dtype;
  return dtype == "fp16" || dtype == "bf16" ? "w" + bits : "w" + bits + "-" + dtype;
}

std::string arithmetic_class(const SchemeInfo& scheme) {
  const auto& dtype = scheme.activation_dtype;
  if (dtype == "fp8" || dtype == "int8" || dtype == "fp4") return dtype;
  return scheme.weight_bits >= 12 ? "16" : "w" + std::to_string(std::lround(scheme.weight_bits));
}

bool is_eager(const std::string& engine) { return engine == "transformers" || engine == "autoawq"; }

}  // namespace

bool is_rewritten_vllm(const std::string& version) {
  const auto minor = number_after(version, "0.");
  return !minor || *minor >= 8;
}

const std::string& SpeedLevels::operator[](SpeedField field) const {
  switch (field) {
    case SpeedField::engine: return engine;
    case SpeedField::era: return era;
    case SpeedField::hardware: return hardware;
    case SpeedField::format: return format;
    case SpeedField::scheme: return scheme;
    case SpeedField::arithmetic: return arithmetic;
    case SpeedField::device: return device;
  }
  return engine;
}

SpeedLevels speed_levels(const Variant& variant, const Device& device, bool mixture,
                         const std::string& engine_version) {
  auto scheme = describe_scheme(variant.scheme);
  // Without units for FP4 activations stay in 16 bits and weights are widened on use, as those of W4A16 are (Marlin;
  // data/engine_support.csv, rows marked emulated).
  if (scheme.activation_dtype == "fp4" && !device.fp4) scheme.activation_dtype = "fp16";
  SpeedLevels levels;
  levels.engine = engine_class(variant.engine);
  levels.era = era_of(levels.engine, engine_version);
  levels.hardware = hardware_class(device);
  levels.format = format_class(variant, scheme);
  levels.scheme = is_eager(levels.engine) ? variant.scheme : "graph";
  levels.arithmetic = arithmetic_class(scheme);
  levels.device = device.id;
  levels.mixture = mixture;
  return levels;
}

const std::vector<SpeedBlock>& speed_blocks() {
  // Prior means: 88 % of the stated bandwidth (what copy benchmarks such as BabelStream reach), 0.1 ms per layer (a
  // dozen kernel launches of 5 to 10 microseconds), half of the stated peak. They matter where there are no rows; the
  // spreads say how little.
  static const std::vector<SpeedBlock> blocks{
      {"memory efficiency",
       memory_efficiency,
       {engine, era, hardware, format},
       {{{}, 0.5},
        {{engine}, 0.5},
        {{engine, era}, 0.25},
        {{hardware}, 0.5},
        {{engine, hardware}, 0.5},
        {{format}, 0.3},
        {{engine, format}, 0.4},
        {{engine, hardware, format}, 0.3}},
       2.0},
      {"memory efficiency, device", memory_efficiency, {device}, {{{device}, 0.25}}, 0, false, 1},
      {"memory efficiency, mixture",
       memory_efficiency,
       {engine, format},
       {{{}, 0.7}, {{engine}, 0.5}, {{engine, format}, 0.3}},
       0,
       true},
      {"cache cost", cache_cost, {engine, era}, {{{}, 0.15}, {{engine}, 0.15}, {{engine, era}, 0.15}}, 0.26},
      {"launch time",
       launch_time,
       {engine, era, hardware, scheme},
       {{{}, 0.4},
        {{engine}, 0.8},
        {{engine, era}, 0.4},
        {{hardware}, 0.3},
        {{engine, hardware}, 0.3},
        {{engine, scheme}, 0.4}},
       std::log(1e-4)},
      {"launch time, device", launch_time, {device}, {{{device}, 0.2}}, 0, false, 1},
      {"launch time, mixture",
       launch_time,
       {engine, format},
       {{{}, 0.4}, {{engine}, 0.7}, {{engine, format}, 0.7}},
       0,
       true},
      {"compute efficiency",
       compute_efficiency,
       {engine, era, hardware, arithmetic},
       {{{}, 0.3},
        {{engine}, 0.5},
        {{engine, era}, 0.3},
        {{hardware}, 0.3},
        {{engine, hardware}, 0.6},
        {{arithmetic}, 0.15},
        {{engine, arithmetic}, 0.35}},
       std::log(0.5)},
      {"compute efficiency, device",
       compute_efficiency,
       {device, engine},
       {{{device}, 0.15}, {{device, engine}, 0.4}},
       0,
       false,
       1},
      {"compute efficiency, mixture", compute_efficiency, {engine}, {{{}, 0.4}, {{engine}, 0.4}}, 0, true},
      {"prompt time",
       prompt_time,
       {engine, hardware},
       {{{}, 1.0}, {{engine}, 0.8}, {{hardware}, 0.3}, {{engine, hardware}, 0.4}},
       std::log(1e-2)},
      {"sequence time", sequence_time, {engine}, {{{}, 1.0}, {{engine}, 0.7}}, std::log(2e-5)},
      {"exchange time", exchange_time, {engine}, {{{}, 1.0}, {{engine}, 0.5}}, std::log(1e-5)},
      {"batch efficiency",
       batch_efficiency,
       {engine, arithmetic},
       {{{}, 0.2}, {{engine}, 0.25}, {{arithmetic}, 0.2}, {{engine, arithmetic}, 0.45}},
       std::log(0.6)},
      {"turn share", turn_share, {engine, era}, {{{}, 0.4}, {{engine}, 0.3}, {{engine, era}, 0.2}}, std::log(0.5)},
      {"hop time", hop_time, {engine}, {{{}, 1.0}, {{engine}, 0.5}}, std::log(2e-4)},
  };
  return blocks;
}

std::string speed_key(const SpeedLevels& levels, std::span<const SpeedField> fields) {
  std::string key;
  for (const auto field : fields) {
    if (!key.empty()) key += '|';
    key += levels[field];
  }
  return key;
}

}  // namespace advisor
