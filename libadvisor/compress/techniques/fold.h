// Scales that move between a linear layer's columns and what produces its input: y = W x = (W diag(s)) (x / s).
// Where they may go is data of the architecture (lm/architecture.h); this is how they get there.
#pragma once

#include <span>
#include <vector>

#include "compress/technique.h"

namespace advisor {

/// A linear layer that reads a scaled input, with what is known of that input.
struct Reader {
  Linear* linear;
  LayerStats* stats;
};

/// One place where scales can be folded.
struct FoldPlace {
  Fold fold;
  int expert = -1;                      ///< of up_rows inside an expert
  std::vector<Reader> readers;          ///< all that see the scaled input; never empty
  std::int64_t ties = 1, tied_run = 0;  ///< with ties > 1 (query heads that share a value head): runs of `tied_run`
                                        ///< columns come in sets of `ties` that have one source and must agree

  std::int64_t inputs() const { return readers.front().linear->weight.cols(); }
};

/// All places of a block, in the order in which data flows. A place none of whose readers will be quantized is left
/// out.
std::vector<FoldPlace> fold_places(const BlockTask& task);

/// Replaces the scales of columns that have one source by their geometric mean.
void tie_scales(const FoldPlace& place, std::span<float> scales);

/// Divides the source by `scales` [inputs], multiplies the readers' columns and divides the statistics. A norm is
/// rounded to the dtype in which it will be stored, and what it was really divided by goes to the readers, so that
/// rounding does not change the function. Scales of tied columns must be equal. Throws invalid_argument for a scale
/// that is not positive and finite.
void apply_fold(const BlockTask& task, const FoldPlace& place, std::span<const float> scales);

}  // namespace advisor
