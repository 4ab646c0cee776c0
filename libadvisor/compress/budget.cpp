#include "compress/budget.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

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

double spread(kernels::Range range, bool has_minimum) {
  return has_minimum ? double{range.max} - double{range.min} : double{std::max(-range.min, range.max)};
}

double squares(std::span<const float> rows, double relative, double absolute) {
  constexpr std::size_t lanes = 8;
  std::array<double, lanes> sums{};
  const auto add = [&](std::size_t i, std::size_t lane) {
    const double worst = relative * std::fabs(double{rows[i]}) + absolute;
    sums[lane] += worst * worst;
  };
  std::size_t i = 0;
  for (; i + lanes <= rows.size(); i += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) add(i + lane, lane);
  for (; i < rows.size(); ++i) add(i, 0);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// Sum of squares that one super-block may be off by; never more than storing zeros would leave. `groups`: its
/// extremes.
double super_bound(std::span<const float> weights, std::span<kernels::Range> groups, const Spread& type) {
  kernels::Range all;
  double extremes = 0;
  for (kernels::Range& group : groups) {
    group = {std::min(group.min, 0.0F), std::max(group.max, 0.0F)};
    all = {std::min(all.min, group.min), std::max(all.max, group.max)};
    extremes += std::max(std::pow(double{group.min}, 2), std::pow(double{group.max}, 2));
  }
  const double unit = type.multiples > 0 ? spread(all, type.has_minimum) / type.steps / type.multiples : 0;
  const double minimum_unit = type.has_minimum && type.multiples > 0 ? -double{all.min} / type.multiples : 0;
  double sum = 0;
  for (const kernels::Range& group : groups) {
    const double step = spread(group, type.has_minimum) / type.steps + unit;
    double worst = type.widest * step / 2 + minimum_unit / 2 + type.steps * half_rounding(step);
    if (type.multiples > 0) worst += type.steps * type.multiples * 0x1p-25;  // of a unit below the normal halves
    if (type.has_minimum) worst += half_rounding(double{group.min}) + type.multiples * 0x1p-25;
    worst *= kArithmetic;
    sum += static_cast<double>(type.group) * worst * worst;
  }
  if (sum <= extremes) return sum;  // zeros would leave at least the extremes
  return std::min(sum, squares(weights, kArithmetic, 0x1p-25));
}

}  // namespace

double storage_error_bound(std::span<const float> rows, BlockType type, bool importance) {
  if (type == BlockType::f32) return 0;
  if (type == BlockType::f16) return squares(rows, 0x1p-11, 0x1p-25);
  if (type == BlockType::bf16) return squares(rows, 0x1p-8, 0x1p-133 /* half of the smallest subnormal */);
  if (importance) return 2 * squares(rows, kArithmetic, 0);
  const std::optional<Spread> blocks = spread_of(type);
  if (!blocks) return squares(rows, kArithmetic, 0);
  std::vector<kernels::Range> groups(rows.size() / blocks->group);
  kernels::min_max(rows, blocks->group, groups);
  const std::size_t many = blocks->super / blocks->group;
  double sum = 0;
  for (std::size_t g = 0; g + many <= groups.size(); g += many)
    sum += super_bound(rows.subspan(g * blocks->group, blocks->super), std::span(groups).subspan(g, many), *blocks);
  return sum;
}

}  // namespace advisor
