// Conversions between float32 and the 16-bit float types. Integer arithmetic on purpose: the conversion instructions of
// different machines do not agree on NaN payloads and subnormals.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/kernels/convert.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <cstring>

#include "tensor/kernels/kernels.h"
#include "tensor/kernels/reference.h"

HWY_BEFORE_NAMESPACE();
namespace advisor::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using U32 = hn::Rebind<std::uint32_t, F32>;
using I32 = hn::Rebind<std::int32_t, F32>;
using U16 = hn::Rebind<std::uint16_t, F32>;
using VF = hn::Vec<F32>;
using VU = hn::Vec<U32>;
using VI = hn::Vec<I32>;

/// `bits` holds the 16-bit value in the low half of each lane.
HWY_INLINE VF bf16_bits_to_f32(VU bits) { return hn::BitCast(F32(), hn::ShiftLeft<16>(bits)); }

HWY_INLINE VU f32_to_bf16_bits(VF value) {
  const U32 du;
  const I32 di;
  const VU u = hn::BitCast(du, value);
  const VU high = hn::ShiftRight<16>(u);
  const VU odd = hn::And(high, hn::Set(du, 1U));
  const VU rounded = hn::ShiftRight<16>(hn::Add(hn::Add(u, hn::Set(du, 0x7fffU)), odd));
  const VI magnitude = hn::BitCast(di, hn::And(u, hn::Set(du, 0x7fffffffU)));
  const auto nan = hn::RebindMask(du, hn::Gt(magnitude, hn::Set(di, 0x7f800000)));
  return hn::IfThenElse(nan, hn::Or(high, hn::Set(du, 0x40U)), rounded);
}

HWY_INLINE VF f16_bits_to_f32(VU bits) {
  const F32 df;
  const U32 du;
  const I32 di;
  const VU magnitude = hn::And(bits, hn::Set(du, 0x7fffU));
  const VU sign = hn::ShiftLeft<16>(hn::And(bits, hn::Set(du, 0x8000U)));
  const VU shifted = hn::ShiftLeft<13>(magnitude);
  const VU finite = hn::BitCast(du, hn::Mul(hn::BitCast(df, shifted), hn::Set(df, 0x1p112F)));
  const auto special = hn::RebindMask(du, hn::Gt(hn::BitCast(di, magnitude), hn::Set(di, 0x7bff)));
  const VU all = hn::IfThenElse(special, hn::Or(shifted, hn::Set(du, 0x7f800000U)), finite);
  return hn::BitCast(df, hn::Or(all, sign));
}

HWY_INLINE VU f32_to_f16_bits(VF value) {
  const F32 df;
  const U32 du;
  const I32 di;
  const VU bits = hn::BitCast(du, value);
  const VU sign = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 0x8000U));
  const VU u = hn::And(bits, hn::Set(du, 0x7fffffffU));
  const VI i = hn::BitCast(di, u);
  const VU odd = hn::And(hn::ShiftRight<13>(u), hn::Set(du, 1U));
  const VU normal = hn::ShiftRight<13>(hn::Add(hn::Add(u, hn::Set(du, 0xfffU - 0x38000000U)), odd));
  const VU subnormal =
      hn::Sub(hn::BitCast(du, hn::Add(hn::BitCast(df, u), hn::Set(df, 0.5F))), hn::Set(du, 0x3f000000U));
  VU half = hn::IfThenElse(hn::RebindMask(du, hn::Lt(i, hn::Set(di, 0x38800000))), subnormal, normal);
  half = hn::IfThenElse(hn::RebindMask(du, hn::Gt(i, hn::Set(di, 0x477fffff))), hn::Set(du, 0x7c00U), half);
  half = hn::IfThenElse(hn::RebindMask(du, hn::Gt(i, hn::Set(di, 0x7f800000))), hn::Set(du, 0x7e00U), half);
  return hn::Or(half, sign);
}

HWY_INLINE VU load16(const std::uint16_t* from) { return hn::PromoteTo(U32(), hn::LoadU(U16(), from)); }
HWY_INLINE void store16(VU bits, std::uint16_t* to) {
  // Values fit 16 bits, so the saturation of the signed conversion never acts.
  hn::StoreU(hn::DemoteTo(U16(), hn::BitCast(I32(), bits)), U16(), to);
}

// Each of these does as many elements as fill whole vectors and returns how many that were.

std::size_t bf16_to_f32(const std::uint16_t* in, std::size_t n, float* out) {
  const std::size_t N = hn::Lanes(F32());
  std::size_t i = 0;
  for (; i + N <= n; i += N) hn::StoreU(bf16_bits_to_f32(load16(in + i)), F32(), out + i);
  return i;
}

