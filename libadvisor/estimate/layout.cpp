#include "estimate/layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <tuple>

namespace advisor {

namespace {

using Role = TensorRole;

/// Stated sizes are rounded to two digits, and whole billions are often a name ("7B" of 7.24) rather than a size.
bool agrees(double counted, double stated) {
  const bool whole = std::abs(stated / 1e9 - std::round(stated / 1e9)) < 1e-6;
  const double tolerance = std::max(0.05, whole ? std::min(0.1, 0.5e9 / stated) : 0.0);
  return std::abs(counted / stated - 1) <= tolerance;
}

bool is_one_of(std::string_view text, std::span<const std::string_view> list) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

/// What an architecture's blocks have beside the shapes in the catalog. Most are Llama's: gated MLP, separate
/// projections, no biases.
struct BlockStyle {
  bool gated = true;      ///< gate and up, against up alone
  bool fused = false;     ///< attn_qkv in one tensor; gate and up too
  bool qkv_bias = false;  ///< on the three projections
  std::int64_t norms = 2;
};

BlockStyle style_of(std::string_view architecture) {
  constexpr std::array<std::string_view, 10> plain{"gpt2", "gpt_neox", "falcon",     "bloom",   "phi",
                                                   "opt",  "nemotron", "starcoder2", "whisper", "bert"};
  constexpr std::array<std::string_view, 8> fused{"gpt2", "gpt_neox", "falcon", "bloom",
                                                  "phi3", "phi3_v",   "qwen",   "chatglm"};
  constexpr std::array<std::string_view, 12> biased{"qwen",       "qwen2",       "qwen2_moe", "qwen2_vl",
                                                    "qwen2_5_vl", "qwen2_audio", "gpt2",      "gpt_neox",
                                                    "starcoder2", "phi",         "glm4_moe",  "phimoe"};
  BlockStyle style;
  style.gated = !is_one_of(architecture, plain);
  style.fused = is_one_of(architecture, fused);
  style.qkv_bias = is_one_of(architecture, biased);
  if (architecture == "gemma2" || architecture == "gemma3") style.norms = 4;
  return style;
}

/// Blocks that these columns do not describe.
bool is_undescribed(const Model& m) {
  constexpr std::array<std::string_view, 11> others{"jamba",       "mamba",        "qwen3_next", "qwen3_5",
                                                    "qwen3_5_moe", "nemotron_h",   "gemma3n",    "gemma4",
                                                    "deepseek_v4", "nemotron-nas", "whisper"};
  return is_one_of(m.architecture, others) || m.attention.starts_with("hybrid");
}

class Builder {
 public:
  Builder(const Model& model, Layout& layout) : m_(model), layout_(layout), style_(style_of(model.architecture)) {}

  void attention() {
    const auto heads = *m_.heads, kv_heads = m_.kv_heads.value_or(heads);
    const auto head_dim = m_.head_dim.value_or(hidden() / heads);
    if (m_.kv_lora_rank) return latent_attention(heads);
    const auto q = heads * head_dim, kv = kv_heads * head_dim;
    if (style_.fused) {
      blocks(Role::attn_qkv, q + 2 * kv, hidden());
    } else {
      blocks(Role::attn_q, q, hidden());
      blocks(Role::attn_k, kv, hidden());
      blocks(Role::attn_v, kv, hidden());
    }
    blocks(Role::attn_output, hidden(), q);
    if (style_.qkv_bias) blocks(Role::vector, 1, q + 2 * kv);
  }

  void dense_mlp(std::int64_t first, std::int64_t layers) { mlp(*m_.intermediate, first, layers, 1, false); }

  void mixture(std::int64_t first, std::int64_t layers) {
    const auto experts = *m_.experts, inner = m_.moe_intermediate.value_or(*m_.intermediate);
    mlp(inner, first, layers, experts, true);
    add({Role::router, experts, hidden(), 1, first, layers});
    if (m_.shared_expert_intermediate) mlp(*m_.shared_expert_intermediate, first, layers, 1, false);
  }

  void rest(bool tied) {
    blocks(Role::vector, style_.norms, hidden());
    add({Role::vector, 1, hidden()});
    add({Role::embedding, *m_.vocab, hidden()});
    if (!tied) add({Role::head, *m_.vocab, hidden()});
  }

 private:
  std::int64_t hidden() const { return *m_.hidden; }
  void add(const TensorGroup& group) {
    if (group.layers > 0) layout_.groups.push_back(group);
  }
  void blocks(Role role, std::int64_t rows, std::int64_t columns) { add({role, rows, columns, 1, 0, *m_.layers}); }

  void mlp(std::int64_t inner, std::int64_t first, std::int64_t layers, std::int64_t copies, bool routed) {
    if (style_.gated && !style_.fused) add({Role::ffn_gate, inner, hidden(), copies, first, layers, routed});
    const auto up = style_.gated && style_.fused ? 2 * inner : inner;
    add({Role::ffn_up, up, hidden(), copies, first, layers, routed});
    add({Role::ffn_down, hidden(), inner, copies, first, layers, routed});
  }

