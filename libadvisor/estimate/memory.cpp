#include "estimate/memory.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "estimate/weights.h"

namespace advisor {

namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

double kv_element_bytes(const std::string& kv) {
  if (kv == "fp8" || kv == "int8" || kv == "q8_0") return 1;
  if (kv == "int4" || kv == "fp4" || kv == "q4_0") return 0.5;
  return 2;
}

/// Share of layers with full attention; the catalog notes "8 of 48 layers use full attention". Where nobody says, all
/// layers count as full: an upper bound.
double full_attention_share(const Model& model) {
  if (!model.sliding_window) return 1;
  const auto at = model.notes.find(" layers use full attention");
  if (at == std::string::npos) return 1;
  auto begin = model.notes.rfind(';', at);
  begin = begin == std::string::npos ? 0 : begin + 1;
  long long full = 0, all = 0;
  if (std::sscanf(model.notes.c_str() + begin, "%lld of %lld", &full, &all) != 2 || all <= 0 || full < 0 || full > all)
    return 1;
  return static_cast<double>(full) / static_cast<double>(all);
}

/// Bytes per token and sequence at 16 bits for models whose geometry nobody states: regression of ln(bytes) on
/// ln(parameters) over the 250 grouped-query models of the catalog, plus one residual sd (0.57), so that it errs high.
double kv_by_size(double params) { return 48276.7 * std::pow(params / 1e9, 0.3825) * std::exp(0.57); }

bool is_gpu(const Device& device) {
  return device.kind.find("gpu") != std::string::npos || device.vendor == "NVIDIA" || device.vendor == "AMD";
}

struct Shape {
  double hidden, intermediate, vocab, heads, layers;
};

/// Geometry with typical values (8 B class, scaled by the cube root of the size) where the catalog is silent.
Shape shape_of(const Model& m) {
  const double scale = std::cbrt(m.params.value_or(8e9) / 8e9);
  const auto or_else = [](const std::optional<std::int64_t>& value, double otherwise) {
    return value ? static_cast<double>(*value) : otherwise;
  };
  const double hidden = or_else(m.hidden, 4096 * scale);
  return {hidden, or_else(m.intermediate, 3.5 * hidden), or_else(m.vocab, 128256), or_else(m.heads, 32 * scale),
          or_else(m.layers, 32 * scale)};
}

std::int64_t max_sequences(std::int64_t concurrency) { return std::max<std::int64_t>(256, concurrency); }

/// vLLM and its like, per GPU: the sampler's warm-up holds about nine fp32 copies of sequences × vocabulary (fits the
/// 4.8-5.6 GiB measured at 1024 sequences for 128k-152k vocabularies), one prefill chunk holds the MLP's inner
/// activations, mixtures of experts add the 2 GiB measured; non-torch 0.15 GiB alone, 0.6 GiB in a group.
double paged_engine_overhead(const Model& model, const Hardware& hardware, std::int64_t concurrency) {
  const auto shape = shape_of(model);
  const auto sequences = static_cast<double>(max_sequences(concurrency));
  const double logits = sequences * shape.vocab * 4 * 9;
  const double chunk = 2048 * (shape.hidden + 2 * shape.intermediate) * 2;
  const double experts = model.experts.value_or(0) > 1 ? 2 * gib : 0;
  const double non_torch = hardware.count > 1 ? 0.6 * gib : 0.15 * gib;
  return static_cast<double>(hardware.count) * (logits + chunk + experts + non_torch);
}

/// llama.cpp: the compute buffer holds the logits of a micro-batch (at most 512 tokens) or its attention scores with
/// the residual stream, whichever is larger; a CUDA context where there is a GPU.
double llama_cpp_overhead(const Model& model, const Hardware& hardware, std::int64_t context) {
  const auto shape = shape_of(model);
  const auto batch = static_cast<double>(std::min<std::int64_t>(512, std::max<std::int64_t>(1, context)));
  const double residual = batch * shape.hidden * 4;
  const double buffer = std::max(batch * shape.vocab * 4 + residual,
                                 batch * static_cast<double>(context) * shape.heads * 4 + 3 * residual);
  const double per_device = is_gpu(hardware.device) ? 0.3 * gib : 0;
  return buffer + static_cast<double>(hardware.count) * per_device;
}

/// transformers: CUDA context and allocator, the inner activations of a whole prompt batch, logits of the last token.
double transformers_overhead(const Model& model, const Hardware& hardware, std::int64_t context,
                             std::int64_t concurrency) {
  const auto shape = shape_of(model);
  const double tokens = static_cast<double>(context) * static_cast<double>(concurrency);
  const double activations = tokens * (2 * shape.hidden + 2 * shape.intermediate) * 2;
  const double logits = static_cast<double>(concurrency) * shape.vocab * 4 * 2;
  return activations + logits + (is_gpu(hardware.device) ? static_cast<double>(hardware.count) * 0.5 * gib : 0);
}

bool is_paged(const std::string& engine) { return engine == "vllm" || engine == "sglang" || engine == "tensorrt-llm"; }

}  // namespace

