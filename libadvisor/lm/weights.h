// All weights of a decoder in float32, laid out for few and large matrix products.
#pragma once

#include <vector>

#include "checkpoint/checkpoint.h"
#include "tensor/tensor.h"

namespace advisor {

struct LayerWeights {
  Tensor attention_norm;  ///< [hidden]
  Tensor qkv;             ///< [(heads + 2 kv_heads) * head_dim, hidden]: query, key, value one below the other
  Tensor attention_out;   ///< [hidden, heads * head_dim]
  Tensor mlp_norm;        ///< [hidden]
  Tensor gate_up;         ///< [2 * intermediate, hidden]: gate above up
  Tensor down;            ///< [hidden, intermediate]
};

struct DecoderWeights {
  Tensor embedding;   ///< [vocab, hidden]
  Tensor final_norm;  ///< [hidden]
  Tensor own_head;    ///< [vocab, hidden], or empty when the embedding is used
  std::vector<LayerWeights> layers;

  const Tensor& head() const { return own_head.size() != 0 ? own_head : embedding; }
};

/// Reads and dequantizes every tensor. Throws unsupported when the configuration or a tensor of the checkpoint is
/// something the architecture's table does not speak of, parse_error when a shape contradicts the configuration.
DecoderWeights load_weights(const Checkpoint& checkpoint, int threads);

}  // namespace advisor
