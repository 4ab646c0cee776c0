// Range, integer codes and their error.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/kernels/quantize.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

#include "tensor/kernels/error_sum.h"
#include "tensor/kernels/kernels.h"
#include "tensor/kernels/reference.h"

HWY_BEFORE_NAMESPACE();
namespace advisor::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Divides ErrorSum::width on every target, whatever the width of the machine.
using F32 = hn::CappedTag<float, ErrorSum::width>;
using I32 = hn::Rebind<std::int32_t, F32>;
using I8 = hn::Rebind<std::int8_t, F32>;
using VF = hn::Vec<F32>;

/// Extremes of the whole vectors of `values`; returns how many elements that were.
std::size_t min_max_vectors(const float* values, std::size_t n, Range& range) {
  const F32 d;
  const std::size_t N = hn::Lanes(d);
  const VF top = hn::Set(d, std::numeric_limits<float>::infinity()), bottom = hn::Neg(top);
  // Two accumulators of each kind hide the latency of min and max.
  VF low0 = top, low1 = top, high0 = bottom, high1 = bottom;
  std::size_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    const VF a = hn::LoadU(d, values + i), b = hn::LoadU(d, values + i + N);
    const auto a_is_number = hn::Eq(a, a), b_is_number = hn::Eq(b, b);
    low0 = hn::Min(low0, hn::IfThenElse(a_is_number, a, top));
    low1 = hn::Min(low1, hn::IfThenElse(b_is_number, b, top));
    high0 = hn::Max(high0, hn::IfThenElse(a_is_number, a, bottom));
    high1 = hn::Max(high1, hn::IfThenElse(b_is_number, b, bottom));
  }
  if (i == 0) return 0;
  range.min = std::min(range.min, hn::GetLane(hn::MinOfLanes(d, hn::Min(low0, low1))));
  range.max = std::max(range.max, hn::GetLane(hn::MaxOfLanes(d, hn::Max(high0, high1))));
  return i;
}

void min_max_groups(const float* values, std::size_t group, std::size_t count, Range* out) {
  for (std::size_t g = 0; g < count; ++g, values += group) {
    Range range = reference::nothing;
    const std::size_t done = min_max_vectors(values, group, range);
    reference::widen(range, {values + done, group - done});
    out[g] = reference::finish(range);
  }
}

std::size_t largest_magnitude_vectors(const float* values, std::size_t n, std::uint32_t& largest) {
  const hn::ScalableTag<std::int32_t> d;  // without the sign bit the order is that of unsigned integers
  const auto mask = hn::Set(d, 0x7fffffff);
  const std::size_t N = hn::Lanes(d);
  const hn::Rebind<float, decltype(d)> df;
  auto a = hn::Zero(d), b = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 2 * N <= n; i += 2 * N) {
    a = hn::Max(a, hn::And(hn::BitCast(d, hn::LoadU(df, values + i)), mask));
    b = hn::Max(b, hn::And(hn::BitCast(d, hn::LoadU(df, values + i + N)), mask));
  }
  largest = static_cast<std::uint32_t>(hn::GetLane(hn::MaxOfLanes(d, hn::Max(a, b))));
  return i;
}

/// Adds the first n / width * width elements to the lanes; returns how many those were.
std::size_t distance_lanes(const float* x, const float* y, std::size_t n, DistanceLanes& lanes) {
  const hn::CappedTag<double, DistanceLanes::width> d;
  const hn::Rebind<float, decltype(d)> df;
  const std::size_t whole = n / DistanceLanes::width * DistanceLanes::width;
  for (std::size_t lane = 0; lane < DistanceLanes::width; lane += hn::Lanes(d)) {  // once on a 512-bit machine
    auto error = hn::Zero(d), norm = hn::Zero(d);
    for (std::size_t i = lane; i < whole; i += DistanceLanes::width) {
      const auto value = hn::PromoteTo(d, hn::LoadU(df, x + i));
      const auto e = hn::Sub(value, hn::PromoteTo(d, hn::LoadU(df, y + i)));
      error = hn::Add(error, hn::Mul(e, e));
      norm = hn::Add(norm, hn::Mul(value, value));
    }
    hn::StoreU(error, d, lanes.error.data() + lane);
    hn::StoreU(norm, d, lanes.norm.data() + lane);
  }
  return whole;
}

/// Adding this leaves no bits for a fraction, so the adder rounds half to even, and puts the integer into the low bits.
/// Right for |x| < 2^22, which the clamp ensures; Highway 1.0.3's NearestInt misses 0.49999997 on its scalar target.
constexpr float rounder = 0x1.8p23F;

/// Scale, zero and bounds as vectors.
struct Grid {
  VF scale, low, high;
  hn::Vec<I32> offset;  ///< from the bits of rounded_codes to codes
};

HWY_INLINE Grid make_grid(float scale, int zero, int qmin, int qmax) {
  const F32 d;
  return {hn::Set(d, scale), hn::Set(d, static_cast<float>(qmin - zero)), hn::Set(d, static_cast<float>(qmax - zero)),
          hn::Set(I32(), zero - std::bit_cast<std::int32_t>(rounder))};
}

/// Codes before the zero point is added, plus `rounder`.
HWY_INLINE VF rounded_codes(VF x, const Grid& grid) {
  const VF r = hn::Div(x, grid.scale);
  const VF number = hn::IfThenElseZero(hn::Eq(r, r), r);
  return hn::Add(hn::Min(hn::Max(number, grid.low), grid.high), hn::Set(F32(), rounder));
}

