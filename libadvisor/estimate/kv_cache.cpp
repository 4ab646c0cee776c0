#include "estimate/kv_cache.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

namespace advisor {

namespace {

using Kind = LayerGroup::Kind;

/// Values per token at all layers for models whose geometry nobody states: regression of ln(bytes at 16 bits) on
/// ln(parameters) over the 250 grouped-query models of the catalog, plus one residual sd, so that it errs high.
constexpr double residual_sd = 0.57;
double values_by_size(double params) { return 48276.7 * std::pow(params / 1e9, 0.3825) * std::exp(residual_sd) / 2; }

void add(KvLayout& layout, const LayerGroup& group) {
  if (group.layers > 0 || group.fixed_bytes > 0) layout.groups[static_cast<std::size_t>(layout.count++)] = group;
}

std::optional<KvLayout> latent(const Model& m) {
  if (!m.kv_lora_rank || !m.layers) return std::nullopt;
  KvLayout layout;
  layout.basis = "geometry";
  add(layout, {Kind::latent, m.kv_layers.value_or(*m.layers),
               static_cast<double>(*m.kv_lora_rank + m.qk_rope_head_dim.value_or(64)),
               static_cast<double>(m.indexer_bytes_per_token.value_or(0)), 0});
  return layout;
}

std::optional<KvLayout> heads(const Model& m) {
  if (!m.layers || !m.heads || !(m.head_dim || m.hidden)) return std::nullopt;
  const auto layers = m.kv_layers.value_or(*m.layers);
  const double head_dim =
      m.head_dim ? static_cast<double>(*m.head_dim) : static_cast<double>(*m.hidden) / static_cast<double>(*m.heads);
  const double values = 2 * static_cast<double>(m.kv_heads.value_or(*m.heads)) * head_dim;
  KvLayout layout;
  layout.basis = "geometry";
  const bool pattern_known = m.sliding_window && m.full_attention_layers;
  const auto full = pattern_known ? std::min(*m.full_attention_layers, layers) : layers;
  double full_values = values;
  if (m.full_kv_heads || m.full_head_dim)
    full_values = 2 * static_cast<double>(m.full_kv_heads.value_or(m.kv_heads.value_or(*m.heads))) *
                  (m.full_head_dim ? static_cast<double>(*m.full_head_dim) : head_dim);
  add(layout, {Kind::full, full, full < layers || pattern_known ? full_values : values, 0, 0});
  add(layout, {Kind::sliding, layers - full, values, 0, m.sliding_window.value_or(0)});
  // Half of the layers would slide in a typical model: the upper bound may be that far off.
  if (m.sliding_window && !pattern_known) layout.spread = 0.25;
  return layout;
}

double round_up(double tokens, std::int64_t block) {
  return block > 1 ? std::ceil(tokens / static_cast<double>(block)) * static_cast<double>(block) : tokens;
}

}  // namespace

std::optional<KvLayout> kv_layout(const Model& m) {
  auto layout = latent(m);
  if (!layout) layout = heads(m);
  if (!layout && m.kv_bytes_per_token_bf16) {
    layout.emplace();
    layout->basis = "geometry";
    add(*layout, {Kind::full, 1, *m.kv_bytes_per_token_bf16 / 2, 0, 0});
  }
  if (!layout && m.params) {
    layout.emplace();
    layout->basis = "parameters";
    layout->spread = residual_sd;
    add(*layout, {Kind::full, 1, values_by_size(*m.params), 0, 0});
  }
  if (layout && m.state_bytes) add(*layout, {Kind::recurrent, 0, 0, *m.state_bytes, 0});
  return layout;
}

namespace {

/// llama.cpp's cache types are blocks of 32 values; int4 and int2 as in transformers' quantized cache: a 16-bit scale
/// and zero point per 64 values; nvfp4: an 8-bit scale per 16.
constexpr std::pair<std::string_view, double> cache_formats[] = {{"fp16", 2.0},
                                                                 {"bf16", 2.0},
                                                                 {"f16", 2.0},
                                                                 {"fp8", 1.0},
                                                                 {"fp8_e4m3", 1.0},
                                                                 {"fp8_e5m2", 1.0},
                                                                 {"int8", 1.0},
                                                                 {"q8_0", 34.0 / 32},
                                                                 {"q5_1", 24.0 / 32},
                                                                 {"q5_0", 22.0 / 32},
                                                                 {"q4_1", 20.0 / 32},
                                                                 {"q4_0", 18.0 / 32},
                                                                 {"iq4_nl", 18.0 / 32},
                                                                 {"int4", 0.5 + 4.0 / 64},
                                                                 {"int2", 0.25 + 4.0 / 64},
                                                                 {"fp4", 0.5 + 1.0 / 16},
                                                                 {"nvfp4", 0.5 + 1.0 / 16},
                                                                 {"fp32", 4.0},
                                                                 {"f32", 4.0}};

}  // namespace

double kv_value_bytes(std::string_view kv) {
  for (const auto& [name, bytes] : cache_formats)
    if (name == kv) return bytes;
  return 2;
}

double kv_bits(std::string_view kv) {
  const auto digits = kv.find_first_of("0123456789");
  double bits = 16;
  if (digits != std::string_view::npos) std::from_chars(kv.data() + digits, kv.data() + kv.size(), bits);
  return bits;
}

std::vector<std::string> kv_formats() {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : cache_formats) names.emplace_back(name);
  return names;
}

