// All weights of a decoder in float32, laid out for few and large matrix products.
#pragma once

#include <vector>

#include "lm/block.h"

namespace advisor {

struct DecoderWeights {
  OuterWeights outer;
  std::vector<BlockWeights> blocks;
};

/// Reads and dequantizes every tensor, after check_model.
DecoderWeights load_weights(const Checkpoint& checkpoint, int threads);

}  // namespace advisor
