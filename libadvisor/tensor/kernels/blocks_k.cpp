#include "tensor/kernels/blocks_k.h"

#include <cstring>

#include "tensor/kernels/reference.h"

namespace advisor::kernels {
namespace {

float get_half(const std::uint8_t* from) {
  std::uint16_t half;
  std::memcpy(&half, from, sizeof half);
  return reference::f16_to_f32(half);
}

struct ScaleAndMin {
  float scale, min;
};

/// Q4_K and Q5_K: 8 scales and 8 minima of 6 bits in 12 bytes; those of sub-blocks 4..7 have their top two bits in the
/// spare bits of the bytes of sub-blocks 0..3.
ScaleAndMin six_bits(const std::uint8_t* q, int j) {
  if (j < 4) return {static_cast<float>(q[j] & 63), static_cast<float>(q[j + 4] & 63)};
  return {static_cast<float>((q[j + 4] & 15) | ((q[j - 4] >> 6) << 4)),
          static_cast<float>((q[j + 4] >> 4) | ((q[j] >> 6) << 4))};
}

/// Q3_K: 16 signed scales of 6 bits in 12 bytes: low nibbles of bytes 0..7, then high nibbles, top bits in bytes 8..11.
int six_bits_signed(const std::uint8_t* q, int j) {
  const int low = j < 8 ? q[j] & 15 : q[j - 8] >> 4;
  const int high = (q[8 + j % 4] >> (2 * (j / 4))) & 3;
  return (low | (high << 4)) - 32;
}

}  // namespace

void decode_q2_k(const std::uint8_t* in, float* out) {
  const std::uint8_t *scales = in, *codes = in + 16;
  const float d = get_half(in + 80), dmin = get_half(in + 82);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, shift = 2 * (i % 128 / 32);
    const std::uint8_t scale = scales[i / 16];
    const float step = d * static_cast<float>(scale & 15), min = dmin * static_cast<float>(scale >> 4);
    out[i] = step * static_cast<float>((codes[32 * half + i % 32] >> shift) & 3) - min;
  }
}

void decode_q3_k(const std::uint8_t* in, float* out) {
  const std::uint8_t *high = in, *codes = in + 32, *scales = in + 96;
  const float d = get_half(in + 108);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, plane = i % 128 / 32, l = i % 32;
    const int low = (codes[32 * half + l] >> (2 * plane)) & 3;
    const int q = low - (((high[l] >> (4 * half + plane)) & 1) ? 0 : 4);
    out[i] = d * static_cast<float>(six_bits_signed(scales, i / 16)) * static_cast<float>(q);
  }
}

void decode_q4_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in), dmin = get_half(in + 2);
  const std::uint8_t *scales = in + 4, *codes = in + 16;
  for (int sub = 0; sub < 8; ++sub) {
    const auto [scale, min] = six_bits(scales, sub);
    const float step = d * scale, offset = dmin * min;
    for (int l = 0; l < 32; ++l) {
      const int q = (codes[32 * (sub / 2) + l] >> (4 * (sub % 2))) & 15;
      out[32 * sub + l] = step * static_cast<float>(q) - offset;
    }
  }
}

void decode_q5_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in), dmin = get_half(in + 2);
  const std::uint8_t *scales = in + 4, *fifth = in + 16, *codes = in + 48;
  for (int sub = 0; sub < 8; ++sub) {
    const auto [scale, min] = six_bits(scales, sub);
    const float step = d * scale, offset = dmin * min;
    for (int l = 0; l < 32; ++l) {
      const int q = ((codes[32 * (sub / 2) + l] >> (4 * (sub % 2))) & 15) | (((fifth[l] >> sub) & 1) << 4);
      out[32 * sub + l] = step * static_cast<float>(q) - offset;
    }
  }
}

void decode_q6_k(const std::uint8_t* in, float* out) {
  const std::uint8_t *low = in, *high = in + 128, *scales = in + 192;
  const float d = get_half(in + 208);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
    const int nibble = (low[64 * half + 32 * (quarter % 2) + l] >> (4 * (quarter / 2))) & 15;
    const int q = (nibble | (((high[32 * half + l] >> (2 * quarter)) & 3) << 4)) - 32;
    out[i] = d * static_cast<float>(static_cast<std::int8_t>(scales[i / 16])) * static_cast<float>(q);
  }
}

}  // namespace advisor::kernels
