#include "compress/budget.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

using kernels::BlockType;

constexpr std::size_t kBlock = 32;
constexpr double kArithmetic = 1 + 1e-4;  // float32 arithmetic of encoder and decoder

double half_rounding(double x) { return 0x1p-11 * std::fabs(x) + 0x1p-25; }

double symmetric_bound(kernels::Range range, int bits) {
  const double codes = std::ldexp(1.0, bits - 1);
  const double low = -std::min(0.0, double{range.min}), high = std::max(0.0, double{range.max});
  const double step = std::max(low, high) / codes;
  const double overshoot = std::max(0.0, std::min(low, high) - (codes - 0.5) * step);
  return step / 2 + overshoot + codes * half_rounding(step);
}

double affine_bound(kernels::Range range, int bits) {
  const double codes = std::ldexp(1.0, bits) - 1;
  const double step = (double{range.max} - double{range.min}) / codes;
  return step / 2 + codes * half_rounding(step) + half_rounding(double{range.min});
}

double q8_0_bound(kernels::Range range) {
  const double step = std::max(std::fabs(double{range.min}), std::fabs(double{range.max})) / 127;
  return step / 2 + 127 * half_rounding(step);
}

double block_bound(kernels::Range range, BlockType type) {
  switch (type) {
    case BlockType::q8_0: return q8_0_bound(range);
    case BlockType::q4_0: return symmetric_bound(range, 4);
    case BlockType::q5_0: return symmetric_bound(range, 5);
    case BlockType::q4_1: return affine_bound(range, 4);
    case BlockType::q5_1: return affine_bound(range, 5);
    default:
      throw Error(ErrorCode::internal,
                  "no error budget for type " + std::string(kernels::layout_of(type).name) + "; add it to budget.cpp");
  }
}

double dense_bound(std::span<const float> rows, double relative, double absolute) {
  double sum = 0;
  for (const float w : rows) {
    const double worst = relative * std::fabs(double{w}) + absolute;
    sum += worst * worst;
  }
  return sum;
}

}  // namespace

double storage_error_bound(std::span<const float> rows, BlockType type) {
  if (type == BlockType::f32) return 0;
  if (type == BlockType::f16) return dense_bound(rows, 0x1p-11, 0x1p-25);
  if (type == BlockType::bf16) return dense_bound(rows, 0x1p-8, 0x1p-133 /* half of the smallest subnormal */);
  double sum = 0;
  for (std::size_t i = 0; i + kBlock <= rows.size(); i += kBlock) {
    const double worst = block_bound(kernels::min_max(rows.subspan(i, kBlock)), type) * kArithmetic;
    sum += kBlock * worst * worst;
  }
  return sum;
}

}  // namespace advisor
