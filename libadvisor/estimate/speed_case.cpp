#include "estimate/speed_case.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace advisor {

namespace {

struct Scheme {
  std::string scheme, format, technique;
};

/// Number formats as the tables write them, where they are not GGUF types. Groups are those of the published
/// checkpoints: 128 for GPTQ and AWQ, 64 for bitsandbytes, 32 for the tables that say so.
constexpr std::array<std::array<std::string_view, 4>, 27> known_formats{{
    {"W4A16-GPTQ", "W4A16-g128", "compressed-tensors", "gptq"},
    {"W4A16-AWQ", "W4A16-g128-asym", "compressed-tensors", "awq"},
    {"W8A16-GPTQ", "W8A16-g128", "compressed-tensors", "gptq"},
    {"W8A16-INT8", "W8A16-channel", "compressed-tensors", "rtn"},
    {"INT8_W8A16", "W8A16-channel", "compressed-tensors", "rtn"},
    {"W8A8-FP8", "W8A8-fp8", "compressed-tensors", "rtn"},
    {"FP8", "W8A8-fp8", "compressed-tensors", "rtn"},
    {"FP8 dynamic", "W8A8-fp8", "compressed-tensors", "rtn"},
    {"W8A8-INT8", "W8A8-int8", "compressed-tensors", "rtn"},
    {"INT8", "W8A16-channel", "compressed-tensors", "rtn"},
    {"NVFP4", "W4A4-nvfp4", "compressed-tensors", "rtn"},
    {"NVFP4 modelopt-mixed W4A16+FP8", "W4A16-nvfp4", "compressed-tensors", "rtn"},
    {"INT4", "W4A16-g128", "compressed-tensors", "rtn"},
    {"W4A8-AWQ", "W4A8-fp8-g128", "compressed-tensors", "awq"},
    {"INT4-bitsandbytes", "W4A16-g64", "safetensors", "bitsandbytes"},
    {"INT8-bitsandbytes", "W8A8-int8", "safetensors", "bitsandbytes"},
    {"W8A16-quanto", "W8A16-channel", "safetensors", "rtn"},
    {"W8A8-quanto", "W8A8-int8", "safetensors", "rtn"},
    {"INT8-weight-only", "W8A16-channel", "safetensors", "rtn"},
    {"INT4-weight-only-g32", "W4A16-g32", "safetensors", "rtn"},
    {"INT4-g32(compute INT8)", "W4A8-int8-g32", "safetensors", "rtn"},
    {"INT4-g128(compute INT8)", "W4A8-int8-g128", "safetensors", "rtn"},
    {"W2 (LUT)", "W2A16-g128", "safetensors", "rtn"},
    {"W4 (GPTQ, LUT)", "W4A16-g128", "safetensors", "gptq"},
    {"bf16", "W16A16", "safetensors", "none"},
    {"fp16", "W16A16", "safetensors", "none"},
    {"float16", "W16A16", "safetensors", "none"},
}};

bool is_scheme(const std::string& text) {
  try {
    describe_scheme(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The GGUF type that a published name means. Publishers' own mixes (UD-, _XL, _L, _P) count as the mix of the same
/// base type that is nearest in size.
std::optional<std::string> gguf_type(std::string name) {
  if (name == "fp16") return "F16";
  if (name == "bf16") return "BF16";
  if (name == "NVFP4") return "W4A16-nvfp4";
  if (name.starts_with("INT4")) return "Q4_0";
  if (name == "Q6 (unspecified)") return "Q6_K";
  for (const std::string_view prefix : {"UD-", "Unsloth-Dynamic-"})
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  if (name.ends_with("-QAT")) name.resize(name.size() - 4);
  if (is_scheme(name)) return name;
  for (const std::string_view suffix : {"_XL", "_L", "_P", "_M"}) {
    if (!name.ends_with(suffix)) continue;
    name.resize(name.size() - suffix.size());
    if (name == "Q8_K") return "Q8_0";
    for (const auto& type : {name + "_M", name})
      if (is_scheme(type)) return type;
  }
  return std::nullopt;
}

/// "MLX-4bit", "8bit": MLX stores a scale and a zero point of 16 bits per group of 64.
std::optional<int> bits_of_mlx(const std::string& name) {
  const auto at = name.find("bit");
  if (at == std::string::npos || at == 0 || !std::isdigit(static_cast<unsigned char>(name[at - 1])))
    return std::nullopt;
  return name[at - 1] - '0';
}

std::optional<Scheme> read_scheme(const SpeedMeasurement& row) {
  const bool llama_cpp = row.engine == "llama.cpp" || row.engine == "lucebox";
  if (llama_cpp || row.format.starts_with("Q") || row.format.starts_with("UD-") || row.format.starts_with("IQ")) {
    if (const auto type = gguf_type(row.format)) return Scheme{*type, "gguf", "gguf"};
  }
  if (row.engine == "mlx") {
    const auto bits = bits_of_mlx(row.format);
    const int nominal = bits ? *bits : static_cast<int>(row.weight_bits.value_or(0));
    if (nominal > 0 && nominal < 16) return Scheme{"W" + std::to_string(nominal) + "A16-g64-asym", "mlx", "rtn"};
  }
  for (const auto& [published, scheme, format, technique] : known_formats)
    if (published == row.format) return Scheme{std::string(scheme), std::string(format), std::string(technique)};
  if (row.weight_bits && is_scheme(row.format)) return Scheme{row.format, "compressed-tensors", "rtn"};
  return std::nullopt;
}

std::string quantity_of(const std::string& metric) {
  if (metric == "decode_tok_s") return "decode";
  if (metric == "prefill_tok_s") return "prefill";
  if (metric == "ttft_ms") return "ttft";
  if (metric == "tpot_ms") return "tpot";
  return "";
}

bool is_translation(const SpeedMeasurement& row) {
  for (const auto* engine : {"ctranslate2", "marian", "opennmt", "fastertransformer"})
    if (row.engine == engine) return true;
  return row.source == "ctranslate2";
}

}  // namespace

SpeedCases::SpeedCases(const Knowledge& knowledge) {
  for (const auto& model : knowledge.models) models_[model.id] = &model;
  for (const auto& device : knowledge.devices) devices_[device.id] = &device;
}

std::optional<SpeedCase> SpeedCases::read(const SpeedMeasurement& row, std::string* why_not) const {
  const auto refuse = [&](const std::string& why) {
    if (why_not) *why_not = why;
    return std::nullopt;
  };
  SpeedCase question;
  question.quantity = quantity_of(row.metric);
  if (question.quantity.empty()) return refuse(row.metric + " is no speed that is estimated");
  if (!row.suspect.empty()) return refuse("marked as suspect: " + row.suspect);
  if (row.engine.ends_with("+specdec")) return refuse("speculative decoding");
  if (is_translation(row)) return refuse("translation model");
  if (!(row.value > 0) || !std::isfinite(row.value)) return refuse("its value is no positive number");
  if (!row.concurrency) return refuse("load is no concurrency: " + row.load);
  const auto device = devices_.find(row.hardware);
  if (device == devices_.end()) return refuse("hardware is in no catalog");
  if (!device->second->bandwidth) return refuse("memory bandwidth of the hardware is unknown");
  if (const auto found = models_.find(row.model); found != models_.end()) question.model = *found->second;
  question.model.id = row.model;
  if (!question.model.params) question.model.params = row.params;
  if (!question.model.active_params) question.model.active_params = row.active_params;
  if (!question.model.params) return refuse("size of the model is not stated");
  const auto scheme = read_scheme(row);
  if (!scheme) return refuse("number format says no bits: " + row.format);

  question.variant.model = row.model;
  question.variant.engine = row.engine;
  question.variant.scheme = scheme->scheme;
  question.variant.format = scheme->format;
  question.variant.technique = scheme->technique;
  question.hardware = {*device->second, row.hardware_count, "catalog"};
  question.load.input_tokens = row.input_tokens.value_or(512);
  question.load.output_tokens = row.output_tokens.value_or(128);
  question.load.concurrency = *row.concurrency;
  question.mixture = question.model.active_params && *question.model.active_params < 0.9 * *question.model.params;
  const bool milliseconds = row.metric.ends_with("_ms");
  question.observed = std::log(milliseconds ? row.value / 1000 : row.value);
  question.source = row.source;
  question.where = row.locator;
  question.engine_version = row.engine_version;
  return question;
}

}  // namespace advisor
