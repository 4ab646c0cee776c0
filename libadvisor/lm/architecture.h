// What is different from one decoder architecture to the next, as a table: tensor names and the shape of a block.
// Adding an architecture that computes as these do = one row in architecture.cpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"

namespace advisor {

/// Names of the tensors of a pre-norm decoder (RMSNorm, RoPE rotate-half, grouped-query attention, gated MLP or
/// mixture of gated MLPs). Names in a block follow layer_prefix + index + "."; those of an expert follow expert_prefix
/// + index + "."; a bias has the name of its weight with ".bias" in place of ".weight". Empty: there is none.
struct Architecture {
  std::string_view id;  ///< Hugging Face class
  std::string_view embedding = "model.embed_tokens.weight", final_norm = "model.norm.weight", head = "lm_head.weight";
  std::string_view layer_prefix = "model.layers.";
  std::string_view attention_norm = "input_layernorm.weight";
  std::string_view query = "self_attn.q_proj.weight", key = "self_attn.k_proj.weight",
                   value = "self_attn.v_proj.weight";
  std::string_view fused_qkv = {};                  ///< in place of the three
  std::string_view query_norm = {}, key_norm = {};  ///< RMSNorm of each head, before rotation
  std::string_view attention_out = "self_attn.o_proj.weight";
  std::string_view post_attention_norm = {};  ///< of what attention adds to the residual stream
  std::string_view mlp_norm = "post_attention_layernorm.weight";
  std::string_view gate = "mlp.gate_proj.weight", up = "mlp.up_proj.weight", down = "mlp.down_proj.weight";
  std::string_view fused_gate_up = {};               ///< in place of the two
  std::string_view post_mlp_norm = {};               ///< of what the MLP adds to the residual stream
  std::string_view router = {}, expert_prefix = {};  ///< a mixture: gate, up and down are then those of an expert
  std::string_view activation = "silu";              ///< the one that `gate` goes through
  bool norm_plus_one = false;                        ///< RMSNorm multiplies by (1 + weight)
  bool scaled_embedding = false;                     ///< by sqrt(hidden)
  bool qkv_bias = false;                             ///< always, whatever the configuration says
};

/// Throws unsupported, with the list of those there are.
const Architecture& find_architecture(std::string_view id);

/// "model.layers.3.self_attn.q_proj.weight"
std::string tensor_name(const Architecture& architecture, long long layer, std::string_view part);

/// True for linear layers that engines keep in full precision: the head and the router of a mixture.
bool never_quantized(const Architecture& architecture, std::string_view tensor);

/// Tensors with the same name here are one matrix (or one batch of experts) inside engines and must share a scheme:
/// query, key and value; gate and up; all experts of a layer. The tensor's own name when it stands alone.
std::string fused_group(const Architecture& architecture, std::string_view tensor);

/// What sees one input: the linear layers that read it. Experts have inputs of their own. The last two are read by
/// attention alone: keys, rotated, and values, as a cache holds them.
enum class SiteKind {
  attention_in,
  attention_out,
  mlp_in,
  down_in,
  expert_in,
  expert_down_in,
  cached_keys,
  cached_values
};

/// A scale per column of the input of `site` can be moved, without changing what the model computes, into what
/// produces it: a norm's weight, or the rows of a linear layer.
enum class FoldSource { attention_norm, value_rows, mlp_norm, up_rows };
struct Fold {
  SiteKind site;      ///< mlp_in stands for everything that reads the normed stream: gate, up, router and all experts
  FoldSource source;  ///< its rows (or weight) are divided by what the columns at `site` are multiplied with
  bool operator==(const Fold&) const = default;
};

/// In the order in which data flows. Query heads that share a value head see the same rows: at value_rows their
/// columns must have the same scales.
std::vector<Fold> folds(const Architecture& architecture);

}  // namespace advisor
