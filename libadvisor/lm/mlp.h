// The MLP of a block: dense, or a mixture of experts.
#pragma once

#include "lm/block.h"

namespace advisor {

/// out [n, ld_out] (+)= x W^T + b for x of n rows.
void apply(const Linear& linear, std::int64_t n, const float* x, std::int64_t ld, bool accumulate, float* out,
           std::int64_t ld_out);

/// out [n, hidden] += MLP(x), x [n, hidden]. Shows the sites that lie within it; mlp_in is the caller's. Returns
/// early, as forward_block does, behind `until`.
void add_mlp(const ModelConfig& config, const BlockWeights& weights, const Tensor& x, const Observe& observe,
             std::optional<SiteKind> until, Tensor& out);

/// "silu", "gelu_pytorch_tanh": those that add_mlp knows.
bool knows_activation(const std::string& activation);

}  // namespace advisor
