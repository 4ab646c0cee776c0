// Error budgets of what is stored without a technique: dense dtypes and the block types of ggml. Each is the error of a
// plain choice of scales that reaches every weight; encoders search for less, so that a sound file stays far below it.
//   dense    u |w|, with u = 2^-11 (f16), 2^-8 (bf16), 0 (f32): rounding to nearest
//   uniform  (s + s_u) / 2 + (m_u) / 2 + roundings, with s the step that spreads the codes over the group's weights,
//   s_u
//            and m_u what one multiple of the super-block's units adds (0 where a group has its own scale)
//   tables   half of the widest gap between levels instead of half a step
//   ternary  |w|: zero is always a level
// r(x) = 2^-11 |x| + 2^-25 is the rounding of a number to half precision, subnormals included. No budget exceeds what
// storing zeros would leave. Where columns have importance an unimportant one may be far off: twice that then.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/kernels/blocks.h"

namespace advisor {

/// Upper bound of ||rows - stored(rows)||_F^2 for rows [n, in].
double storage_error_bound(std::span<const float> rows, kernels::BlockType type, bool importance = false);

}  // namespace advisor