KvPaging kv_paging(const std::string& engine, const Model& m) {
  // vLLM's block_size is 16 tokens, TensorRT-LLM's tokens_per_block 32.
  if (engine == "vllm") return {16, true, 16};
  if (engine == "tensorrt-llm") return {32, true, 32};
  if (engine == "llama.cpp") {
    // The cache is padded to 256 tokens and keeps a micro-batch of 512 beside the window. The window is known to GGUF
    // files of some architectures only; Mistral's and Phi-3's are written without it.
    const bool slides = m.architecture != "mistral" && m.architecture != "phi3" && m.architecture != "llama";
    return {256, slides, 512};
  }
  return {};
}

double kv_copies(const std::string& engine, const Model& m, std::int64_t devices) {
  const bool splits_tensors = engine == "vllm" || engine == "sglang" || engine == "tensorrt-llm";
  if (!splits_tensors || devices <= 1) return 1;
  const auto heads = m.kv_lora_rank ? 1 : m.kv_heads ? *m.kv_heads : m.heads ? *m.heads : devices;
  return std::max(1.0, static_cast<double>(devices) / static_cast<double>(heads));
}

double kv_bytes(const KvLayout& layout, double value_bytes, double context, double sequences, const KvPaging& paging) {
  double bytes = 0;
  const double all = round_up(context, paging.block);
  for (int i = 0; i < layout.count; ++i) {
    const auto& group = layout.groups[static_cast<std::size_t>(i)];
    if (group.kind == Kind::recurrent) {
      bytes += group.fixed_bytes;
      continue;
    }
    double tokens = all;
    if (group.kind == Kind::sliding && paging.slides)
      tokens = std::min(all, round_up(static_cast<double>(group.window + paging.window_extra), paging.block));
    bytes += static_cast<double>(group.layers) * (group.values * value_bytes + group.fixed_bytes) * tokens;
  }
  return bytes * sequences;
}

std::optional<KvCache> estimate_kv_cache(const Model& model, const std::string& kv, std::int64_t context,
                                         std::int64_t concurrency) {
  const auto layout = kv_layout(model);
  if (!layout) return std::nullopt;
  const double bytes =
      kv_bytes(*layout, kv_value_bytes(kv), static_cast<double>(context), static_cast<double>(concurrency));
  return KvCache{bytes, std::string(layout->basis), layout->spread};
}

}  // namespace advisor