std::size_t f16_to_f32(const std::uint16_t* in, std::size_t n, float* out) {
  const std::size_t N = hn::Lanes(F32());
  std::size_t i = 0;
  for (; i + N <= n; i += N) hn::StoreU(f16_bits_to_f32(load16(in + i)), F32(), out + i);
  return i;
}

std::size_t f32_to_bf16(const float* in, std::size_t n, std::uint16_t* out) {
  const std::size_t N = hn::Lanes(F32());
  std::size_t i = 0;
  for (; i + N <= n; i += N) store16(f32_to_bf16_bits(hn::LoadU(F32(), in + i)), out + i);
  return i;
}

std::size_t f32_to_f16(const float* in, std::size_t n, std::uint16_t* out) {
  const std::size_t N = hn::Lanes(F32());
  std::size_t i = 0;
  for (; i + N <= n; i += N) store16(f32_to_f16_bits(hn::LoadU(F32(), in + i)), out + i);
  return i;
}

std::size_t round_to_bf16(float* values, std::size_t n) {
  const std::size_t N = hn::Lanes(F32());
  std::size_t i = 0;
  for (; i + N <= n; i += N) {
    hn::StoreU(bf16_bits_to_f32(f32_to_bf16_bits(hn::LoadU(F32(), values + i))), F32(), values + i);
  }
  return i;
}

std::size_t round_to_f16(float* values, std::size_t n) {
  const std::size_t N = hn::Lanes(F32());
  std::size_t i = 0;
  for (; i + N <= n; i += N) {
    hn::StoreU(f16_bits_to_f32(f32_to_f16_bits(hn::LoadU(F32(), values + i))), F32(), values + i);
  }
  return i;
}

}  // namespace advisor::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace advisor::kernels {
namespace {

HWY_EXPORT(bf16_to_f32);
HWY_EXPORT(f16_to_f32);
HWY_EXPORT(f32_to_bf16);
HWY_EXPORT(f32_to_f16);
HWY_EXPORT(round_to_bf16);
HWY_EXPORT(round_to_f16);

/// Bytes of a file may start anywhere; the wide versions want whole elements at their natural alignment.
template <typename Byte>
bool aligned16(Byte* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignof(std::uint16_t) == 0;
}

}  // namespace

void to_f32(DType dtype, std::span<const std::byte> in, std::span<float> out) {
  std::size_t done = 0;
  const auto* in16 = reinterpret_cast<const std::uint16_t*>(in.data());
  if (dtype == DType::bf16 && aligned16(in.data())) {
    done = HWY_DYNAMIC_DISPATCH(bf16_to_f32)(in16, out.size(), out.data());
  } else if (dtype == DType::f16 && aligned16(in.data())) {
    done = HWY_DYNAMIC_DISPATCH(f16_to_f32)(in16, out.size(), out.data());
  } else if (dtype == DType::f32 && !out.empty()) {
    std::memcpy(out.data(), in.data(), out.size_bytes());
    return;
  }
  reference::to_f32(dtype, in.subspan(done * static_cast<std::size_t>(size_of(dtype))), out.subspan(done));
}

void from_f32(DType dtype, std::span<const float> in, std::span<std::byte> out) {
  std::size_t done = 0;
  auto* out16 = reinterpret_cast<std::uint16_t*>(out.data());
  if (dtype == DType::bf16 && aligned16(out.data())) {
    done = HWY_DYNAMIC_DISPATCH(f32_to_bf16)(in.data(), in.size(), out16);
  } else if (dtype == DType::f16 && aligned16(out.data())) {
    done = HWY_DYNAMIC_DISPATCH(f32_to_f16)(in.data(), in.size(), out16);
  } else if (dtype == DType::f32 && !in.empty()) {
    std::memcpy(out.data(), in.data(), in.size_bytes());
    return;
  }
  reference::from_f32(dtype, in.subspan(done), out.subspan(done * static_cast<std::size_t>(size_of(dtype))));
}

void round_to(DType dtype, std::span<float> values) {
  std::size_t done = 0;
  if (dtype == DType::bf16) {
    done = HWY_DYNAMIC_DISPATCH(round_to_bf16)(values.data(), values.size());
  } else if (dtype == DType::f16) {
    done = HWY_DYNAMIC_DISPATCH(round_to_f16)(values.data(), values.size());
  }
  reference::round_to(dtype, values.subspan(done));
}

}  // namespace advisor::kernels
#endif  // HWY_ONCE
