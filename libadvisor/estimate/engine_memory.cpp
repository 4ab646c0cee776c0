#include "estimate/engine_memory.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace advisor {

namespace {

constexpr double gib = 1024.0 * 1024 * 1024;

/// vLLM's start-up logs on an H100 (79.18 GiB), collected by llm-d: 9 runs of 0.15/0.16, 54 of 0.17-0.19.
constexpr const char* vllm_old_logs =
    "https://github.com/llm-d/llm-d-benchmark/blob/259334868c5075da530cc6c90b43fceb11b6e6a7/config_explorer/"
    "empirical-vllm-memory-results.md";
constexpr const char* vllm_new_logs =
    "https://github.com/llm-d-incubation/llm-d-planner/blob/875a4fd609eef0d70810ac27174ca9b42156d13a/accuracy/"
    "accuracy_report.md";
constexpr const char* llama_cpp_source = "https://github.com/ggml-org/llama.cpp";

/// From these logs, GiB. Non-torch memory alone and in a group of GPUs (0.24-0.46, 2.05-2.21; NCCL and all-reduce
/// buffers; 0.13 and 0.55 before 0.18). A mixture of experts takes 0.37 ± 0.22 beyond a dense model of its shape (6
/// architectures), a vision tower 0.20 ± 0.12 (5).
constexpr double non_torch_alone = 0.26, non_torch_group = 2.1, non_torch_alone_sd = 0.07, non_torch_group_sd = 0.3;
constexpr double mixture_extra = 0.37, mixture_sd = 0.22, tower_extra = 0.20, tower_sd = 0.12;
/// Of the dense formula against 12 architectures.
constexpr double dense_sd = 0.07;

bool is_gpu(const Device& device) {
  return device.kind.find("gpu") != std::string::npos || device.vendor == "NVIDIA" || device.vendor == "AMD";
}

struct Shape {
  double hidden, intermediate, vocab, layers;
  double guessed;  ///< sd of the overhead as a share of it, where the catalog is silent
};

/// Geometry with typical values (8 B class, scaled by the cube root of the size) where the catalog is silent.
Shape shape_of(const Model& m) {
  const double scale = std::cbrt(m.params.value_or(8e9) / 8e9);
  const auto or_else = [](const std::optional<std::int64_t>& value, double otherwise) {
    return value ? static_cast<double>(*value) : otherwise;
  };
  const double hidden = or_else(m.hidden, 4096 * scale);
  return {hidden, or_else(m.intermediate, 3.5 * hidden), or_else(m.vocab, 128256), or_else(m.layers, 32 * scale),
          m.hidden && m.vocab && m.intermediate ? 0.0 : 0.4};
}

bool sees_more_than_text(const Model& m) {
  return std::any_of(m.modalities_in.begin(), m.modalities_in.end(), [](const auto& kind) { return kind != "text"; });
}

EngineBuffers vllm_buffers(const Model& model, const EngineLoad& load) {
  EngineBuffers overhead;
  overhead.activations = vllm_activations(model, max_sequences(load.concurrency), load.batch_tokens);
  double variance = dense_sd * dense_sd;
  if (model.experts.value_or(0) > 1) overhead.activations += mixture_extra * gib, variance += mixture_sd * mixture_sd;
  if (sees_more_than_text(model)) overhead.activations += tower_extra * gib, variance += tower_sd * tower_sd;
  const bool group = load.devices > 1;
  overhead.other = (group ? non_torch_group : non_torch_alone) * gib;
  variance += std::pow(group ? non_torch_group_sd : non_torch_alone_sd, 2);
  overhead.sd = std::hypot(std::sqrt(variance) * gib, shape_of(model).guessed * overhead.activations);
  return overhead;
}

/// The same buffers by other hands; nobody published what they measure, so the interval is wide.
EngineBuffers like_vllm(const Model& model, const EngineLoad& load) {
  auto overhead = vllm_buffers(model, load);
  overhead.sd = std::hypot(overhead.sd, 0.4 * (overhead.activations + overhead.other));
  return overhead;
}

/// One compute buffer per device, as large as the largest step of the graph: the logits of a micro-batch (at most 512
/// tokens) beside the residual stream, or the inner activations of the MLP; the attention mask; a CUDA context. Scores
/// are not stored: flash attention is on where the backend has it (since 2025-08).
EngineBuffers llama_cpp_buffers(const Model& model, const Device& device, const EngineLoad& load) {
  const auto shape = shape_of(model);
  const auto batch = static_cast<double>(std::clamp<std::int64_t>(load.context, 1, load.batch_tokens));
  const double residual = batch * shape.hidden * 4;
  const double logits = batch * shape.vocab * 4 + residual;
  const double inner = batch * shape.intermediate * 4 * 2 + 2 * residual;
  const double mask = batch * static_cast<double>(load.context) * static_cast<double>(load.concurrency) * 2;
  EngineBuffers overhead;
  overhead.activations = std::max(logits, inner) + mask;
  overhead.other = is_gpu(device) ? 0.3 * gib : 0;
  overhead.sd =
      std::hypot(0.1 * overhead.activations, is_gpu(device) ? 0.1 * gib : 0, shape.guessed * overhead.activations);
  return overhead;
}

/// CUDA context and allocator, the inner activations of a whole prompt batch, logits of the last token.
EngineBuffers transformers_buffers(const Model& model, const Device& device, const EngineLoad& load) {
  const auto shape = shape_of(model);
  const auto sequences = static_cast<double>(load.concurrency);
  const double tokens = static_cast<double>(load.context) * sequences;
  EngineBuffers overhead;
  overhead.activations = tokens * (2 * shape.hidden + 2 * shape.intermediate) * 2 + sequences * shape.vocab * 4 * 2;
  overhead.other = is_gpu(device) ? 0.5 * gib : 0;
  overhead.sd = std::hypot(0.3 * overhead.activations, 0.4 * overhead.other, shape.guessed * overhead.activations);
  return overhead;
}

/// vLLM doubles or quadruples its prefill step on cards of 70 GiB and more but the A100; by generation here, so that
/// needs do not depend on how much memory there is.
bool takes_large_steps(const Device& device) {
  constexpr std::array<std::string_view, 7> generations{"Hopper", "Blackwell", "Blackwell Ultra", "Rubin",
                                                        "CDNA 3", "CDNA 4",    "CDNA 5"};
  return device.kind == "datacenter-gpu" &&
         std::find(generations.begin(), generations.end(), device.generation) != generations.end();
}

}  // namespace

