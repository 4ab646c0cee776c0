// Causal grouped-query attention over rows of stacked queries, keys and values.
#pragma once

#include "lm/block.h"

namespace advisor {

/// out [n, heads * head_dim] = softmax(cap(scale Q K^T)) V for every head (Vaswani et al. 2017, eq. 1), each row over
/// what it sees (Rows, and the window of the layer). qkv [n, (heads + 2 kv_heads) * head_dim] is already rotated.
void attend(const ModelConfig& config, std::int64_t layer, const Rows& rows, const Tensor& qkv, Tensor& out);

}  // namespace advisor
