// Types whose 4-bit codes are places in a table of levels: IQ4_NL (32 weights, half-precision scale), IQ4_XS (256
// weights, 6-bit multiples of one scale for groups of 32) and MXFP4 (32 weights, scale a power of two; OCP Microscaling
// Formats specification 1.0). Nibbles as in Q4_0: element j in the low one of byte j, j + 16 in the high one.
#include <algorithm>
#include <cmath>

#include "tensor/kernels/blocks_families.h"

namespace advisor::kernels {
namespace {

constexpr int group = 32, super = 256;
constexpr Levels iq4{Levels::Kind::iq4, -127, 113}, e2m1{Levels::Kind::e2m1, -12, 12};
constexpr Lanes no_minimum{};
constexpr Trials trials{-7.0F, 2.0F, 8};  ///< in units of a level of which the end is 127, as the other types'

void pack_halves(const std::uint8_t* q, std::uint8_t* out) {
  for (int j = 0; j < 16; ++j) out[j] = static_cast<std::uint8_t>(q[j] | (q[j + 16] << 4));
}

bool encode_iq4_nl(const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  Batch batch(search, input, group, group);
  ScaleFit fit;
  std::uint8_t codes[lanes * group];
  for (std::int64_t first = 0; first < input.blocks; first += lanes) {
    const std::int64_t count = batch.load(first);
    search.fit_scale(batch.groups(), iq4, trials, true, fit);
    for (float& scale : fit.scale) {
      if (!fits_half(scale)) return false;
      scale = to_half(scale);
    }
    search.codes(batch.weights(), group, iq4, fit.scale, no_minimum, codes);
    for (std::int64_t b = 0; b < count; ++b, out += 18) {
      put_half(out, fit.scale[b]);
      pack_halves(codes + b * group, out + 2);
    }
  }
  return true;
}

constexpr Symmetric iq4_xs{iq4, trials, true, {-32, 31, 1}, 8};

bool encode_iq4_xs(const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  Batch batch(search, input, super, group);
  SymmetricFit fit;
  std::uint8_t codes[lanes * group];
  for (std::int64_t first = 0; first < input.blocks; first += 2) {
    const std::int64_t count = batch.load(first);
    if (!fit_symmetric(search, batch, iq4_xs, fit)) return false;
    search.codes(batch.weights(), group, iq4, fit.scale, no_minimum, codes);
    for (int s = 0; s < count; ++s, out += 136) {
      put_half(out, fit.unit[8 * s]);
      std::fill_n(out + 2, 6, std::uint8_t{0});
      for (int j = 0; j < 8; ++j) {
        const int scale = static_cast<int>(fit.multiple[8 * s + j]) + 32;
        out[2 + j / 4] = static_cast<std::uint8_t>(out[2 + j / 4] | ((scale >> 4) << (2 * (j % 4))));
        out[4 + j / 2] = static_cast<std::uint8_t>(out[4 + j / 2] | ((scale & 15) << (4 * (j % 2))));
        pack_halves(codes + super * s + group * j, out + 8 + 16 * j);
      }
    }
  }
  return true;
}

/// Half of 2^(e - 127): levels are stored times two.
float half_power(int e) { return std::ldexp(1.0F, e - 128); }

bool encode_mxfp4(const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  Batch batch(search, input, group, group);
  std::uint8_t codes[lanes * group];
  for (std::int64_t first = 0; first < input.blocks; first += lanes) {
    const std::int64_t count = batch.load(first);
    int exponents[lanes] = {}, best[lanes] = {};
    Lanes scale, error, least;
    for (int lane = 0; lane < lanes; ++lane) {
      float extreme = 0;
      for (int i = 0; i < group; ++i) extreme = std::max(extreme, std::fabs(batch.weights()[group * lane + i]));
      exponents[lane] = extreme > 0 ? std::ilogb(extreme) - 2 + 127 : 1;  // the extreme lies between levels 4 and 8
    }
    for (int away = -1; away <= 1; ++away) {  // the specification's choice is the middle one, the others clip or waste
      for (int lane = 0; lane < lanes; ++lane) scale[lane] = half_power(std::clamp(exponents[lane] + away, 0, 254));
      search.error(batch.groups(), e2m1, scale, no_minimum, error);
      for (int lane = 0; lane < lanes; ++lane) {
        if (away > -1 && !(error[lane] < least[lane])) continue;
        least[lane] = error[lane];
        best[lane] = std::clamp(exponents[lane] + away, 0, 254);
      }
    }
    for (int lane = 0; lane < lanes; ++lane) scale[lane] = half_power(best[lane]);
    search.codes(batch.weights(), group, e2m1, scale, no_minimum, codes);
    for (std::int64_t b = 0; b < count; ++b, out += 17) {
      out[0] = static_cast<std::uint8_t>(best[b]);
      pack_halves(codes + b * group, out + 1);
    }
  }
  return true;
}

void decode_levels(const std::uint8_t* codes, float scale, const float* levels, float* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = scale * levels[codes[j] & 15];
    out[j + 16] = scale * levels[codes[j] >> 4];
  }
}

void decode_iq4_xs(const std::uint8_t* in, float* out) {
  const float d = get_half(in);
  for (int j = 0; j < 8; ++j) {
    const int low = (in[4 + j / 2] >> (4 * (j % 2))) & 15, high = (in[2 + j / 4] >> (2 * (j % 4))) & 3;
    decode_levels(in + 8 + 16 * j, d * static_cast<float>((low | (high << 4)) - 32), iq4_levels, out + group * j);
  }
}

constexpr float signed_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0F, -1, -2, -3, -4, -6, -8, -12};

}  // namespace

bool encode_table(BlockType type, const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  switch (type) {
    case BlockType::iq4_nl: return encode_iq4_nl(search, input, out);
    case BlockType::iq4_xs: return encode_iq4_xs(search, input, out);
    default: return encode_mxfp4(search, input, out);
  }
}

void decode_table(BlockType type, const std::uint8_t* in, std::int64_t blocks, float* out) {
  for (std::int64_t b = 0; b < blocks; ++b) {
    switch (type) {
      case BlockType::iq4_nl: decode_levels(in + 18 * b + 2, get_half(in + 18 * b), iq4_levels, out + group * b); break;
      case BlockType::iq4_xs: decode_iq4_xs(in + 136 * b, out + super * b); break;
      default: decode_levels(in + 17 * b + 1, half_power(in[17 * b]), signed_e2m1, out + group * b);
    }
  }
}

}  // namespace advisor::kernels
