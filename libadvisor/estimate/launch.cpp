#include "estimate/launch.h"

#include <algorithm>
#include <cctype>

#include "estimate/engine_memory.h"
#include "estimate/kv_cache.h"

namespace advisor {

namespace {

using Settings = std::map<std::string, std::string>;

bool short_cache(const Variant& variant) { return kv_value_bytes(variant.kv) < 2; }

/// llama.cpp keeps layers on the CPU unless told otherwise; a CPU has nowhere else.
bool offloads(const Device& device) {
  return device.kind.find("gpu") != std::string::npos || device.kind == "apple-soc" || device.kind.empty() ||
         device.kind == "explicit";
}

Settings vllm(const Variant& variant, const Hardware& hardware, std::int64_t context, std::int64_t concurrency) {
  Settings settings{{"gpu-memory-utilization", "0.9"},
                    {"max-model-len", std::to_string(context)},
                    {"max-num-batched-tokens", std::to_string(prefill_tokens("vllm", hardware.device))},
                    {"max-num-seqs", std::to_string(max_sequences(concurrency))},
                    {"tensor-parallel-size", std::to_string(hardware.count)}};
  if (short_cache(variant)) settings["kv-cache-dtype"] = variant.kv;
  return settings;
}

Settings sglang(const Variant& variant, const Hardware& hardware, std::int64_t context, std::int64_t concurrency) {
  Settings settings{{"mem-fraction-static", "0.9"},
                    {"chunked-prefill-size", std::to_string(prefill_tokens("sglang", hardware.device))},
                    {"context-length", std::to_string(context)},
                    {"max-running-requests", std::to_string(max_sequences(concurrency))},
                    {"tp-size", std::to_string(hardware.count)}};
  if (short_cache(variant)) settings["kv-cache-dtype"] = variant.kv == "fp8" ? "fp8_e4m3" : variant.kv;
  return settings;
}

Settings tensorrt(const Variant& variant, const Hardware& hardware, std::int64_t context, std::int64_t concurrency) {
  Settings settings{{"kv_cache_free_gpu_memory_fraction", "0.9"},
                    {"max_seq_len", std::to_string(context)},
                    {"max_batch_size", std::to_string(max_sequences(concurrency))},
                    {"max_num_tokens", std::to_string(prefill_tokens("tensorrt-llm", hardware.device))},
                    {"tp_size", std::to_string(hardware.count)}};
  if (short_cache(variant)) settings["kv_cache_config.dtype"] = variant.kv;
  return settings;
}

Settings llama_cpp(const Variant& variant, const Hardware& hardware, std::int64_t context, std::int64_t concurrency,
                   const HostShare* host) {
  // ctx-size is shared out among the slots of --parallel
  Settings settings{{"ctx-size", std::to_string(context * concurrency)},
                    {"parallel", std::to_string(concurrency)},
                    {"ubatch-size", std::to_string(std::min<std::int64_t>(512, context))}};
  if (offloads(hardware.device)) settings["n-gpu-layers"] = "999";  // all: more than any model has
  if (host != nullptr && host->kind == "experts") settings["n-cpu-moe"] = std::to_string(host->layers);
  // The output layer counts as one more.
  if (host != nullptr && host->kind == "layers") settings["n-gpu-layers"] = std::to_string(host->of + 1 - host->layers);
  if (short_cache(variant)) {
    settings["cache-type-k"] = settings["cache-type-v"] = variant.kv;
    settings["flash-attn"] = "on";  // llama.cpp quantizes values only with it
  }
  return settings;
}

/// For a POSIX shell.
std::string quoted(const std::string& word) {
  const bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_-./:=@%+,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string with_flags(std::string command, const Settings& settings) {
  for (const auto& [flag, value] : settings)
    if (flag.find('.') == std::string::npos) command += " --" + flag + " " + quoted(value);
  return command;
}

}  // namespace

Settings launch_settings(const Variant& variant, const Hardware& hardware, std::int64_t context,
                         std::int64_t concurrency, const HostShare* host) {
  if (variant.engine == "vllm") return vllm(variant, hardware, context, concurrency);
  if (variant.engine == "sglang") return sglang(variant, hardware, context, concurrency);
  if (variant.engine == "tensorrt-llm") return tensorrt(variant, hardware, context, concurrency);
  if (variant.engine == "llama.cpp") return llama_cpp(variant, hardware, context, concurrency, host);
  if (variant.engine == "transformers") return {{"device_map", "auto"}, {"dtype", "auto"}};  // of from_pretrained()
  return {};
}

Launch launch(const Variant& variant, const Hardware& hardware, std::int64_t context, std::int64_t concurrency,
              const std::string& weights, const HostShare* host) {
  Launch start{launch_settings(variant, hardware, context, concurrency, host), ""};
  const std::string model = quoted(weights);
  if (variant.engine == "vllm") {
    start.command = with_flags("vllm serve " + model, start.settings);
  } else if (variant.engine == "sglang") {
    start.command = with_flags("python -m sglang.launch_server --model-path " + model, start.settings);
  } else if (variant.engine == "tensorrt-llm") {
    start.command = with_flags("trtllm-serve " + model, start.settings);
    // the cache's number format has no flag: it stands in a file of options
    if (const auto kv = start.settings.find("kv_cache_config.dtype"); kv != start.settings.end())
      start.command = "echo 'kv_cache_config: {dtype: " + kv->second + "}' > options.yaml && " + start.command +
                      " --extra_llm_api_options options.yaml";
  } else if (variant.engine == "llama.cpp") {
    start.command = with_flags("llama-server --model " + model, start.settings);
  }
  return start;
}

}  // namespace advisor
