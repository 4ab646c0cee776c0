#include "lm/architecture.h"

#include <array>

#include "core/error.h"

namespace advisor {
namespace {

constexpr std::array<Architecture, 1> architectures = {{
    {
        .id = "LlamaForCausalLM",
        .embedding = "model.embed_tokens.weight",
        .final_norm = "model.norm.weight",
        .head = "lm_head.weight",
        .layer_prefix = "model.layers.",
        .attention_norm = "input_layernorm.weight",
        .query = "self_attn.q_proj.weight",
        .key = "self_attn.k_proj.weight",
        .value = "self_attn.v_proj.weight",
        .attention_out = "self_attn.o_proj.weight",
        .mlp_norm = "post_attention_layernorm.weight",
        .gate = "mlp.gate_proj.weight",
        .up = "mlp.up_proj.weight",
        .down = "mlp.down_proj.weight",
        .activation = "silu",
    },
}};

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

}  // namespace advisor
