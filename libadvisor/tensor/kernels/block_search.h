// The search behind the block encoders: scales, minima and codes that minimise
//   sum_i w_i (x_i - x'_i)^2
// over the levels that a block type can store; w is the importance of the weight's input column, or 1. Sixteen groups
// of weights are fitted side by side, one in each lane, by operations that treat lanes alone: the result is the same on
// every SIMD width and in the scalar build of the same code (block_search_scalar.cpp), which is the oracle in tests.
// Method: for every trial scale the codes are rounded, the best scale (and minimum) for those codes has a closed form,
// and so has the error it leaves; the multiples of a super-block's scale that can be stored are then tried around the
// best, their error measured with the arithmetic of the decoder. Private to the encoders (blocks_*.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace advisor::kernels {

inline constexpr int lanes = 16;          ///< groups fitted side by side
inline constexpr int most_weights = 256;  ///< of a group

/// Weight i of the group in lane g at [lanes * i + g]. importance nullptr: all 1.
struct Groups {
  int size = 0;  ///< weights of a group: 16, 32 or 256
  const float* weights = nullptr;
  const float* importance = nullptr;
};

/// Levels that codes stand for, in units of the scale.
struct Levels {
  enum class Kind : std::uint8_t {
    uniform,  ///< every integer; codes count from `low`
    iq4,      ///< iq4_levels; codes are places in it
    e2m1      ///< 4-bit floats times two: 0 1 2 3 4 6 8 12 and their negatives; codes are the floats' bits
  };
  Kind kind = Kind::uniform;
  int low = 0, high = 0;  ///< smallest and largest level
};

/// Trial scales: those that bring the extreme weight to the levels end + first, end + first + step, ... of the range's
/// end.
struct Trials {
  float first = 0, step = 0;
  int count = 0;
};

using Lanes = float[lanes];

struct ScaleFit {
  Lanes scale;
};
struct MultipleFit {
  Lanes multiple, error;
};
struct AffineFit {
  Lanes step, minimum;  ///< x' = step * code - minimum
};
struct AffineMultipleFit {
  Lanes step, minimum, error;  ///< multiples of the units
};
/// Sums of a group over its weights: w, w x, w q, w q^2, w x q, q being the levels of its codes.
struct Moments {
  Lanes w, wx, wq, wqq, wxq;
};

/// Integers that multiply a unit: tried from round(centre) - reach to round(centre) + reach, inside low..high.
struct Multiples {
  int low = 0, high = 0, reach = 0;
};

/// One implementation of the search; search() runs on the best SIMD target, scalar_search() without.
struct BlockSearch {
  /// Scale of either sign that fits each group best, codes and scale free; trials bring the extreme weight to the low
  /// end, and, when `both`, to the high end too.
  void (*fit_scale)(const Groups&, Levels, Trials, bool both, ScaleFit& out);
  /// Multiple of `unit` that fits each group best.
  void (*fit_multiple)(const Groups&, Levels, Multiples, const Lanes& unit, const Lanes& centre, MultipleFit& out);
  /// Step and minimum for codes 0..top. `signed_minimum` false: the minimum may not be negative.
  void (*fit_affine)(const Groups&, int top, Trials, bool signed_minimum, AffineFit& out);
  /// Multiples of a unit of steps and of a unit of minima, both from 0 to `highest`, around those of `centre`.
  void (*fit_affine_multiple)(const Groups&, int top, Multiples, const Lanes& step_unit, const Lanes& minimum_unit,
                              const AffineFit& centre, AffineMultipleFit& out);
  /// Moments of the codes that weights have under scale and minimum (x' = scale * level - minimum).
  void (*moments)(const Groups&, Levels, const Lanes& scale, const Lanes& minimum, Moments& out);
  /// Sum of w (x - x')^2.
  void (*error)(const Groups&, Levels, const Lanes& scale, const Lanes& minimum, Lanes& out);
  /// Codes of groups that follow each other in memory, groups[g] with scale[g] and minimum[g].
  void (*codes)(const float* x, int size, Levels, const Lanes& scale, const Lanes& minimum, std::uint8_t* out);
  /// groups[lanes * i + g] = x[size * g + i]
  void (*interleave)(const float* x, int size, float* groups);
};

const BlockSearch& search();         ///< on the target in use, see kernels.h
const BlockSearch& scalar_search();  ///< the same code without SIMD

/// Levels of IQ4_NL and IQ4_XS.
inline constexpr float iq4_levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// Sizes of 4-bit floats (E2M1), times two.
inline constexpr float e2m1_levels[8] = {0, 1, 2, 3, 4, 6, 8, 12};

}  // namespace advisor::kernels
