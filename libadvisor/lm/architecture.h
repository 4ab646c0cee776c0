// What is different from one decoder architecture to the next, as a table: tensor names and the shape of a block.
// Adding an architecture that computes as these do = one row in architecture.cpp.
#pragma once

#include <string>
#include <string_view>

namespace advisor {

/// Names of the tensors of a pre-norm decoder (RMSNorm, RoPE rotate-half, grouped-query attention, gated MLP, no
/// biases). Names in a block follow layer_prefix + index + ".".
struct Architecture {
  std::string_view id;  ///< Hugging Face class
  std::string_view embedding, final_norm, head;
  std::string_view layer_prefix;
  std::string_view attention_norm, query, key, value, attention_out;
  std::string_view mlp_norm, gate, up, down;
  std::string_view activation;  ///< the one that `gate` goes through
};

/// Throws unsupported, with the list of those there are.
const Architecture& find_architecture(std::string_view id);

/// "model.layers.3.self_attn.q_proj.weight"
std::string tensor_name(const Architecture& architecture, long long layer, std::string_view part);

}  // namespace advisor
