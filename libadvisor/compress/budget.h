// Error budgets of what is stored without a technique: dense dtypes and the block types of ggml. Each is derived from
// the encoder's arithmetic, so that a correct file can never exceed it and a wrong layout always does.
//   dense   u |w|, with u = 2^-11 (f16), 2^-8 (bf16), 0 (f32): rounding to nearest
//   Q8_0    d / 2 + 127 r(d)                      d = absmax / 127
//   Qb_0    d / 2 + overshoot + 2^(b-1) r(d)      d = absmax / 2^(b-1); overshoot: the end opposite to the extreme
//                                                 lies up to half a step beyond its last code
//   Qb_1    d / 2 + (2^b - 1) r(d) + r(min)       d = (max - min) / (2^b - 1)
// r(x) = 2^-11 |x| + 2^-25 is the rounding of a number to half precision, subnormals included. Per block of 32.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/kernels/blocks.h"

namespace advisor {

/// Upper bound of ||rows - stored(rows)||_F^2 for rows [n, in]; throws internal for a type without a budget.
double storage_error_bound(std::span<const float> rows, kernels::BlockType type);

}  // namespace advisor
