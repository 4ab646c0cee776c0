// Rows of the catalogs in data/*.csv, as loaded into Knowledge. Empty or nullopt means that no source stated it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace advisor {

/// What a matrix does in a decoder; quantization treats them apart.
enum class TensorRole : std::uint8_t {
  embedding,
  head,
  attn_q,
  attn_k,
  attn_v,
  attn_qkv,   ///< the three in one
  attn_kv_b,  ///< keys and values from the latent (MLA)
  attn_output,
  ffn_up,
  ffn_gate,
  ffn_down,
  router,  ///< of a mixture of experts; never quantized
  linear,  ///< any other matrix that quantization touches
  wide,    ///< matrices that stay as they are: vision towers, convolutions
  vector   ///< norms and biases
};

/// Equal tensors of consecutive layers.
struct TensorGroup {
  TensorRole role = TensorRole::linear;
  std::int64_t rows = 0, columns = 0;        ///< [out, in]; vectors are one row
  std::int64_t copies = 1;                   ///< in one layer: experts
  std::int64_t first_layer = 0, layers = 1;  ///< tensors outside the blocks: 0 and 1
  bool routed = false;                       ///< an expert that only its tokens pass through
  double elements() const {
    return static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(copies * layers);
  }
};

struct Model {
  std::string id;
  std::string family, developer, architecture, attention, native_dtype, specialty;
  std::optional<double> params;         ///< parameters (not billions)
  std::optional<double> active_params;  ///< per token, for mixtures of experts
  std::optional<std::int64_t> layers, hidden, intermediate, heads, kv_heads, head_dim, vocab, max_context;
  std::optional<std::int64_t> experts, experts_used, sliding_window;
  std::optional<std::int64_t> kv_layers;                       ///< layers that keep a growing KV cache, when not all
  std::optional<std::int64_t> kv_lora_rank, qk_rope_head_dim;  ///< MLA latent geometry
  std::optional<double> kv_bytes_per_token_bf16;               ///< stated or upper bound; see data/README.md
  std::optional<bool> tie_embeddings;
  std::vector<std::string> modalities_in, modalities_out;
  std::string qat;             ///< "no", or what kind
  std::string licence;         ///< empty = unknown; unknown never counts as allowed
  std::string commercial_use;  ///< yes, no, conditional, empty
  std::string released;        ///< YYYY-MM or empty
  std::string url, locator;
  std::optional<std::int64_t> moe_intermediate{}, shared_expert_intermediate{};
  std::optional<std::int64_t> full_attention_layers{};  ///< of kv_layers; the others look back sliding_window tokens
  std::optional<std::int64_t> full_kv_heads{}, full_head_dim{};  ///< of these layers, where the sliding ones differ
  std::optional<std::int64_t> q_lora_rank{}, qk_nope_head_dim{}, v_head_dim{};  ///< MLA projections
  std::optional<std::int64_t> indexer_bytes_per_token{};  ///< keys of a sparse-attention indexer, per token and layer
  std::optional<std::int64_t> dense_layers{};             ///< of a mixture: layers with one ordinary MLP
  std::optional<double> state_bytes{};  ///< constant state of all linear or Mamba layers, per sequence
  std::vector<TensorGroup> tensors{};   ///< of a checkpoint at hand; empty for catalog rows
  std::string params_source{};          ///< stated, computed from geometry, model name (nominal) ...
  std::string notes{};
};

/// A compression technique the advice may name; `implemented` when libadvisor itself can execute it.
struct Technique {
  std::string id, title;
  std::string kind;  ///< none, quantization, pruning, distillation, ...
  bool needs_calibration = false;
  bool implemented = false;
  std::string source;
};

/// What an engine loads on a hardware generation, from data/engine_support.csv.
struct EngineSupport {
  std::string engine;
  std::string format;  ///< "compressed-tensors:W4A16", "gguf:Q4_K_M": file format and scheme, or the start of one
  std::string generation;
  std::string supported;  ///< yes, no, emulated
  std::string source, locator;
  std::string published_format{};  ///< as the engine's documentation calls it
};

struct Price {
  std::string provider, sku, hardware;
  std::int64_t count = 1;
  double usd_per_hour = 0;
  std::string pricing, as_of, url, locator;
};

struct ApiPrice {
  std::string model, provider;
  double usd_per_million_input = 0, usd_per_million_output = 0;
  std::string as_of, url, locator;
};

/// A compressed checkpoint that somebody already published.
struct PublishedCheckpoint {
  std::string model, checkpoint, technique, scheme, format, publisher;
  bool official = false;
  std::string url, locator;
};  // scheme: one, several joined by ';', or "unspecified"; none was tested for existence

}  // namespace advisor