std::size_t quantize_vectors(const float* x, std::size_t n, float scale, int zero, int qmin, int qmax, std::int8_t* q) {
  const F32 d;
  const std::size_t N = hn::Lanes(d);
  const Grid grid = make_grid(scale, zero, qmin, qmax);
  std::size_t i = 0;
  for (; i + N <= n; i += N) {
    const auto code = hn::Add(hn::BitCast(I32(), rounded_codes(hn::LoadU(d, x + i), grid)), grid.offset);
    hn::StoreU(hn::DemoteTo(I8(), code), I8(), q + i);
  }
  return i;
}

std::size_t dequantize_vectors(const std::int8_t* q, std::size_t n, float scale, int zero, float* x) {
  const F32 d;
  const I32 di;
  const std::size_t N = hn::Lanes(d);
  const VF factor = hn::Set(d, scale);
  const auto origin = hn::Set(di, zero);
  std::size_t i = 0;
  for (; i + N <= n; i += N) {
    const auto code = hn::Sub(hn::PromoteTo(di, hn::LoadU(I8(), q + i)), origin);
    hn::StoreU(hn::Mul(hn::ConvertTo(d, code), factor), d, x + i);
  }
  return i;
}

/// Adds the errors of the first n / width * width elements of one block to the lanes; returns how many those were.
std::size_t error_lanes(const float* x, std::size_t n, float scale, int zero, int qmin, int qmax,
                        ErrorSum::Lanes& lanes) {
  const F32 d;
  const std::size_t N = hn::Lanes(d);
  const Grid grid = make_grid(scale, zero, qmin, qmax);
  const VF magic = hn::Set(d, rounder);
  const std::size_t whole = n / ErrorSum::width * ErrorSum::width;
  for (std::size_t lane = 0; lane < ErrorSum::width; lane += N) {  // once on a 512-bit machine
    VF sum = hn::Zero(d);
    for (std::size_t i = lane; i < whole; i += ErrorSum::width) {
      const VF value = hn::LoadU(d, x + i);
      const VF code = hn::Sub(rounded_codes(value, grid), magic);
      const VF e = hn::Sub(value, hn::Mul(code, grid.scale));
      sum = hn::Add(sum, hn::Mul(e, e));
    }
    hn::StoreU(sum, d, lanes.data() + lane);
  }
  return whole;
}

}  // namespace advisor::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace advisor::kernels {
namespace {

HWY_EXPORT(min_max_vectors);
HWY_EXPORT(min_max_groups);
HWY_EXPORT(largest_magnitude_vectors);
HWY_EXPORT(distance_lanes);
HWY_EXPORT(quantize_vectors);
HWY_EXPORT(dequantize_vectors);
HWY_EXPORT(error_lanes);

}  // namespace

Range min_max(std::span<const float> values) {
  Range range = reference::nothing;
  const std::size_t done = HWY_DYNAMIC_DISPATCH(min_max_vectors)(values.data(), values.size(), range);
  reference::widen(range, values.subspan(done));
  return reference::finish(range);
}

std::uint32_t largest_magnitude(std::span<const float> values) {
  std::uint32_t largest = 0;
  const std::size_t done = HWY_DYNAMIC_DISPATCH(largest_magnitude_vectors)(values.data(), values.size(), largest);
  return std::max(largest, reference::largest_magnitude(values.subspan(done)));
}

void min_max(std::span<const float> values, std::size_t group, std::span<Range> out) {
  HWY_DYNAMIC_DISPATCH(min_max_groups)(values.data(), group, out.size(), out.data());
}

SquaredDistance squared_distance(std::span<const float> x, std::span<const float> y) {
  DistanceLanes lanes;
  const std::size_t done = HWY_DYNAMIC_DISPATCH(distance_lanes)(x.data(), y.data(), x.size(), lanes);
  lanes.add(x.subspan(done), y.subspan(done));
  return lanes.sum();
}

void quantize(std::span<const float> x, float scale, int zero, int qmin, int qmax, std::span<std::int8_t> q) {
  const std::size_t done =
      HWY_DYNAMIC_DISPATCH(quantize_vectors)(x.data(), x.size(), scale, zero, qmin, qmax, q.data());
  reference::quantize(x.subspan(done), scale, zero, qmin, qmax, q.subspan(done));
}

void dequantize(std::span<const std::int8_t> q, float scale, int zero, std::span<float> x) {
  const std::size_t done = HWY_DYNAMIC_DISPATCH(dequantize_vectors)(q.data(), q.size(), scale, zero, x.data());
  reference::dequantize(q.subspan(done), scale, zero, x.subspan(done));
}

double quantization_error(std::span<const float> x, float scale, int zero, int qmin, int qmax) {
  const auto lanes_of = HWY_DYNAMIC_DISPATCH(error_lanes);
  ErrorSum total;
  for (std::size_t begin = 0; begin < x.size(); begin += ErrorSum::block) {
    const auto block = x.subspan(begin, std::min(ErrorSum::block, x.size() - begin));
    ErrorSum::Lanes lanes{};
    const std::size_t done = lanes_of(block.data(), block.size(), scale, zero, qmin, qmax, lanes);
    reference::add_errors(block.subspan(done), scale, zero, qmin, qmax, lanes);
    total.add(lanes);
  }
  return total.value();
}

}  // namespace advisor::kernels
#endif  // HWY_ONCE
