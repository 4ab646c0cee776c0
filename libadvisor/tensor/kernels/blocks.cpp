// Layouts as in ggml's block structures: little-endian, half-precision scale first; element j of a 4-bit block in the
// low nibble of byte j, element j + 16 in the high one.
#include "tensor/kernels/blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstring>

#include "tensor/kernels/blocks_k.h"
#include "tensor/kernels/kernels.h"
#include "tensor/kernels/reference.h"

namespace advisor::kernels {

static_assert(std::endian::native == std::endian::little, "blocks are copied in host order");

namespace {

constexpr std::int64_t block = 32;

constexpr std::array<BlockLayout, 13> layouts{{
    {BlockType::f32, "F32", 1, 4, true},
    {BlockType::f16, "F16", 1, 2, true},
    {BlockType::q4_0, "Q4_0", block, 18, true},
    {BlockType::q4_1, "Q4_1", block, 20, true},
    {BlockType::q5_0, "Q5_0", block, 22, true},
    {BlockType::q5_1, "Q5_1", block, 24, true},
    {BlockType::q8_0, "Q8_0", block, 34, true},
    {BlockType::q2_k, "Q2_K", 256, 84, false},
    {BlockType::q3_k, "Q3_K", 256, 110, false},
    {BlockType::q4_k, "Q4_K", 256, 144, false},
    {BlockType::q5_k, "Q5_K", 256, 176, false},
    {BlockType::q6_k, "Q6_K", 256, 210, false},
    {BlockType::bf16, "BF16", 1, 2, true},
}};

using In = const float*;
using Out = std::uint8_t*;
using Bytes = const std::uint8_t*;

void put_half(Out to, float value) {
  const std::uint16_t half = reference::f32_to_f16(value);
  std::memcpy(to, &half, sizeof half);
}

float get_half(Bytes from) {
  std::uint16_t half;
  std::memcpy(&half, from, sizeof half);
  return reference::f16_to_f32(half);
}

bool fits_half(float value) { return std::fabs(value) < 65520.0f; }  // 65520 is where rounding reaches infinity

/// 1/scale, or 0 where that has no finite value: such a scale is 0 in half precision anyway.
float reciprocal(float scale) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

/// Bits of the largest magnitude; 0x7f800000 and more when a value is infinite or NaN.
std::uint32_t largest_bits(std::span<const float> in) {
  std::uint32_t largest = 0;
  for (const float x : in) largest = std::max(largest, std::bit_cast<std::uint32_t>(x) & 0x7fffffffu);
  return largest;
}

/// The value of largest magnitude, sign kept; the first on ties.
float signed_extreme(In x) {
  float extreme = 0, magnitude = 0;
  for (int j = 0; j < block; ++j) {
    if (std::fabs(x[j]) > magnitude) {
      magnitude = std::fabs(x[j]);
      extreme = x[j];
    }
  }
  return extreme;
}

void put_nibbles(Out to, const std::uint8_t* q) {
  for (int j = 0; j < 16; ++j) to[j] = static_cast<std::uint8_t>((q[j] & 15) | (q[j + 16] << 4));
}

void put_fifth_bits(Out to, const std::uint8_t* q) {
  std::uint32_t bits = 0;
  for (int j = 0; j < block; ++j) bits |= static_cast<std::uint32_t>((q[j] >> 4) & 1) << j;
  std::memcpy(to, &bits, sizeof bits);
}

/// Q4_0 and Q5_0: the extreme value gets code 0, scale = extreme / -2^(bits-1), zero at code 2^(bits-1).
bool encode_symmetric(In x, int bits, Out scale, std::uint8_t* q) {
  const int half_range = 1 << (bits - 1);
  const float d = signed_extreme(x) / static_cast<float>(-half_range);
  const float inverse = reciprocal(d), offset = static_cast<float>(half_range) + 0.5f;
  for (int j = 0; j < block; ++j) {
    const int code = static_cast<int>(x[j] * inverse + offset);  // in [0, 2^bits]: |x / d| <= 2^(bits-1)
    q[j] = static_cast<std::uint8_t>(std::min(code, 2 * half_range - 1));
  }
  put_half(scale, d);
  return fits_half(d);
}

/// Q4_1 and Q5_1: codes 0 .. 2^bits - 1 from the smallest value to the largest.
bool encode_affine(In x, int bits, Out scale, std::uint8_t* q) {
  const int top = (1 << bits) - 1;
  float minimum = x[0], maximum = x[0];
  for (int j = 1; j < block; ++j) {  // the first of equals: the signs of zeros are ggml's
    if (x[j] < minimum) minimum = x[j];
    if (x[j] > maximum) maximum = x[j];
  }
  const float d = (maximum - minimum) / static_cast<float>(top);
  if (!fits_half(d) || !fits_half(minimum)) return false;
  const float inverse = reciprocal(d);
  for (int j = 0; j < block; ++j) {
    q[j] = static_cast<std::uint8_t>(std::min(static_cast<int>((x[j] - minimum) * inverse + 0.5f), top));
  }
  put_half(scale, d);
  put_half(scale + 2, minimum);
  return true;
}

bool encode_q4_0(In x, Out out) {
  std::uint8_t q[block];
  const bool ok = encode_symmetric(x, 4, out, q);
  put_nibbles(out + 2, q);
  return ok;
}

bool encode_q4_1(In x, Out out) {
  std::uint8_t q[block] = {};
  const bool ok = encode_affine(x, 4, out, q);
  put_nibbles(out + 4, q);
  return ok;
}

bool encode_q5_0(In x, Out out) {
  std::uint8_t q[block];
  const bool ok = encode_symmetric(x, 5, out, q);
  put_fifth_bits(out + 2, q);
  put_nibbles(out + 6, q);
  return ok;
}

bool encode_q5_1(In x, Out out) {
  std::uint8_t q[block] = {};
  const bool ok = encode_affine(x, 5, out, q);
  put_fifth_bits(out + 4, q);
  put_nibbles(out + 8, q);
  return ok;
}

/// roundf without the library call: half away from zero. |x| <= 127.5, where adding is exact enough: x + 0.5 can only
/// round up to an integer when x is the float just below a half, which std::trunc and a comparison settle.
std::int8_t round_away(float x) {
  const float whole = static_cast<float>(static_cast<int>(x));
  const float rest = x - whole;  // exact
  return static_cast<std::int8_t>(static_cast<int>(whole) + (rest >= 0.5f) - (rest <= -0.5f));
}

bool encode_q8_0(In x, Out out) {
  const float d = std::fabs(signed_extreme(x)) / 127.0f;
  const float inverse = reciprocal(d);
  for (int j = 0; j < block; ++j) out[2 + j] = static_cast<std::uint8_t>(round_away(x[j] * inverse));
  put_half(out, d);
  return fits_half(d);
}

void decode_q4_0(Bytes in, float* out) {
  const float d = get_half(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((in[2 + j] & 15) - 8) * d;
    out[j + 16] = static_cast<float>((in[2 + j] >> 4) - 8) * d;
  }
}

void decode_q4_1(Bytes in, float* out) {
  const float d = get_half(in), m = get_half(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(in[4 + j] & 15) * d + m;
    out[j + 16] = static_cast<float>(in[4 + j] >> 4) * d + m;
  }
}

int fifth_bit(Bytes bits, int j) { return ((bits[j / 8] >> (j % 8)) & 1) << 4; }

void decode_q5_0(Bytes in, float* out) {
  const float d = get_half(in);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(((in[6 + j] & 15) | fifth_bit(in + 2, j)) - 16) * d;
    out[j + 16] = static_cast<float>(((in[6 + j] >> 4) | fifth_bit(in + 2, j + 16)) - 16) * d;
  }
}

void decode_q5_1(Bytes in, float* out) {
  const float d = get_half(in), m = get_half(in + 2);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>((in[8 + j] & 15) | fifth_bit(in + 4, j)) * d + m;
    out[j + 16] = static_cast<float>((in[8 + j] >> 4) | fifth_bit(in + 4, j + 16)) * d + m;
  }
}

