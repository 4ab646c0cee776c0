#include "estimate/speed_case.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "estimate/speed_levels.h"
#include "estimate/weights.h"

namespace advisor {

namespace {

struct Scheme {
  std::string scheme, format, technique;
};

/// Number formats as the tables write them, where they are not GGUF types. Groups are those of the published
/// checkpoints: 128 for GPTQ and AWQ, 64 for bitsandbytes, 32 for the tables that say so.
constexpr std::array<std::array<std::string_view, 4>, 29> known_formats{{
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
    {"BF16", "W16A16", "safetensors", "none"},
    {"FP16", "W16A16", "safetensors", "none"},
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
  if (metric == "decode_tok_s" || metric == "total_tok_s" || metric == "requests_s") return "decode";
  if (metric == "prefill_tok_s") return "prefill";
  if (metric == "ttft_ms") return "ttft";
  if (metric == "tpot_ms") return "tpot";
  return "";
}

/// The first whole number in a text such as "p50 280 (ShareGPT)", not counting percentiles.
std::optional<std::int64_t> number_in(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool starts = std::isdigit(static_cast<unsigned char>(text[i])) &&
                        (i == 0 || !std::isalnum(static_cast<unsigned char>(text[i - 1])));
    std::int64_t value = 0;
    if (starts && std::from_chars(text.data() + i, text.data() + text.size(), value).ec == std::errc()) return value;
  }
  return std::nullopt;
}

/// ShareGPT as vLLM's benchmark samples it: rates of requests, answers and all tokens of one run (vllm-issue-17788)
/// give 217 and 200 tokens on average.
constexpr std::int64_t sharegpt_prompt = 217, sharegpt_answer = 200;

/// AccelMark's suites as they were run (data/README.md says from which files): mean lengths in tokens, and how many
/// requests arrive in one run at a rate. Medians of prompts and caps of answers are all that its rows state.
struct Suite {
  std::string_view name;
  std::int64_t prompt, answer, arrivals;
};
constexpr std::array<Suite, 6> suites{{{"_suite_A_", 256, 346, 300},
                                       {"_suite_B_", 256, 346, 200},
                                       {"_suite_C_", 256, 346, 300},  // publishes no totals: same data set and cap as A
                                       {"_suite_D_", 28641, 256, 200},
                                       {"_suite_F_", 103, 211, 300},
                                       {"_suite_G_", 306, 341, 300}}};

const Suite* suite_of(const SpeedMeasurement& row) {
  if (row.source != "accelmark") return nullptr;
  for (const auto& suite : suites)
    if (row.locator.find(suite.name) != std::string::npos) return &suite;
  return nullptr;
}
/// Where a table of single streams says nothing: llama-bench's standard lengths.
constexpr std::int64_t usual_prompt = 512, usual_answer = 128;

std::int64_t prompt_of(const SpeedMeasurement& row) {
  if (const auto* suite = suite_of(row)) return suite->prompt;
  if (row.input_tokens) return *row.input_tokens;
  if (const auto stated = number_in(row.input_length)) return *stated;
  return row.input_length.find("ShareGPT") != std::string::npos ? sharegpt_prompt : usual_prompt;
}

/// "<=512" is a cap: answers of a chat are half as long on average.
std::int64_t answer_of(const SpeedMeasurement& row) {
  if (const auto* suite = suite_of(row)) return suite->answer;
  if (row.output_tokens) return *row.output_tokens;
  if (const auto stated = number_in(row.output_length)) return std::max<std::int64_t>(1, *stated / 2);
  return row.output_length.find("ShareGPT") != std::string::npos ? sharegpt_answer : usual_answer;
}

/// Engines keep at most so many requests in a batch unless told otherwise. vLLM: 256; its rewritten engine 1024 on
/// devices of at least 70 GiB that are no A100 (max-num-seqs in vllm/engine/arg_utils.py). TensorRT-LLM: 2048
/// (max_batch_size of its builder); SGLang: what the cache holds, at most 4096.
constexpr std::int64_t usual_batch = 256, largest_batch = 2048;
std::int64_t most_sequences(const SpeedMeasurement& row, const Device& device) {
  if (row.engine == "sglang" || row.engine == "tensorrt-llm") return largest_batch;
  const bool rewritten = row.engine == "vllm" && is_rewritten_vllm(row.engine_version);
  const bool large = device.memory >= 70.0 * 1024 * 1024 * 1024 && !device.id.starts_with("nvidia-a100");
  return rewritten && large ? 1024 : usual_batch;
}

/// "median TPOT; 300 requests": how many one run sent, where the row says.
std::int64_t requests_of(const SpeedMeasurement& row) {
  const auto at = row.locator.find(" requests");
  if (at == std::string::npos || at == 0) return 0;
  std::size_t first = at;
  while (first > 0 && std::isdigit(static_cast<unsigned char>(row.locator[first - 1]))) --first;
  std::int64_t count = 0;
  std::from_chars(row.locator.data() + first, row.locator.data() + at, count);
  return count;
}

std::optional<Load> read_load(const SpeedMeasurement& row, const Device& device) {
  Load load;
  load.input_tokens = prompt_of(row);
  load.output_tokens = answer_of(row);
  const auto number = number_in(row.load);
  if (row.concurrency) {
    load.concurrency = *row.concurrency;
  } else if (const auto unit = row.load.find("req/s"); unit != std::string::npos) {
    load.requests_per_second = std::strtod(row.load.c_str(), nullptr);
    load.concurrency =
        number_in(std::string_view(row.load).substr(unit)).value_or(most_sequences(row, device));  // ", at most 64"
    load.requests = requests_of(row);
    if (const auto* suite = suite_of(row)) load.requests = suite->arrivals;
    if (!(load.requests_per_second > 0)) return std::nullopt;
  } else if (row.load.starts_with("offline") && number) {
    load.concurrency = std::min(*number, most_sequences(row, device));
    load.requests = *number;
  } else if (row.load.starts_with("max-num-seqs=") || row.load.starts_with("max_num_seqs=")) {
    const auto batch = number_in(std::string_view(row.load).substr(13));
    if (!batch) return std::nullopt;
    load.concurrency = *batch;
  } else if (row.load == "max(infinite rate)") {
    load.concurrency = largest_batch;
  } else {
    return std::nullopt;
  }
  // llama-bench: a prompt of so many tokens after a cache of so many ("test=pp2048 @ d32768").
  const auto test = row.locator.find("test=pp"), depth = row.locator.find(" @ d");
  if (test != std::string::npos && depth != std::string::npos && row.metric == "prefill_tok_s") {
    load.input_tokens = number_in(std::string_view(row.locator).substr(test + 7)).value_or(load.input_tokens);
    load.past_tokens = number_in(std::string_view(row.locator).substr(depth + 4)).value_or(0);
  }
  if (load.concurrency < 1 || load.input_tokens < 0) return std::nullopt;
  return load;
}

/// Rates over the whole time of the requests. Tables of Qwen say so in their text, others in the locator; whoever
/// reports a batch without saying how it was filled ran a benchmark from start to end.
bool is_end_to_end(const SpeedMeasurement& row) {
  const bool total = row.metric == "total_tok_s" || row.metric == "requests_s";
  if (!total && row.metric != "decode_tok_s") return false;
  if (row.concurrency == 1 && row.input_tokens.value_or(512) <= 1) return false;  // no prompt to speak of
  return total || !row.concurrency || row.source.starts_with("qwen") ||
         row.locator.find("includes") != std::string::npos;
}

bool is_translation(const SpeedMeasurement& row) {
  for (const auto* engine : {"ctranslate2", "marian", "opennmt", "fastertransformer"})
    if (row.engine == engine) return true;
  return row.source == "ctranslate2";
}

/// Why the machine was not used as the model assumes; empty when it was.
std::string not_comparable(const SpeedMeasurement& row) {
  if (row.parallelism.find("offload") != std::string::npos) return "part of the weights is in main memory";
  if (row.parallelism.find("thread") != std::string::npos && number_in(row.parallelism).value_or(0) < 4)
    return "fewer threads than the processor has cores";
  return "";
}

/// Tables round sizes, and of the embedding one row is read: as in data/derive.sql.
constexpr double rounding = 1.15;

/// Why no machine could have been that fast; empty when it could. Tokens that cost neither reading nor arithmetic were
/// not computed: a cached prompt, a drafted answer, experts that the row does not mention.
std::string impossible(const SpeedCase& question, double value) {
  const auto weights = estimate_weights(question.model, question.variant);
  if (!weights) return "";
  const auto& device = question.hardware.device;
  const auto count = static_cast<double>(question.hardware.count),
             sequences = static_cast<double>(question.load.concurrency);
  const double reading = weights->read_bytes / (*device.bandwidth * count) / rounding;
  if (question.load.requests_per_second > 0 || question.quantity == "throughput") return "";
  if (question.quantity == "decode") return sequences / value < reading ? "faster than the weights can be read" : "";
  if (question.quantity == "tpot") return value < reading ? "faster than the weights can be read" : "";
  // Before the median first token come: of a rate of prefill all prompts, in a burst those of half the requests, in a
  // closed loop the request's own.
  const double prompts = question.quantity == "prefill" ? sequences
                         : question.load.requests > 0   ? 0.5 * static_cast<double>(question.load.requests)
                                                        : 1;
  const auto tokens = static_cast<double>(std::max<std::int64_t>(1, question.load.input_tokens)) * prompts;
  const double seconds = question.quantity == "ttft" ? value : tokens / value;
  double peak = 0;
  for (const auto& rate : {device.fp32, device.fp16, device.bf16, device.fp8, device.int8, device.fp4})
    peak = std::max(peak, rate.value_or(0));
  const double computing = peak > 0 ? 2 * weights->active_params * tokens / (peak * count) / rounding : 0;
  if (seconds < computing) return "faster than the prompt can be computed: a part of it was cached";
  return seconds < reading ? "faster than the weights can be read" : "";
}

/// ln of what turns the row's unit into that of its quantity: seconds, or output tokens per second.
double log_unit(const SpeedMeasurement& row, const Load& load) {
  const auto in = static_cast<double>(load.input_tokens), out = static_cast<double>(load.output_tokens);
  if (row.metric.ends_with("_ms")) return -std::log(1000.0);
  if (row.metric == "total_tok_s") return std::log(out / (in + out));
  return row.metric == "requests_s" ? std::log(out) : 0;
}

}  // namespace

std::map<std::string, std::string> publishers(const std::vector<Source>& sources) {
  std::map<std::string, std::string> behind;
  for (const auto& source : sources) behind[source.id] = source.publisher.empty() ? source.id : source.publisher;
  return behind;
}

SpeedCases::SpeedCases(const Knowledge& knowledge) {
  for (const auto& model : knowledge.models) models_[model.id] = &model;
  for (const auto& device : knowledge.devices) devices_[device.id] = &device;
  publishers_ = publishers(knowledge.sources);
}

std::optional<SpeedCase> SpeedCases::read(const SpeedMeasurement& row, std::string* why_not) const {
  const auto refuse = [&](const std::string& why) {
    if (why_not) *why_not = why;
    return std::nullopt;
  };
  SpeedCase question;
  question.quantity = quantity_of(row.metric);
  if (question.quantity.empty()) return refuse(row.metric + " is no speed that is estimated");
  if (!row.suspect.empty()) return refuse("marked as suspect");
  if (row.engine.ends_with("+specdec")) return refuse("speculative decoding");
  if (is_translation(row)) return refuse("translation model");
  if (!(row.value > 0) || !std::isfinite(row.value)) return refuse("its value is no positive number");
  const auto device = devices_.find(row.hardware);
  if (device == devices_.end()) return refuse("hardware is in no catalog");
  const auto load = read_load(row, *device->second);
  if (!load) return refuse("load is neither a concurrency nor a rate");
  if (const auto why = not_comparable(row); !why.empty()) return refuse(why);
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
  question.load = *load;
  if (is_end_to_end(row)) question.quantity = "throughput";
  question.mixture = question.model.active_params && *question.model.active_params < 0.9 * *question.model.params;
  question.observed = std::log(row.value) + log_unit(row, *load);
  if (const auto why = impossible(question, std::exp(question.observed)); !why.empty()) return refuse(why);
  const auto memory = estimate_weights(question.model, question.variant);
  const double capacity = device->second->memory * static_cast<double>(row.hardware_count);
  if (memory && capacity > 0 && memory->bytes > capacity) return refuse("the weights do not fit the device's memory");
  question.source = row.source;
  const auto publisher = publishers_.find(row.source);
  question.publisher = publisher == publishers_.end() ? row.source : publisher->second;
  question.where = row.locator;
  question.engine_version = row.engine_version;
  return question;
}

}  // namespace advisor