std::int64_t max_sequences(std::int64_t concurrency) { return std::max<std::int64_t>(256, concurrency); }

std::int64_t prefill_tokens(const std::string& engine, const Device& device) {
  if (engine == "llama.cpp") return 512;  // n_ubatch
  return takes_large_steps(device) ? 8192 : 2048;
}

double vllm_activations(const Model& model, std::int64_t sequences, std::int64_t batch_tokens, bool before_0_17) {
  const auto shape = shape_of(model);
  const auto tokens = static_cast<double>(batch_tokens);
  const double logits = static_cast<double>(sequences) * shape.vocab * 4;
  const double stream = tokens * shape.hidden * 2;
  const double sampler = before_0_17 ? 9.5 * logits + 1.6 * stream : 3.5 * logits + 3 * stream;
  // Gate and up projections and their product, and 4.25 copies of the residual stream: 0.77 GiB measured for
  // CodeLlama-7B, 0.85 for Granite-8B, whose vocabularies are too small for the sampler to matter.
  const double inner = model.experts.value_or(0) > 1 && model.moe_intermediate
                           ? static_cast<double>(*model.moe_intermediate * model.experts_used.value_or(1))
                           : shape.intermediate;
  const double forward = tokens * 2 * 3 * inner + 4.25 * stream;
  return std::max(sampler, forward);
}

EngineBuffers engine_buffers(const std::string& engine, const Model& model, const Device& device,
                             const EngineLoad& load) {
  if (engine == "vllm") return vllm_buffers(model, load);
  if (engine == "sglang" || engine == "tensorrt-llm") return like_vllm(model, load);
  if (engine == "llama.cpp") return llama_cpp_buffers(model, device, load);
  return transformers_buffers(model, device, load);
}

EngineOverhead engine_overhead(const std::string& engine, const Model& model, const Device& device,
                               const EngineLoad& load) {
  EngineOverhead overhead{engine_buffers(engine, model, device, load), {}, {}};
  const std::vector<std::string> vllm_logs{vllm_new_logs, vllm_old_logs};
  if (engine == "vllm") {
    overhead.assumed = "vLLM 0.18 or later, " + std::to_string(max_sequences(load.concurrency)) + " sequences, " +
                       std::to_string(load.batch_tokens) + " tokens per step";
    overhead.sources = vllm_logs;
  } else if (engine == "sglang" || engine == "tensorrt-llm") {
    overhead.assumed = std::string(engine == "sglang" ? "SGLang" : "TensorRT-LLM") + " with buffers as vLLM's";
    overhead.sources = vllm_logs;
  } else if (engine == "llama.cpp") {
    overhead.assumed = "llama.cpp with flash attention, micro-batches of " + std::to_string(load.batch_tokens);
    overhead.sources = {llama_cpp_source};
  } else {
    overhead.assumed = "the whole prompt in one step";
  }
  return overhead;
}

UsableMemory engine_memory(const std::string& engine, const Hardware& hardware) {
  const Device& device = hardware.device;
  const double memory = device.memory * static_cast<double>(hardware.count);
  UsableMemory usable{memory, 0, 1, 1};
  if (device.kind == "apple-soc") {
    usable.bytes = 0.75 * memory;  // Metal's default working-set limit
  } else if (device.kind == "mobile") {
    // What the system lets one app have: 6 of 8 GB on an iPhone 15 Pro, 4.2 of 6 on a 13 Pro, both with the entitlement
    // for large memory (without it 3 and 3.1): introlab/rtabmap#1446, a-ghorbani/pocketpal-ai#651. Nobody published
    // what Android leaves; taken to be alike.
    usable.bytes = 0.72 * memory;
    usable.sd = 0.04 * memory;
  } else if (device.kind.find("cpu") != std::string::npos) {
    usable.bytes = 0.9 * memory;  // the operating system lives there too
  } else if (is_gpu(device)) {
    // An H100 of 80 GB shows 79.18 GiB to CUDA, one part in a hundred less; cards with ECC in GDDR memory show up to
    // 6 % less.
    usable.bytes = 0.99 * memory;
    usable.sd = 0.01 * memory;
  }
  if (engine == "vllm") usable.bytes *= 0.9, usable.sd *= 0.9;  // gpu-memory-utilization, of total memory
  if (engine == "sglang") usable.static_share = 0.9;            // mem-fraction-static, of total memory
  if (engine == "tensorrt-llm") usable.cache_share = 0.9;       // kv_cache_free_gpu_memory_fraction
  return usable;
}

}  // namespace advisor
