// One pass of calibration sequences through a block: what its linear layers see.
#pragma once

#include <functional>

#include "compress/activations.h"
#include "compress/stats.h"
#include "compress/technique.h"
#include "lm/block.h"

namespace advisor {

/// One matrix product of a block: a linear layer and the site that it reads.
struct Layer {
  Linear* linear;
  Site site;
};
std::vector<Layer> layers_of(BlockWeights& block);

/// The residual streams in front of the first block. Only the rows of the embedding that occur are read.
void embed_sequences(const Checkpoint& model, const std::vector<std::vector<std::int32_t>>& sequences, int threads,
                     Activations& activations);

/// Statistics of every input of the block; Gram matrices only when `needs` is gram. Sequences go through on up to
/// `threads` threads and are added in their order: the result does not depend on the number of threads. Holds the
/// inputs of `threads` sequences at a time. `each` is called after each batch.
BlockStats observe_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                         const BlockWeights& block, const Activations& activations, Needs needs, int threads,
                         const std::function<void()>& each);

/// Largest magnitudes of what a cache holds of a layer.
struct CacheRange {
  float key = 0, value = 0;
};

/// Replaces the activations by the block's outputs. Returns what the block put into its cache.
CacheRange advance_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                         const BlockWeights& block, Activations& activations, int threads,
                         const std::function<void()>& each);

}  // namespace advisor
