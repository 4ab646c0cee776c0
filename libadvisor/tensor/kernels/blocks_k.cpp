// The K types: super-blocks of 256 weights in groups of 16 or 32. The scale of a group is a small whole multiple of one
// half-precision number; Q2_K, Q4_K and Q5_K also have a minimum for each group, made the same way.
#include <algorithm>

#include "tensor/kernels/blocks_families.h"

namespace advisor::kernels {
namespace {

constexpr int super = 256;

struct ScaleAndMinimum {
  int scale, minimum;
};

/// Q4_K and Q5_K: 8 scales and 8 minima of 6 bits in 12 bytes; those of groups 4..7 have their top two bits in the
/// spare bits of the bytes of groups 0..3.
ScaleAndMinimum six_bits(const std::uint8_t* q, int j) {
  if (j < 4) return {q[j] & 63, q[j + 4] & 63};
  return {(q[j + 4] & 15) | ((q[j - 4] >> 6) << 4), (q[j + 4] >> 4) | ((q[j] >> 6) << 4)};
}

void put_six_bits(const float* scales, const float* minima, std::uint8_t* q) {
  for (int j = 0; j < 4; ++j) {
    const int low_scale = static_cast<int>(scales[j]), low_minimum = static_cast<int>(minima[j]);
    const int scale = static_cast<int>(scales[j + 4]), minimum = static_cast<int>(minima[j + 4]);
    q[j] = static_cast<std::uint8_t>(low_scale | ((scale >> 4) << 6));
    q[j + 4] = static_cast<std::uint8_t>(low_minimum | ((minimum >> 4) << 6));
    q[j + 8] = static_cast<std::uint8_t>((scale & 15) | ((minimum & 15) << 4));
  }
}

/// Q3_K: 16 signed scales of 6 bits in 12 bytes: low nibbles of bytes 0..7, then high nibbles, top bits in bytes 8..11.
int six_bits_signed(const std::uint8_t* q, int j) {
  const int low = j < 8 ? q[j] & 15 : q[j - 8] >> 4;
  const int high = (q[8 + j % 4] >> (2 * (j / 4))) & 3;
  return (low | (high << 4)) - 32;
}

void put_six_bits_signed(const float* scales, std::uint8_t* q) {
  std::fill_n(q, 12, std::uint8_t{0});
  for (int j = 0; j < 16; ++j) {
    const int scale = static_cast<int>(scales[j]) + 32;
    q[j % 8] = static_cast<std::uint8_t>(q[j % 8] | ((scale & 15) << (j < 8 ? 0 : 4)));
    q[8 + j % 4] = static_cast<std::uint8_t>(q[8 + j % 4] | ((scale >> 4) << (2 * (j / 4))));
  }
}

// --- encoders: one super-block from its codes and multiples --------------------------------------------------------

void pack_two_bits(const std::uint8_t* q, std::uint8_t* out) {
  for (int half = 0; half < 2; ++half, q += 128, out += 32) {
    for (int l = 0; l < 32; ++l) {
      out[l] = static_cast<std::uint8_t>((q[l] & 3) | ((q[l + 32] & 3) << 2) | ((q[l + 64] & 3) << 4) |
                                         ((q[l + 96] & 3) << 6));
    }
  }
}

void pack_nibbles(const std::uint8_t* q, std::uint8_t* out) {
  for (int pair = 0; pair < 4; ++pair, q += 64, out += 32) {
    for (int l = 0; l < 32; ++l) out[l] = static_cast<std::uint8_t>((q[l] & 15) | (q[l + 32] << 4));
  }
}

void put_q2_k(const std::uint8_t* q, const AffineGroupFit& fit, int lane, std::uint8_t* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<std::uint8_t>(static_cast<int>(fit.step_multiple[lane + j]) |
                                       (static_cast<int>(fit.minimum_multiple[lane + j]) << 4));
  }
  pack_two_bits(q, out + 16);
  put_half(out + 80, fit.step_unit[lane]);
  put_half(out + 82, fit.minimum_unit[lane]);
}

void put_q4_k(const std::uint8_t* q, const AffineGroupFit& fit, int lane, std::uint8_t* out) {
  put_half(out, fit.step_unit[lane]);
  put_half(out + 2, fit.minimum_unit[lane]);
  put_six_bits(fit.step_multiple + lane, fit.minimum_multiple + lane, out + 4);
  pack_nibbles(q, out + 16);
}

void put_q5_k(const std::uint8_t* q, const AffineGroupFit& fit, int lane, std::uint8_t* out) {
  put_q4_k(q, fit, lane, out);
  std::copy_backward(out + 16, out + 144, out + 176);
  for (int l = 0; l < 32; ++l) {
    int fifth = 0;
    for (int group = 0; group < 8; ++group) fifth |= (q[32 * group + l] >> 4) << group;
    out[16 + l] = static_cast<std::uint8_t>(fifth);
  }
}

void put_q3_k(const std::uint8_t* q, const SymmetricFit& fit, std::uint8_t* out) {
  for (int l = 0; l < 32; ++l) {
    int high = 0;
    for (int plane = 0; plane < 8; ++plane) high |= (q[32 * plane + l] >> 2) << plane;
    out[l] = static_cast<std::uint8_t>(high);
  }
  pack_two_bits(q, out + 32);
  put_six_bits_signed(fit.multiple, out + 96);
  put_half(out + 108, fit.unit[0]);
}

void put_q6_k(const std::uint8_t* q, const SymmetricFit& fit, std::uint8_t* out) {
  for (int half = 0; half < 2; ++half, q += 128) {
    std::uint8_t *low = out + 64 * half, *high = out + 128 + 32 * half;
    for (int l = 0; l < 32; ++l) {
      low[l] = static_cast<std::uint8_t>((q[l] & 15) | ((q[l + 64] & 15) << 4));
      low[l + 32] = static_cast<std::uint8_t>((q[l + 32] & 15) | ((q[l + 96] & 15) << 4));
      high[l] = static_cast<std::uint8_t>((q[l] >> 4) | ((q[l + 32] >> 4) << 2) | ((q[l + 64] >> 4) << 4) |
                                          ((q[l + 96] >> 4) << 6));
    }
  }
  for (int j = 0; j < 16; ++j) out[192 + j] = static_cast<std::uint8_t>(static_cast<int>(fit.multiple[j]));
  put_half(out + 208, fit.unit[0]);
}

struct AffineFormat {
  Affine type;
  int bytes;
  void (*put)(const std::uint8_t*, const AffineGroupFit&, int lane, std::uint8_t*);
};

bool encode_affine(const AffineFormat& format, const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  const int group = super / format.type.super_lanes, supers = lanes / format.type.super_lanes;
  Batch batch(search, input, super, group);
  AffineGroupFit fit;
  std::uint8_t codes[lanes * 32];
  for (std::int64_t first = 0; first < input.blocks; first += supers) {
    const std::int64_t count = batch.load(first);
    if (!fit_affine_groups(search, batch, format.type, fit)) return false;
    search.codes(batch.weights(), group, {Levels::Kind::uniform, 0, format.type.top}, fit.step, fit.minimum, codes);
    for (int s = 0; s < count; ++s, out += format.bytes)
      format.put(codes + super * s, fit, s * format.type.super_lanes, out);
  }
  return true;
}

struct SymmetricFormat {
  Symmetric type;
  int bytes;
  void (*put)(const std::uint8_t*, const SymmetricFit&, std::uint8_t*);
};

/// Groups of 16: a batch is one super-block.
bool encode_symmetric(const SymmetricFormat& format, const BlockSearch& search, const BlockInput& input,
                      std::uint8_t* out) {
  Batch batch(search, input, super, super / lanes);
  SymmetricFit fit;
  constexpr Lanes no_minimum{};
  std::uint8_t codes[super];
  for (std::int64_t first = 0; first < input.blocks; ++first, out += format.bytes) {
    batch.load(first);
    if (!fit_symmetric(search, batch, format.type, fit)) return false;
    search.codes(batch.weights(), super / lanes, format.type.levels, fit.scale, no_minimum, codes);
    format.put(codes, fit, out);
  }
  return true;
}

// Trials were measured on weights of trained models: more of them or a wider reach lower the
// error by less than half a percent.
constexpr AffineFormat q2_k{{3, {-0.9F, 0.15F, 13}, {0, 15, 1}, 16}, 84, put_q2_k};
constexpr AffineFormat q4_k{{15, {-1.4F, 0.2F, 11}, {0, 63, 1}, 8}, 144, put_q4_k};
constexpr AffineFormat q5_k{{31, {-1.4F, 0.3F, 8}, {0, 63, 1}, 8}, 176, put_q5_k};
constexpr SymmetricFormat q3_k{
    {{Levels::Kind::uniform, -4, 3}, {-0.8F, 0.2F, 9}, true, {-32, 31, 1}, 16}, 110, put_q3_k};
constexpr SymmetricFormat q6_k{
    {{Levels::Kind::uniform, -32, 31}, {-1.2F, 0.4F, 7}, false, {-128, 127, 1}, 16}, 210, put_q6_k};

// --- decoders ------------------------------------------------------------------------------------------------------

void decode_q2_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in + 80), dmin = get_half(in + 82);
  std::uint8_t codes[super];
  unpack_two_bits(in + 16, codes);
  unpack_two_bits(in + 48, codes + 128);
  for (int group = 0; group < 16; ++group) {
    const float step = d * static_cast<float>(in[group] & 15), minimum = dmin * static_cast<float>(in[group] >> 4);
    const std::uint8_t* q = codes + 16 * group;
    for (int l = 0; l < 16; ++l) out[16 * group + l] = step * static_cast<float>(q[l]) - minimum;
  }
}

