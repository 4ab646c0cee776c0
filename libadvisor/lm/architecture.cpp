#include "lm/architecture.h"

#include <array>
#include <utility>

#include "core/error.h"

namespace advisor {
namespace {

constexpr std::array<Architecture, 9> architectures = {{
    {.id = "LlamaForCausalLM"},
    {.id = "MistralForCausalLM"},
    {.id = "MixtralForCausalLM",
     .gate = "w1.weight",
     .up = "w3.weight",
     .down = "w2.weight",
     .router = "block_sparse_moe.gate.weight",
     .expert_prefix = "block_sparse_moe.experts."},
    {.id = "Qwen2ForCausalLM", .qkv_bias = true},
    {.id = "Qwen3ForCausalLM", .query_norm = "self_attn.q_norm.weight", .key_norm = "self_attn.k_norm.weight"},
    {.id = "Qwen3MoeForCausalLM",
     .query_norm = "self_attn.q_norm.weight",
     .key_norm = "self_attn.k_norm.weight",
     .gate = "gate_proj.weight",
     .up = "up_proj.weight",
     .down = "down_proj.weight",
     .router = "mlp.gate.weight",
     .expert_prefix = "mlp.experts."},
    {.id = "Gemma2ForCausalLM",
     .post_attention_norm = "post_attention_layernorm.weight",
     .mlp_norm = "pre_feedforward_layernorm.weight",
     .post_mlp_norm = "post_feedforward_layernorm.weight",
     .activation = "gelu_pytorch_tanh",
     .norm_plus_one = true,
     .scaled_embedding = true},
    {.id = "Gemma3ForCausalLM",
     .query_norm = "self_attn.q_norm.weight",
     .key_norm = "self_attn.k_norm.weight",
     .post_attention_norm = "post_attention_layernorm.weight",
     .mlp_norm = "pre_feedforward_layernorm.weight",
     .post_mlp_norm = "post_feedforward_layernorm.weight",
     .activation = "gelu_pytorch_tanh",
     .norm_plus_one = true,
     .scaled_embedding = true},
    {.id = "Phi3ForCausalLM", .fused_qkv = "self_attn.qkv_proj.weight", .fused_gate_up = "mlp.gate_up_proj.weight"},
}};

struct BlockName {
  std::string_view prefix;  ///< "model.layers.3."
  std::string_view part;    ///< "self_attn.q_proj.weight"; empty when the tensor is not in a block
};

BlockName split_block(const Architecture& architecture, std::string_view tensor) {
  if (!tensor.starts_with(architecture.layer_prefix)) {
    return {};
  }
  std::size_t dot = tensor.find('.', architecture.layer_prefix.size());
  if (dot == std::string_view::npos) {
    return {};
  }
  return {tensor.substr(0, dot + 1), tensor.substr(dot + 1)};
}

}  // namespace

const Architecture& find_architecture(std::string_view id) {
  std::string known;
  for (const Architecture& architecture : architectures) {
    if (architecture.id == id) {
      return architecture;
    }
    known += (known.empty() ? "" : ", ") + std::string(architecture.id);
  }
  throw Error(ErrorCode::unsupported,
              "cannot run a model of architecture \"" + std::string(id) + "\"; this build runs: " + known);
}

std::string tensor_name(const Architecture& architecture, long long layer, std::string_view part) {
  return std::string(architecture.layer_prefix) + std::to_string(layer) + "." + std::string(part);
}

bool never_quantized(const Architecture& architecture, std::string_view tensor) {
  return tensor == architecture.head ||
         (!architecture.router.empty() && split_block(architecture, tensor).part == architecture.router);
}

std::string fused_group(const Architecture& architecture, std::string_view tensor) {
  auto [prefix, part] = split_block(architecture, tensor);
  auto group = [prefix = prefix](std::string_view name) { return std::string(prefix).append(name); };
  if (architecture.fused_qkv.empty() &&
      (part == architecture.query || part == architecture.key || part == architecture.value)) {
    return group(architecture.query);
  }
  std::string experts;
  if (!architecture.expert_prefix.empty() && part.starts_with(architecture.expert_prefix)) {
    std::size_t dot = part.find('.', architecture.expert_prefix.size());
    experts = architecture.expert_prefix;
    part.remove_prefix(dot == std::string_view::npos ? part.size() : dot + 1);
  }
  if (architecture.fused_gate_up.empty() && (part == architecture.gate || part == architecture.up)) {
    return group(experts + std::string(architecture.gate));
  }
  return experts.empty() ? std::string(tensor) : group(experts + std::string(part));
}

std::vector<Fold> folds(const Architecture& architecture) {
  bool mixture = !architecture.router.empty();
  return {{SiteKind::attention_in, FoldSource::attention_norm},
          {SiteKind::attention_out, FoldSource::value_rows},
          {SiteKind::mlp_in, FoldSource::mlp_norm},
          {mixture ? SiteKind::expert_down_in : SiteKind::down_in, FoldSource::up_rows}};
}

}  // namespace advisor
