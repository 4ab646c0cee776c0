// The search on every SIMD target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/kernels/block_search.cpp"
#include "tensor/kernels/block_search.h"

#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace advisor::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

#undef SEARCH_INLINE
#undef SEARCH_ATTR
#define SEARCH_INLINE HWY_INLINE
#define SEARCH_ATTR HWY_ATTR

using Tag = hn::CappedTag<float, lanes>;
constexpr int width = static_cast<int>(hn::MaxLanes(Tag()));

struct F {
  hn::Vec<Tag> v;
};
using Mask = hn::Mask<Tag>;

HWY_INLINE F operator+(F a, F b) { return {hn::Add(a.v, b.v)}; }
HWY_INLINE F operator-(F a, F b) { return {hn::Sub(a.v, b.v)}; }
HWY_INLINE F operator*(F a, F b) { return {hn::Mul(a.v, b.v)}; }
HWY_INLINE F operator/(F a, F b) { return {hn::Div(a.v, b.v)}; }
HWY_INLINE F splat(float value) { return {hn::Set(Tag(), value)}; }
HWY_INLINE F load(const float* from) { return {hn::LoadU(Tag(), from)}; }
HWY_INLINE void store(F value, float* to) { hn::StoreU(value.v, Tag(), to); }
HWY_INLINE void to_bytes(F value, std::uint8_t* to) {
  const hn::Rebind<std::int32_t, Tag> whole;
  const hn::Rebind<std::uint8_t, Tag> byte;
  hn::StoreU(hn::DemoteTo(byte, hn::ConvertTo(whole, value.v)), byte, to);
}
HWY_INLINE F smaller(F a, F b) { return {hn::Min(a.v, b.v)}; }
HWY_INLINE F larger(F a, F b) { return {hn::Max(a.v, b.v)}; }
HWY_INLINE F magnitude(F x) { return {hn::Abs(x.v)}; }
HWY_INLINE Mask less(F a, F b) { return hn::Lt(a.v, b.v); }
HWY_INLINE Mask at_most(F a, F b) { return hn::Le(a.v, b.v); }
HWY_INLINE F choose(Mask mask, F yes, F no) { return {hn::IfThenElse(mask, yes.v, no.v)}; }
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void transpose4(const float* from, int from_row, float* to, int to_row) {
  for (int r = 0; r < 4; ++r) {
    for (int c = 0; c < 4; ++c) to[c * to_row + r] = from[r * from_row + c];
  }
}
#else
HWY_INLINE void transpose4(const float* from, int from_row, float* to, int to_row) {
  const hn::FixedTag<float, 4> d;
  const hn::RepartitionToWide<decltype(d)> pairs;
  const auto a = hn::LoadU(d, from), b = hn::LoadU(d, from + from_row);
  const auto c = hn::LoadU(d, from + 2 * from_row), e = hn::LoadU(d, from + 3 * from_row);
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ce_low = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ce_high = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ce_low)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ce_low)), d, to + to_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ce_high)), d, to + 2 * to_row);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ce_high)), d, to + 3 * to_row);
}
#endif

#include "tensor/kernels/block_search-inl.h"

}  // namespace advisor::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace advisor::kernels {
namespace {

HWY_EXPORT(fit_scale);
HWY_EXPORT(fit_multiple);
HWY_EXPORT(fit_affine);
HWY_EXPORT(fit_affine_multiple);
HWY_EXPORT(moments);
HWY_EXPORT(error);
HWY_EXPORT(codes);
HWY_EXPORT(interleave);

}  // namespace

const BlockSearch& search() {
  static constexpr BlockSearch table{
      [](const Groups& g, Levels l, Trials t, bool both, ScaleFit& out) {
        HWY_DYNAMIC_DISPATCH(fit_scale)(g, l, t, both, out);
      },
      [](const Groups& g, Levels l, Multiples m, const Lanes& unit, const Lanes& centre, MultipleFit& out) {
        HWY_DYNAMIC_DISPATCH(fit_multiple)(g, l, m, unit, centre, out);
      },
      [](const Groups& g, int top, Trials t, bool signed_minimum, AffineFit& out) {
        HWY_DYNAMIC_DISPATCH(fit_affine)(g, top, t, signed_minimum, out);
      },
      [](const Groups& g, int top, Multiples m, const Lanes& step, const Lanes& minimum, const AffineFit& centre,
         AffineMultipleFit& out) { HWY_DYNAMIC_DISPATCH(fit_affine_multiple)
                                   (g, top, m, step, minimum, centre, out); },
      [](const Groups& g, Levels l, const Lanes& scale, const Lanes& minimum, Moments& out) {
        HWY_DYNAMIC_DISPATCH(moments)(g, l, scale, minimum, out);
      },
      [](const Groups& g, Levels l, const Lanes& scale, const Lanes& minimum, Lanes& out) {
        HWY_DYNAMIC_DISPATCH(error)(g, l, scale, minimum, out);
      },
      [](const float* x, int size, Levels l, const Lanes& scale, const Lanes& minimum, std::uint8_t* out) {
        HWY_DYNAMIC_DISPATCH(codes)(x, size, l, scale, minimum, out);
      },
      [](const float* x, int size, float* groups) { HWY_DYNAMIC_DISPATCH(interleave)
                                                    (x, size, groups); }};
  return table;
}

}  // namespace advisor::kernels
#endif  // HWY_ONCE