/// Codes of groups of 16, of which each has its scale.
void scale_groups(const std::uint8_t* codes, int zero, const float* scales, float* out) {
  for (int group = 0; group < 16; ++group) {
    const std::uint8_t* q = codes + 16 * group;
    for (int l = 0; l < 16; ++l) out[16 * group + l] = scales[group] * static_cast<float>(q[l] - zero);
  }
}

void decode_q3_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in + 108);
  std::uint8_t codes[super];
  unpack_two_bits(in + 32, codes);
  unpack_two_bits(in + 64, codes + 128);
  add_bits<0, 1, 2>(in, 32, codes);
  add_bits<1, 1, 2>(in, 32, codes + 32);
  add_bits<2, 1, 2>(in, 32, codes + 64);
  add_bits<3, 1, 2>(in, 32, codes + 96);
  add_bits<4, 1, 2>(in, 32, codes + 128);
  add_bits<5, 1, 2>(in, 32, codes + 160);
  add_bits<6, 1, 2>(in, 32, codes + 192);
  add_bits<7, 1, 2>(in, 32, codes + 224);
  float scales[16];
  for (int group = 0; group < 16; ++group) scales[group] = d * static_cast<float>(six_bits_signed(in + 96, group));
  scale_groups(codes, 4, scales, out);
}