void decode_q8_0(Bytes in, float* out) {
  const float d = get_half(in);
  for (int j = 0; j < block; ++j) out[j] = static_cast<float>(static_cast<std::int8_t>(in[2 + j])) * d;
}

template <typename Encode>
bool encode_each(const BlockLayout& layout, std::span<const float> in, std::span<std::byte> out, Encode encode) {
  bool ok = true;
  Out to = reinterpret_cast<Out>(out.data());
  for (std::size_t i = 0; i < in.size(); i += static_cast<std::size_t>(layout.elements), to += layout.bytes) {
    ok &= encode(in.data() + i, to);
  }
  return ok;
}

template <typename Decode>
void decode_each(const BlockLayout& layout, std::span<const std::byte> in, std::span<float> out, Decode decode) {
  Bytes from = reinterpret_cast<Bytes>(in.data());
  for (std::size_t i = 0; i < out.size(); i += static_cast<std::size_t>(layout.elements), from += layout.bytes) {
    decode(from, out.data() + i);
  }
}

}  // namespace

std::span<const BlockLayout> block_layouts() { return layouts; }

const BlockLayout& layout_of(BlockType type) {
  return *std::find_if(layouts.begin(), layouts.end(), [type](const BlockLayout& l) { return l.type == type; });
}

std::optional<BlockType> block_type(std::uint32_t id) {
  for (const BlockLayout& layout : layouts) {
    if (static_cast<std::uint32_t>(layout.type) == id) return layout.type;
  }
  return std::nullopt;
}

