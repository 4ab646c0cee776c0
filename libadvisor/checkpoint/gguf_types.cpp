// What a tensor is to llama-quantize, by its name in the file.
#include <array>
#include <charconv>

#include "checkpoint/gguf.h"
#include "tensor/tensor.h"

namespace advisor::gguf {
namespace {

struct RoleName {
  std::string_view name;
  TensorRole role;
};

constexpr std::array<RoleName, 14> roles{{
    {"token_embd", TensorRole::embedding},
    {"output", TensorRole::head},
    {"attn_q", TensorRole::attn_q},
    {"attn_k", TensorRole::attn_k},
    {"attn_v", TensorRole::attn_v},
    {"attn_qkv", TensorRole::attn_qkv},
    {"attn_output", TensorRole::attn_output},
    {"ffn_up", TensorRole::ffn_up},
    {"ffn_gate", TensorRole::ffn_gate},
    {"ffn_down", TensorRole::ffn_down},
    {"ffn_gate_inp", TensorRole::router},
    {"ffn_up_exps", TensorRole::ffn_up},
    {"ffn_gate_exps", TensorRole::ffn_gate},
    {"ffn_down_exps", TensorRole::ffn_down},
}};

/// "blk.3.ffn_up.weight" -> 3 and "ffn_up"; outside of the blocks layer 0.
struct Spot {
  std::int64_t layer = 0;
  std::string_view kind;
};

Spot spot_of(std::string_view name) {
  Spot spot;
  if (name.starts_with("blk.")) {
    name.remove_prefix(4);
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), spot.layer);
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    if (name.starts_with(".")) name.remove_prefix(1);
  }
  spot.kind = name.substr(0, name.rfind('.'));
  return spot;
}

TensorRole role_of(const TensorInfo& tensor, std::string_view kind) {
  if (tensor.shape.size() < 2 || !tensor.name.ends_with(".weight") || kind.ends_with("_norm"))
    return TensorRole::vector;
  for (const RoleName& entry : roles) {
    if (entry.name == kind) return entry.role;
  }
  return TensorRole::linear;
}

}  // namespace

GgufType tensor_type(const OutputPlan& plan, const TensorInfo& tensor) {
  const std::optional<Place> in_file = place_of(tensor.name, plan.config);
  const Spot spot = spot_of(in_file ? std::string_view(in_file->tensor) : std::string_view());
  TensorGroup group;
  group.role = role_of(tensor, spot.kind);
  group.rows = tensor.shape.empty() ? 1 : tensor.shape.front();
  group.columns = tensor.shape.empty() ? 1 : tensor.shape.back();
  group.routed = spot.kind.ends_with("_exps");
  GgufModel model;
  model.layers = plan.config.layers;
  model.queries_per_kv = static_cast<double>(plan.config.heads) / static_cast<double>(plan.config.kv_heads);
  model.experts = plan.config.experts;
  model.tied = plan.config.tie_embeddings;
  return gguf_tensor_type(group, spot.layer, *gguf_mix_named(plan.type), plan.importance, model);
}

}  // namespace advisor::gguf
