// The grid of integer quantization: from the range of a group of weights to a scale and a zero point, and from those to
// the largest error that rounding can make. Knows numbers only: no files, no tensors' names, no formats.
//
// Conventions (compressed-tensors; symbols: b bits, codes q in -2^(b-1) .. 2^(b-1)-1, w' = (q - z) s):
//   symmetric, full range        s = absmax / ((2^b - 1) / 2), z = 0; -2^(b-1) is reached, +absmax clamps by half a
//   step symmetric, restricted range  s = absmax / (2^(b-1) - 1),   z = 0; codes are symmetric too asymmetric s = (max
//   - min) / (2^b - 1),  z = round(qmin - min / s), with 0 forced into the range
// The scale is rounded to the dtype in which it is stored before the zero point and the codes are chosen.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/kernels/kernels.h"
#include "tensor/quantized.h"
#include "tensor/tensor.h"

namespace advisor {

enum class ScaleRange { full, restricted };

struct Grid {
  float scale = 1;
  int zero = 0;
};

/// Scale that maps `range`, shrunk by `shrink` in (0, 1], onto the codes of the scheme; not yet rounded.
/// 0 for a range that holds nothing but 0.
double ideal_scale(kernels::Range range, double shrink, const QuantScheme& scheme, ScaleRange convention);

/// Rounds ideal scales to `dtype` so that each can be divided by: 0 (a group of zeros) becomes 1; below the smallest
/// normal number float16 rounds up, which never clips, and the wider dtypes use the smallest normal (what such a scale
/// could resolve is below 1e-37, and GPUs flush subnormals). Throws invalid_argument when a scale overflows `dtype`.
std::vector<float> stored_scales(std::span<const double> ideal, DType dtype);

/// Zero point for a stored scale: 0 when symmetric.
int zero_point(kernels::Range range, double shrink, float scale, const QuantScheme& scheme);

/// Largest |w - w'| of any w in `range`: half a step, plus what lies further outside the codes, and never more than
/// |w| itself because 0 is always a level. A small factor covers float32 arithmetic.
double error_bound(kernels::Range range, Grid grid, const QuantScheme& scheme);

/// Throws invalid_argument naming row and column of the first NaN or infinity of rows [n, in]; `first_row` is added to
/// the row in the message.
void check_finite(std::span<const float> rows, std::int64_t in, std::int64_t first_row = 0);

}  // namespace advisor