std::optional<BlockType> block_type_named(std::string_view id) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) == std::toupper(static_cast<unsigned char>(b));
  };
  for (const BlockLayout& layout : layouts) {
    if (std::equal(layout.name.begin(), layout.name.end(), id.begin(), id.end(), same)) return layout.type;
  }
  return std::nullopt;
}

std::int64_t row_bytes(BlockType type, std::int64_t columns) {
  const BlockLayout& layout = layout_of(type);
  return columns / layout.elements * layout.bytes;
}

bool encode_blocks(BlockType type, std::span<const float> in, std::span<std::byte> out) {
  const BlockLayout& layout = layout_of(type);
  const std::uint32_t largest = largest_bits(in);
  if (largest >= 0x7f800000u) return false;
  switch (type) {
    case BlockType::f32: from_f32(DType::f32, in, out); return true;
    case BlockType::f16: from_f32(DType::f16, in, out); return fits_half(std::bit_cast<float>(largest));
    case BlockType::bf16:  // 0x7f7f8000: the first float that rounds to infinity
      from_f32(DType::bf16, in, out);
      return largest < 0x7f7f8000u;
    case BlockType::q4_0: return encode_each(layout, in, out, encode_q4_0);
    case BlockType::q4_1: return encode_each(layout, in, out, encode_q4_1);
    case BlockType::q5_0: return encode_each(layout, in, out, encode_q5_0);
    case BlockType::q5_1: return encode_each(layout, in, out, encode_q5_1);
    case BlockType::q8_0: return encode_each(layout, in, out, encode_q8_0);
    default: return false;
  }
}

void decode_blocks(BlockType type, std::span<const std::byte> in, std::span<float> out) {
  const BlockLayout& layout = layout_of(type);
  switch (type) {
    case BlockType::f32: to_f32(DType::f32, in, out); break;
    case BlockType::f16: to_f32(DType::f16, in, out); break;
    case BlockType::bf16: to_f32(DType::bf16, in, out); break;
    case BlockType::q4_0: decode_each(layout, in, out, decode_q4_0); break;
    case BlockType::q4_1: decode_each(layout, in, out, decode_q4_1); break;
    case BlockType::q5_0: decode_each(layout, in, out, decode_q5_0); break;
    case BlockType::q5_1: decode_each(layout, in, out, decode_q5_1); break;
    case BlockType::q8_0: decode_each(layout, in, out, decode_q8_0); break;
    case BlockType::q2_k: decode_each(layout, in, out, decode_q2_k); break;
    case BlockType::q3_k: decode_each(layout, in, out, decode_q3_k); break;
    case BlockType::q4_k: decode_each(layout, in, out, decode_q4_k); break;
    case BlockType::q5_k: decode_each(layout, in, out, decode_q5_k); break;
    case BlockType::q6_k: decode_each(layout, in, out, decode_q6_k); break;
  }
}

}  // namespace advisor::kernels
