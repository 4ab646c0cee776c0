// Codes of small floats (e4m3, e2m1) with vector arithmetic: the adder of float32 rounds, shifts of its bits make
// codes. nf4 has a table without structure and stays with the reference.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/kernels/float_codes.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <algorithm>

#include "tensor/kernels/error_sum.h"
#include "tensor/kernels/kernels.h"
#include "tensor/kernels/reference.h"

HWY_BEFORE_NAMESPACE();
namespace advisor::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::CappedTag<float, ErrorSum::width>;
using I32 = hn::Rebind<std::int32_t, F32>;
using U32 = hn::Rebind<std::uint32_t, F32>;
using I8 = hn::Rebind<std::int8_t, F32>;
using VF = hn::Vec<F32>;

/// Shape of a small float and what follows from it.
template <int mantissa, int bias, int sign_bit, int top>
struct Small {
  static constexpr int shift = 23 - mantissa;              ///< between its bits and those of float32
  static constexpr int offset = (127 - bias) << mantissa;  ///< between the exponents, in codes
  static constexpr int sign_shift = 31 - sign_bit;

  /// |x| / scale rounded to the format, as float32.
  static HWY_INLINE VF magnitude(VF x, VF scale) {
    const F32 d;
    const VF r = hn::Abs(hn::Div(x, scale));
    const VF a = hn::Min(hn::IfThenElseZero(hn::Eq(r, r), r), hn::Set(d, static_cast<float>(top)));
    // 2^e of the number, at least that of the smallest normal; 2^(e + shift) pushes all that lies below its last bit
    // out of the float32.
    const VF smallest = hn::Set(d, 1.0F / static_cast<float>(1 << (bias - 1)));
    const VF power = hn::Max(hn::And(a, hn::BitCast(d, hn::Set(U32(), 0x7f800000U))), smallest);
    const VF rounder = hn::Mul(power, hn::Set(d, static_cast<float>(1 << shift)));
    return hn::Sub(hn::Add(a, rounder), rounder);
  }

  /// Code of a rounded magnitude with the sign of `x`.
  static HWY_INLINE hn::Vec<U32> code(VF magnitude, VF x) {
    const F32 d;
    const U32 du;
    const auto normal =
        hn::Sub(hn::ShiftRight<shift>(hn::BitCast(du, magnitude)), hn::Set(du, static_cast<std::uint32_t>(offset)));
    const VF steps = hn::Mul(magnitude, hn::Set(d, static_cast<float>(1 << (bias - 1 + mantissa))));
    const auto subnormal = hn::BitCast(du, hn::ConvertTo(I32(), steps));
    const auto is_normal = hn::Ge(magnitude, hn::Set(d, 1.0F / static_cast<float>(1 << (bias - 1))));
    // Saturates where magnitude is large: the selected branch is exact, the other is not looked at.
    const auto bits = hn::IfThenElse(hn::RebindMask(du, is_normal), normal, subnormal);
    const auto sign = hn::ShiftRight<sign_shift>(hn::And(hn::BitCast(du, x), hn::Set(du, 0x80000000U)));
    const auto some = hn::RebindMask(du, hn::Gt(magnitude, hn::Zero(d)));
    return hn::Or(bits, hn::IfThenElseZero(some, sign));
  }

  static HWY_INLINE VF value(hn::Vec<U32> bits) {
    const F32 d;
    const U32 du;
    const auto low = hn::Set(du, (1U << sign_bit) - 1U);
    const VF scaled = hn::BitCast(d, hn::ShiftLeft<shift>(hn::And(bits, low)));
    // Read as float32 the bits are too small by 2^(127 - bias), subnormals included.
    VF x = hn::Mul(scaled, hn::BitCast(d, hn::Set(du, static_cast<std::uint32_t>(254 - bias) << 23)));
    if constexpr (sign_bit == 7) {  // e4m3 keeps one code for NaN
      x = hn::IfThenElse(hn::RebindMask(d, hn::Eq(hn::And(bits, low), low)), hn::NaN(d), x);
    }
    return hn::Or(x, hn::BitCast(d, hn::ShiftLeft<sign_shift>(hn::AndNot(low, bits))));
  }
};
using E4M3 = Small<3, 7, 7, 448>;
using E2M1 = Small<1, 1, 3, 6>;

