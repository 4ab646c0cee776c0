// What calibration knows of one input of linear layers: moments of the vectors x that reach it. All matrices that read
// the same input (query, key, value; gate, up) share one LayerStats.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "lm/block.h"
#include "tensor/tensor.h"

namespace advisor {

struct LayerStats {
  std::int64_t tokens = 0;         ///< vectors that were seen
  Tensor gram;                     ///< [in, in], mean of x x^T, both triangles; empty when no technique asked for it
  std::vector<float> mean_square;  ///< [in], mean of x^2: the diagonal of `gram`
  std::vector<float> mean_abs;     ///< [in], mean of |x|
  std::vector<float> abs_max;      ///< [in], largest |x|
};

/// When no more is known than what each input counts.
LayerStats importance_only(std::span<const float> mean_square);

/// Statistics of the inputs of one block. Where a block has experts, those of mlp_in belong to the router and each
/// expert has its own at expert_in and expert_down_in.
struct BlockStats {
  std::map<std::pair<SiteKind, int>, LayerStats> sites;  ///< by Site::kind and Site::expert

  /// Throws internal when the input was not observed.
  LayerStats& at(Site site);
};

/// What a technique must know of the inputs of a matrix.
enum class Needs {
  nothing,     ///< the weights alone; statistics improve it where it can use them
  importance,  ///< LayerStats::mean_square
  gram,        ///< LayerStats::gram (and mean_square)
};

/// Throws invalid_argument when `stats` has not what `needs` asks for, for `in` inputs, or holds values that are not
/// finite or negative mean squares.
void check_stats(const LayerStats& stats, std::int64_t in, Needs needs);

/// The statistics of x / scales, element by element: exact up to float32 rounding, no data needed. Scales are > 0.
/// Throws invalid_argument when their number is not that of the inputs.
void divide_inputs(LayerStats& stats, std::span<const float> scales);

}  // namespace advisor
