// Bit streams of small unsigned values. 4 and 8 bits, which every engine reads, are wide; other widths are scalar.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tensor/kernels/pack.cpp"
#include <hwy/foreach_target.h>  // must come before highway.h
#include <hwy/highway.h>

#include <bit>
#include <cstring>

#include "tensor/kernels/kernels.h"
#include "tensor/kernels/reference.h"

static_assert(std::endian::native == std::endian::little, "the stream is written as it lies in memory");

HWY_BEFORE_NAMESPACE();
namespace advisor::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using U16 = hn::ScalableTag<std::uint16_t>;
using I16 = hn::Rebind<std::int16_t, U16>;
using U8 = hn::Rebind<std::uint8_t, U16>;  // half a vector: one byte for each 16-bit lane

/// Two values are one 16-bit lane going in and one byte coming out. Returns the number of values done.
std::size_t pack4(const std::uint16_t* pairs, std::size_t n, std::uint8_t* bytes) {
  const U16 d;
  const std::size_t N = hn::Lanes(d);
  const auto low = hn::Set(d, 0x000f), high = hn::Set(d, 0x00f0);
  std::size_t i = 0;
  for (; i + N <= n / 2; i += N) {
    const auto pair = hn::LoadU(d, pairs + i);
    const auto byte = hn::Or(hn::And(pair, low), hn::And(hn::ShiftRight<4>(pair), high));
    hn::StoreU(hn::DemoteTo(U8(), hn::BitCast(I16(), byte)), U8(), bytes + i);
  }
  return 2 * i;
}

std::size_t unpack4(const std::uint8_t* bytes, std::size_t n, std::uint16_t* pairs) {
  const U16 d;
  const std::size_t N = hn::Lanes(d);
  const auto nibbles = hn::Set(d, 0x0f0f);
  std::size_t i = 0;
  for (; i + N <= n / 2; i += N) {
    const auto byte = hn::PromoteTo(d, hn::LoadU(U8(), bytes + i));
    hn::StoreU(hn::And(hn::Or(byte, hn::ShiftLeft<4>(byte)), nibbles), d, pairs + i);
  }
  return 2 * i;
}

}  // namespace advisor::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace advisor::kernels {
namespace {

HWY_EXPORT(pack4);
HWY_EXPORT(unpack4);

/// Values per word of 4-bit packing; the wide part hands over to the scalar one at a word boundary.
constexpr std::size_t per_word = 8;

template <typename Byte>
bool aligned16(Byte* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignof(std::uint16_t) == 0;
}

}  // namespace

void pack(std::span<const std::uint8_t> values, int bits, std::span<std::uint32_t> words) {
  if (bits == 8 && !values.empty()) {
    words.back() = 0;  // the last word may be filled in part
    std::memcpy(words.data(), values.data(), values.size());
    return;
  }
  std::size_t done = 0;
  if (bits == 4 && aligned16(values.data())) {
    const auto* pairs = reinterpret_cast<const std::uint16_t*>(values.data());
    auto* bytes = reinterpret_cast<std::uint8_t*>(words.data());
    done = HWY_DYNAMIC_DISPATCH(pack4)(pairs, values.size(), bytes) / per_word * per_word;
  }
  reference::pack(values.subspan(done), bits, words.subspan(done / per_word));
}

void unpack(std::span<const std::uint32_t> words, int bits, std::span<std::uint8_t> values) {
  if (bits == 8 && !values.empty()) {
    std::memcpy(values.data(), words.data(), values.size());
    return;
  }
  std::size_t done = 0;
  if (bits == 4 && aligned16(values.data())) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(words.data());
    auto* pairs = reinterpret_cast<std::uint16_t*>(values.data());
    done = HWY_DYNAMIC_DISPATCH(unpack4)(bytes, values.size(), pairs) / per_word * per_word;
  }
  reference::unpack(words.subspan(done / per_word), bits, values.subspan(done));
}

}  // namespace advisor::kernels
#endif  // HWY_ONCE
