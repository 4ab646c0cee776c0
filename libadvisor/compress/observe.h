// One pass of calibration sequences through a block: what its linear layers see.
#pragma once

#include <functional>

#include "compress/activations.h"
#include "compress/stats.h"
#include "compress/technique.h"
#include "lm/block.h"

namespace advisor {

/// Statistics of every input of the block; Gram matrices only when `needs` is gram. Sequences go through on up to
/// `threads` threads and are added in their order: the result does not depend on the number of threads. Holds the
/// inputs of `threads` sequences at a time. `each` is called after each batch.
BlockStats observe_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                         const BlockWeights& block, const Activations& activations, Needs needs, int threads,
                         const std::function<void()>& each);

/// Replaces the activations by the block's outputs.
void advance_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                   const BlockWeights& block, Activations& activations, int threads, const std::function<void()>& each);

}  // namespace advisor