  /// DeepSeek-V2, arXiv 2405.04434, section 2.1: queries and the pair of key and value come from latents.
  void latent_attention(std::int64_t heads) {
    const auto nope = *m_.qk_nope_head_dim, rope = m_.qk_rope_head_dim.value_or(64), value = *m_.v_head_dim;
    if (m_.q_lora_rank) {
      blocks(Role::linear, *m_.q_lora_rank, hidden());
      blocks(Role::linear, heads * (nope + rope), *m_.q_lora_rank);
    } else {
      blocks(Role::attn_q, heads * (nope + rope), hidden());
    }
    blocks(Role::linear, *m_.kv_lora_rank + rope, hidden());
    blocks(Role::attn_kv_b, heads * (nope + value), *m_.kv_lora_rank);
    blocks(Role::attn_output, hidden(), heads * value);
    blocks(Role::vector, 1, m_.q_lora_rank.value_or(0) + *m_.kv_lora_rank);
  }

  const Model& m_;
  Layout& layout_;
  BlockStyle style_;
};

void describe(const Model& m, bool tied, Layout& layout) {
  const double heads = static_cast<double>(m.heads.value_or(1));
  layout.gguf.layers = m.layers.value_or(0);
  layout.gguf.queries_per_kv =
      m.kv_lora_rank ? heads : heads / static_cast<double>(m.kv_heads.value_or(m.heads.value_or(1)));
  layout.gguf.experts = m.experts.value_or(0);
  layout.gguf.tied = tied;
  layout.gguf.falcon = m.architecture == "falcon";
  const auto experts = static_cast<double>(m.experts.value_or(0)),
             used = static_cast<double>(m.experts_used.value_or(0));
  layout.used_experts = experts > 1 && used > 0 ? std::min(1.0, used / experts) : 1;
}

std::optional<Layout> count_geometry(const Model& m, bool tied) {
  if (!m.layers || !m.hidden || !m.heads || !m.vocab || is_undescribed(m)) return std::nullopt;
  if (m.kv_lora_rank && (!m.qk_nope_head_dim || !m.v_head_dim)) return std::nullopt;
  const bool mixture = m.experts.value_or(0) > 1;
  const auto dense = mixture ? std::min(m.dense_layers.value_or(0), *m.layers) : *m.layers;
  if ((dense > 0 || !m.moe_intermediate) && !m.intermediate) return std::nullopt;
  Layout layout;
  describe(m, tied, layout);
  layout.basis = "geometry";
  Builder builder(m, layout);
  builder.attention();
  if (dense > 0) builder.dense_mlp(0, dense);
  if (mixture) builder.mixture(dense, *m.layers - dense);
  builder.rest(tied);
  return layout;
}

bool has_tower(const Model& m) {
  return std::any_of(m.modalities_in.begin(), m.modalities_in.end(), [](const auto& kind) { return kind != "text"; });
}

std::optional<Layout> from_stated_size(const Model& m) {
  if (!m.params || *m.params <= 0) return std::nullopt;
  Layout layout;
  const bool tied = m.tie_embeddings.value_or(false);
  describe(m, tied, layout);
  layout.basis = "parameters";
  const std::int64_t columns = m.hidden.value_or(4096);
  const auto elements = static_cast<std::int64_t>(*m.params);
  auto rows = elements / columns;
  if (m.vocab && m.hidden) {
    const std::int64_t embedding = std::min(*m.vocab, rows / 2);
    layout.groups.push_back({Role::embedding, embedding, columns});
    if (!tied) layout.groups.push_back({Role::head, std::min(embedding, rows - embedding), columns});
    rows -= tied ? embedding : 2 * embedding;
  }
  layout.groups.push_back({Role::linear, std::max<std::int64_t>(rows, 0), columns});
  layout.groups.push_back({Role::linear, 1, elements % columns});
  return layout;
}

}  // namespace

double Layout::elements() const {
  double sum = 0;
  for (const auto& group : groups) sum += group.elements();
  return sum;
}

std::optional<Layout> layout_from_geometry(const Model& m) {
  const auto tied = count_geometry(m, true), untied = count_geometry(m, false);
  if (!tied) return std::nullopt;
  if (m.tie_embeddings) return *m.tie_embeddings ? tied : untied;
  if (!m.params) return untied;
  // Nobody says: whichever is nearer to the stated size.
  return std::abs(tied->elements() - *m.params) < std::abs(untied->elements() - *m.params) ? tied : untied;
}

std::optional<Layout> layout_of(const Model& m) {
  if (!m.tensors.empty()) {
    Layout layout;
    layout.groups = m.tensors;
    const bool head =
        std::any_of(m.tensors.begin(), m.tensors.end(), [](const auto& g) { return g.role == Role::head; });
    describe(m, !head, layout);
    layout.basis = "checkpoint";
    return layout;
  }
  auto counted = layout_from_geometry(m);
  if (counted && m.params) {
    const double stated = *m.params, found = counted->elements(), rest = stated - found;
    if (!agrees(found, stated)) {
      if (!has_tower(m) || rest < 0 || rest > stated / 2) return from_stated_size(m);
      const std::int64_t columns = *m.hidden;
      counted->groups.push_back({Role::wide, static_cast<std::int64_t>(rest / static_cast<double>(columns)), columns});
    }
  }
  return counted ? counted : from_stated_size(m);
}

// --- a checkpoint's own tensors ---------------------------------------------------------------------------------

namespace {

/// The number between dots that follows "layers" or "blocks" or "h"; -1 outside the blocks.
std::int64_t layer_of(std::string_view name) {
  for (std::size_t at = 0; at < name.size();) {
    const auto dot = std::min(name.find('.', at), name.size());
    const auto part = name.substr(at, dot - at);
    if (!part.empty() && part.size() < 7 &&
        std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      std::int64_t value = 0;
      for (char c : part) value = 10 * value + (c - '0');
      return value;
    }
    at = dot + 1;
  }
  return -1;
}

Role role_of(std::string_view name, std::size_t dimensions) {
  if (dimensions < 2) return Role::vector;
  if (!name.ends_with("weight")) return Role::wide;
  const auto has = [&](std::string_view part) { return name.find(part) != std::string_view::npos; };
  if (has("visual") || has("vision") || has("audio") || has("multi_modal_projector")) return Role::wide;
  if (has("embed_tokens") || has("tok_embeddings") || has("wte.")) return Role::embedding;
  if (name.starts_with("lm_head") || has(".lm_head.") || name == "output.weight") return Role::head;
  if (has("mlp.gate.weight") || has("router") || has("block_sparse_moe.gate.")) return Role::router;
  constexpr std::array<std::pair<std::string_view, Role>, 15> parts{{{"q_proj", Role::attn_q},
                                                                     {"k_proj", Role::attn_k},
                                                                     {"v_proj", Role::attn_v},
                                                                     {"qkv", Role::attn_qkv},
                                                                     {"query_key_value", Role::attn_qkv},
                                                                     {"c_attn", Role::attn_qkv},
                                                                     {"kv_b_proj", Role::attn_kv_b},
                                                                     {"o_proj", Role::attn_output},
                                                                     {"gate_up_proj", Role::ffn_up},
                                                                     {"gate_proj", Role::ffn_gate},
                                                                     {"up_proj", Role::ffn_up},
                                                                     {"down_proj", Role::ffn_down},
                                                                     {".w1.", Role::ffn_gate},
                                                                     {".w2.", Role::ffn_down},
                                                                     {".w3.", Role::ffn_up}}};
  for (const auto& [part, role] : parts)
    if (has(part)) return role;
  return has("norm") || has("embed") || dimensions > 3 ? Role::wide : Role::linear;
}

}  // namespace

std::vector<TensorGroup> group_tensors(std::span<const NamedShape> tensors) {
  using Key = std::tuple<Role, std::int64_t, std::int64_t, bool>;
  std::map<Key, std::map<std::int64_t, std::int64_t>> counts;  // -> layer -> copies
  for (const auto& tensor : tensors) {
    if (tensor.name.ends_with(".rotary_emb.inv_freq")) continue;  // every reader computes it itself
    const Role role = role_of(tensor.name, tensor.shape.size());
    const std::int64_t columns = tensor.shape.empty() ? 1 : tensor.shape.back();
    std::int64_t all = 1;
    for (auto extent : tensor.shape) all *= extent;
    if (columns <= 0 || all <= 0) continue;
    const bool stacked = tensor.shape.size() == 3;  // experts in one tensor
    const std::int64_t copies = stacked ? tensor.shape[0] : 1;
    const bool routed = stacked || tensor.name.find(".experts.") != std::string::npos;
    counts[{role, all / columns / copies, columns, routed}][layer_of(tensor.name)] += copies;
  }
  std::vector<TensorGroup> groups;
  for (const auto& [key, layers] : counts) {
    const auto& [role, rows, columns, routed] = key;
    for (const auto& [layer, copies] : layers) {
      auto* last = groups.empty() ? nullptr : &groups.back();
      const bool same = last != nullptr && Key{last->role, last->rows, last->columns, last->routed} == key &&
                        last->copies == copies && layer > 0 && last->first_layer + last->layers == layer;
      if (same)
        ++last->layers;
      else
        groups.push_back({role, rows, columns, copies, std::max<std::int64_t>(layer, 0), 1, routed});
    }
  }
  return groups;
}

}  // namespace advisor