std::optional<KvCache> estimate_kv_cache(const Model& model, const std::string& kv, std::int64_t context,
                                         std::int64_t concurrency) {
  const double element = kv_element_bytes(kv);
  const auto tokens = static_cast<double>(context), sequences = static_cast<double>(concurrency);
  if (model.kv_lora_rank && model.layers) {
    const auto latent = static_cast<double>(*model.kv_lora_rank + model.qk_rope_head_dim.value_or(64));
    const auto layers = static_cast<double>(model.kv_layers.value_or(*model.layers));
    return KvCache{layers * latent * element * tokens * sequences, "geometry"};
  }
  if (model.layers && model.heads && (model.head_dim || model.hidden)) {
    const auto layers = static_cast<double>(model.kv_layers.value_or(*model.layers));
    const double head_dim = model.head_dim ? static_cast<double>(*model.head_dim)
                                           : static_cast<double>(*model.hidden) / static_cast<double>(*model.heads);
    const double per_layer = 2 * static_cast<double>(model.kv_heads.value_or(*model.heads)) * head_dim * element;
    const double full = full_attention_share(model);
    const double window = std::min(tokens, static_cast<double>(model.sliding_window.value_or(context)));
    return KvCache{per_layer * layers * (full * tokens + (1 - full) * window) * sequences, "geometry"};
  }
  if (model.kv_bytes_per_token_bf16)
    return KvCache{*model.kv_bytes_per_token_bf16 * element / 2 * tokens * sequences, "geometry"};
  if (!model.params) return std::nullopt;
  return KvCache{kv_by_size(*model.params) * element / 2 * tokens * sequences, "parameters"};
}

std::map<std::string, std::string> launch_settings(const Variant& variant, const Hardware& hardware,
                                                   std::int64_t context, std::int64_t concurrency) {
  std::map<std::string, std::string> settings;
  const auto count = std::to_string(hardware.count);
  if (variant.engine == "vllm") {
    settings = {{"gpu-memory-utilization", "0.9"},
                {"max-model-len", std::to_string(context)},
                {"max-num-seqs", std::to_string(max_sequences(concurrency))},
                {"tensor-parallel-size", count}};
  } else if (variant.engine == "sglang") {
    settings = {{"mem-fraction-static", "0.9"},
                {"context-length", std::to_string(context)},
                {"max-running-requests", std::to_string(max_sequences(concurrency))},
                {"tp-size", count}};
  } else if (variant.engine == "tensorrt-llm") {
    settings = {{"kv_cache_free_gpu_memory_fraction", "0.9"},
                {"max_seq_len", std::to_string(context)},
                {"max_batch_size", std::to_string(max_sequences(concurrency))},
                {"tp_size", count}};
  } else if (variant.engine == "llama.cpp") {
    settings = {{"ctx-size", std::to_string(context * concurrency)},
                {"parallel", std::to_string(concurrency)},
                {"ubatch-size", std::to_string(std::min<std::int64_t>(512, context))}};
  }
  return settings;
}

double usable_memory(const std::string& engine, const Hardware& hardware) {
  const double memory = hardware.device.memory * static_cast<double>(hardware.count);
  if (engine == "vllm" || engine == "sglang") return 0.9 * memory;  // their default fraction of total memory
  if (hardware.device.kind == "apple-soc") return 0.75 * memory;    // Metal's default working-set limit
  if (hardware.device.kind.find("cpu") != std::string::npos)
    return 0.9 * memory;  // the operating system lives there too
  return memory;
}

std::optional<MemoryEstimate> estimate_memory(const Model& model, const Variant& variant, const Hardware& hardware,
                                              std::int64_t context, std::int64_t concurrency) {
  const auto weights = estimate_weights(model, variant);
  const auto kv = estimate_kv_cache(model, variant.kv, context, concurrency);
  if (!weights || !kv) return std::nullopt;
  MemoryEstimate estimate;
  estimate.weights = weights->bytes;
  estimate.kv_cache = kv->bytes;
  if (is_paged(variant.engine)) {
    estimate.overhead = paged_engine_overhead(model, hardware, concurrency);
    // TensorRT-LLM gives the cache 0.9 of what is free after loading: a tenth of the pool stays idle.
    if (variant.engine == "tensorrt-llm") estimate.overhead += kv->bytes * (1 / 0.9 - 1);
  } else if (variant.engine == "llama.cpp") {
    estimate.overhead = llama_cpp_overhead(model, hardware, context);
  } else {
    estimate.overhead = transformers_overhead(model, hardware, context, concurrency);
  }
  estimate.total = estimate.weights + estimate.kv_cache + estimate.overhead;
  estimate.available = usable_memory(variant.engine, hardware);
  estimate.basis = weights->basis == "geometry" && kv->basis == "geometry" ? "geometry" : "parameters";
  estimate.context = context;
  estimate.concurrency = concurrency;
  return estimate;
}

Distribution memory_distribution(const MemoryEstimate& memory) {
  const bool exact = memory.basis == "geometry";
  const double weights = (exact ? 0.01 : 0.04) * memory.weights, cache = (exact ? 0.0 : 0.3) * memory.kv_cache;
  return {memory.total, std::hypot(weights, cache, 0.1 * memory.overhead), 30};
}

}  // namespace advisor