void decode_q4_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in), dmin = get_half(in + 2);
  for (int group = 0; group < 8; ++group, out += 32) {
    const auto [scale, low] = six_bits(in + 4, group);
    const float step = d * static_cast<float>(scale), minimum = dmin * static_cast<float>(low);
    const std::uint8_t* codes = in + 16 + 32 * (group / 2);
    const int shift = 4 * (group % 2);
    for (int l = 0; l < 32; ++l) out[l] = step * static_cast<float>((codes[l] >> shift) & 15) - minimum;
  }
}

void decode_q5_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in), dmin = get_half(in + 2);
  for (int group = 0; group < 8; ++group, out += 32) {
    const auto [scale, low] = six_bits(in + 4, group);
    const float step = d * static_cast<float>(scale), minimum = dmin * static_cast<float>(low);
    const std::uint8_t *codes = in + 48 + 32 * (group / 2), *fifth = in + 16;
    const int shift = 4 * (group % 2);
    for (int l = 0; l < 32; ++l) {
      const int q = ((codes[l] >> shift) & 15) | (((fifth[l] >> group) & 1) << 4);
      out[l] = step * static_cast<float>(q) - minimum;
    }
  }
}

void decode_q6_k(const std::uint8_t* in, float* out) {
  const float d = get_half(in + 208);
  std::uint8_t codes[super];
  for (int half = 0; half < 2; ++half) {
    const std::uint8_t *low = in + 64 * half, *high = in + 128 + 32 * half;
    std::uint8_t* q = codes + 128 * half;
    unpack_bits<0, 15>(low, 64, q);
    unpack_bits<4, 15>(low, 64, q + 64);
    add_bits<0, 3, 4>(high, 32, q);
    add_bits<2, 3, 4>(high, 32, q + 32);
    add_bits<4, 3, 4>(high, 32, q + 64);
    add_bits<6, 3, 4>(high, 32, q + 96);
  }
  float scales[16];
  for (int group = 0; group < 16; ++group) {
    scales[group] = d * static_cast<float>(static_cast<std::int8_t>(in[192 + group]));
  }
  scale_groups(codes, 32, scales, out);
}

}  // namespace

bool encode_k(BlockType type, const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  switch (type) {
    case BlockType::q2_k: return encode_affine(q2_k, search, input, out);
    case BlockType::q3_k: return encode_symmetric(q3_k, search, input, out);
    case BlockType::q4_k: return encode_affine(q4_k, search, input, out);
    case BlockType::q5_k: return encode_affine(q5_k, search, input, out);
    default: return encode_symmetric(q6_k, search, input, out);
  }
}

void decode_k(BlockType type, const std::uint8_t* in, std::int64_t blocks, float* out) {
  const auto each = [&](int bytes, auto decode) {
    for (std::int64_t b = 0; b < blocks; ++b) decode(in + b * bytes, out + b * super);
  };
  switch (type) {
    case BlockType::q2_k: return each(84, decode_q2_k);
    case BlockType::q3_k: return each(110, decode_q3_k);
    case BlockType::q4_k: return each(144, decode_q4_k);
    case BlockType::q5_k: return each(176, decode_q5_k);
    default: return each(210, decode_q6_k);
  }
}

}  // namespace advisor::kernels