template <class Format>
std::size_t quantize_as(const float* x, std::size_t n, float scale, std::int8_t* q) {
  const F32 d;
  const std::size_t N = hn::Lanes(d);
  const VF s = hn::Set(d, scale);
  std::size_t i = 0;
  for (; i + N <= n; i += N) {
    const VF v = hn::LoadU(d, x + i), r = hn::Div(v, s);
    const auto code = Format::code(Format::magnitude(v, s), r);
    // 0 .. 255 to signed bytes with the same bits
    const auto wrapped = hn::ShiftRight<24>(hn::ShiftLeft<24>(hn::BitCast(I32(), code)));
    hn::StoreU(hn::DemoteTo(I8(), wrapped), I8(), q + i);
  }
  return i;
}

template <class Format>
std::size_t dequantize_as(const std::int8_t* q, std::size_t n, float scale, float* x) {
  const F32 d;
  const std::size_t N = hn::Lanes(d);
  const VF s = hn::Set(d, scale);
  std::size_t i = 0;
  for (; i + N <= n; i += N) {
    const auto code = hn::And(hn::BitCast(U32(), hn::PromoteTo(I32(), hn::LoadU(I8(), q + i))), hn::Set(U32(), 0xffU));
    hn::StoreU(hn::Mul(Format::value(code), s), d, x + i);
  }
  return i;
}

template <class Format>
std::size_t errors_as(const float* x, std::size_t n, float scale, ErrorSum::Lanes& lanes) {
  const F32 d;
  const std::size_t N = hn::Lanes(d);
  const VF s = hn::Set(d, scale);
  const std::size_t whole = n / ErrorSum::width * ErrorSum::width;
  for (std::size_t lane = 0; lane < ErrorSum::width; lane += N) {
    VF sum = hn::Zero(d);
    for (std::size_t i = lane; i < whole; i += ErrorSum::width) {
      const VF v = hn::LoadU(d, x + i);
      const VF signed_value = hn::CopySign(Format::magnitude(v, s), v);
      const VF e = hn::Sub(v, hn::Mul(signed_value, s));
      sum = hn::Add(sum, hn::Mul(e, e));
    }
    hn::StoreU(sum, d, lanes.data() + lane);
  }
  return whole;
}

std::size_t quantize_floats(bool eight, const float* x, std::size_t n, float scale, std::int8_t* q) {
  return eight ? quantize_as<E4M3>(x, n, scale, q) : quantize_as<E2M1>(x, n, scale, q);
}
std::size_t dequantize_floats(bool eight, const std::int8_t* q, std::size_t n, float scale, float* x) {
  return eight ? dequantize_as<E4M3>(q, n, scale, x) : dequantize_as<E2M1>(q, n, scale, x);
}
std::size_t float_error_lanes(bool eight, const float* x, std::size_t n, float scale, ErrorSum::Lanes& lanes) {
  return eight ? errors_as<E4M3>(x, n, scale, lanes) : errors_as<E2M1>(x, n, scale, lanes);
}

}  // namespace advisor::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace advisor::kernels {
namespace {

HWY_EXPORT(quantize_floats);
HWY_EXPORT(dequantize_floats);
HWY_EXPORT(float_error_lanes);

}  // namespace

void quantize(FloatCode code, std::span<const float> x, float scale, std::span<std::int8_t> q) {
  if (code == FloatCode::nf4) return reference::quantize(code, x, scale, q);
  const std::size_t done =
      HWY_DYNAMIC_DISPATCH(quantize_floats)(code == FloatCode::e4m3, x.data(), x.size(), scale, q.data());
  reference::quantize(code, x.subspan(done), scale, q.subspan(done));
}

void dequantize(FloatCode code, std::span<const std::int8_t> q, float scale, std::span<float> x) {
  if (code == FloatCode::nf4) return reference::dequantize(code, q, scale, x);
  const std::size_t done =
      HWY_DYNAMIC_DISPATCH(dequantize_floats)(code == FloatCode::e4m3, q.data(), q.size(), scale, x.data());
  reference::dequantize(code, q.subspan(done), scale, x.subspan(done));
}

double quantization_error(FloatCode code, std::span<const float> x, float scale) {
  if (code == FloatCode::nf4) return reference::quantization_error(code, x, scale);
  const auto lanes_of = HWY_DYNAMIC_DISPATCH(float_error_lanes);
  ErrorSum total;
  for (std::size_t begin = 0; begin < x.size(); begin += ErrorSum::block) {
    const auto block = x.subspan(begin, std::min(ErrorSum::block, x.size() - begin));
    ErrorSum::Lanes lanes{};
    const std::size_t done = lanes_of(code == FloatCode::e4m3, block.data(), block.size(), scale, lanes);
    reference::add_errors(code, block.subspan(done), scale, lanes);
    total.add(lanes);
  }
  return total.value();
}

}  // namespace advisor::kernels
#endif  // HWY_ONCE
