#include "compress/budget.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

using kernels::BlockType;

constexpr double kArithmetic = 1 + 1e-4;  // float32 arithmetic of encoder and decoder

double half_rounding(double x) { return 0x1p-11 * std::fabs(x) + 0x1p-25; }

/// How a type spreads its codes: steps over the range of a group, in units where the group shares a super-block.
struct Spread {
  std::size_t group, super;  ///< weights
  double steps;              ///< from the smallest to the largest weight, or, symmetric, from 0 to the largest
  double widest = 1;         ///< widest gap between neighbouring levels, in steps
  bool has_minimum = false;
  double multiples = 0;  ///< of a unit: 0 = the group has a half-precision scale of its own
};

std::optional<Spread> spread_of(BlockType type) {
  switch (type) {
    case BlockType::q4_0: return Spread{32, 32, 7};
    case BlockType::q5_0: return Spread{32, 32, 15};
    case BlockType::q8_0: return Spread{32, 32, 127};
    case BlockType::q4_1: return Spread{32, 32, 15, 1, true};
    case BlockType::q5_1: return Spread{32, 32, 31, 1, true};
    case BlockType::q2_k: return Spread{16, 256, 3, 1, true, 15};
    case BlockType::q4_k: return Spread{32, 256, 15, 1, true, 63};
    case BlockType::q5_k: return Spread{32, 256, 31, 1, true, 63};
    case BlockType::q3_k: return Spread{16, 256, 3, 1, false, 31};
    case BlockType::q6_k: return Spread{16, 256, 31, 1, false, 127};
    case BlockType::iq4_nl: return Spread{32, 32, 113, 24};
    case BlockType::iq4_xs: return Spread{32, 256, 113, 24, false, 31};
    case BlockType::mxfp4: return Spread{32, 32, 4, 2};  // a power of two: the largest lies between levels 4 and 8
    default: return std::nullopt;
  }
}

double reach(kernels::Range range, bool has_minimum) {
  const double low = std::min(0.0, double{range.min}), high = std::max(0.0, double{range.max});
  return has_minimum ? high - low : std::max(-low, high);
}

/// Sum of squares that one super-block may be off by.
double super_bound(std::span<const float> weights, const Spread& spread) {
  const kernels::Range all = kernels::min_max(weights);
  const double unit = spread.multiples > 0 ? reach(all, spread.has_minimum) / spread.steps / spread.multiples : 0;
  const double minimum_unit =
      spread.has_minimum && spread.multiples > 0 ? -std::min(0.0, double{all.min}) / spread.multiples : 0;
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); i += spread.group) {
    const kernels::Range range = kernels::min_max(weights.subspan(i, spread.group));
    const double step = reach(range, spread.has_minimum) / spread.steps + unit;
    double worst = spread.widest * step / 2 + minimum_unit / 2 + spread.steps * half_rounding(step);
    if (spread.multiples > 0) worst += spread.steps * spread.multiples * 0x1p-25;  // of a unit below the normal halves
    if (spread.has_minimum) worst += half_rounding(double{range.min}) + spread.multiples * 0x1p-25;
    worst *= kArithmetic;
    sum += static_cast<double>(spread.group) * worst * worst;
  }
  return sum;
}

double squares(std::span<const float> rows, double relative, double absolute) {
  double sum = 0;
  for (const float w : rows) {
    const double worst = relative * std::fabs(double{w}) + absolute;
    sum += worst * worst;
  }
  return sum;
}

}  // namespace

double storage_error_bound(std::span<const float> rows, BlockType type, bool importance) {
  if (type == BlockType::f32) return 0;
  if (type == BlockType::f16) return squares(rows, 0x1p-11, 0x1p-25);
  if (type == BlockType::bf16) return squares(rows, 0x1p-8, 0x1p-133 /* half of the smallest subnormal */);
  if (importance) return 2 * squares(rows, kArithmetic, 0);
  const std::optional<Spread> spread = spread_of(type);
  if (!spread) return squares(rows, kArithmetic, 0);
  double sum = 0;
  for (std::size_t i = 0; i + spread->super <= rows.size(); i += spread->super) {
    const auto weights = rows.subspan(i, spread->super);
    sum += std::min(super_bound(weights, *spread), squares(weights, kArithmetic, 0x1p-25));
  }
  return sum;
}

}  // namespace advisor
