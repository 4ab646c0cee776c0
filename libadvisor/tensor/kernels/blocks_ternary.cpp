// TQ1_0 and TQ2_0: 256 weights of -1, 0 and 1 times one half-precision scale. TQ2_0 gives each two bits. TQ1_0 packs
// five into a byte as the digits of a number in base 3, stored as the fraction byte / 256 rounded up, so that
// multiplying by 3 brings out one digit after the other.
#include <algorithm>
#include <cmath>

#include "tensor/kernels/blocks_families.h"

namespace advisor::kernels {
namespace {

constexpr int super = 256;
constexpr Levels levels{Levels::Kind::uniform, -1, 1};
/// From the scale at which only what exceeds half the extreme weight is kept to one that keeps what exceeds an eighth.
constexpr Trials trials{0.0F, 0.1F, 31};

/// Where digit n of byte m of a run of `bytes` is among the codes, runs of TQ1_0: 32 bytes, 16 bytes, 4 bytes.
struct Run {
  int first_code, first_byte, bytes, digits;
};
constexpr Run runs[] = {{0, 0, 32, 5}, {160, 32, 16, 5}, {240, 48, 4, 4}};

void put_tq1_0(const std::uint8_t* q, float scale, std::uint8_t* out) {
  for (const Run& run : runs) {
    for (int m = 0; m < run.bytes; ++m) {
      int number = 0;
      for (int n = 0; n < 5; ++n)  // the last run has no fifth digit
        number = 3 * number + (n < run.digits ? q[run.first_code + n * run.bytes + m] : 0);
      out[run.first_byte + m] = static_cast<std::uint8_t>((number * 256 + 242) / 243);
    }
  }
  put_half(out + 52, scale);
}

void put_tq2_0(const std::uint8_t* q, float scale, std::uint8_t* out) {
  for (int half = 0; half < 2; ++half, q += 128) {
    for (int m = 0; m < 32; ++m) {
      out[32 * half + m] = static_cast<std::uint8_t>(q[m] | (q[m + 32] << 2) | (q[m + 64] << 4) | (q[m + 96] << 6));
    }
  }
  put_half(out + 64, scale);
}

void decode_tq1_0(const std::uint8_t* in, float* out) {
  const float d = get_half(in + 52);
  for (const Run& run : runs) {
    int power = 1;
    for (int n = 0; n < run.digits; ++n, power *= 3) {
      for (int m = 0; m < run.bytes; ++m) {
        const int rest = (in[run.first_byte + m] * power) & 255;
        out[run.first_code + n * run.bytes + m] = static_cast<float>(((rest * 3) >> 8) - 1) * d;
      }
    }
  }
}

void decode_tq2_0(const std::uint8_t* in, float* out) {
  const float d = get_half(in + 64);
  std::uint8_t codes[super];
  unpack_two_bits(in, codes);
  unpack_two_bits(in + 32, codes + 128);
  for (int i = 0; i < super; ++i) out[i] = static_cast<float>(codes[i] - 1) * d;
}

}  // namespace

bool encode_ternary(BlockType type, const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  Batch batch(search, input, super, super);
  ScaleFit fit;
  constexpr Lanes no_minimum{};
  std::uint8_t codes[lanes * super];
  for (std::int64_t first = 0; first < input.blocks; first += lanes) {
    const std::int64_t count = batch.load(first);
    search.fit_scale(batch.groups(), levels, trials, false, fit);
    for (float& scale : fit.scale) {
      if (!fits_half(scale)) return false;
      scale = std::fabs(to_half(scale));  // levels are symmetric
    }
    search.codes(batch.weights(), super, levels, fit.scale, no_minimum, codes);
    for (std::int64_t b = 0; b < count; ++b) {
      if (type == BlockType::tq1_0) {
        put_tq1_0(codes + b * super, fit.scale[b], out + 54 * (first + b));
      } else {
        put_tq2_0(codes + b * super, fit.scale[b], out + 66 * (first + b));
      }
    }
  }
  return true;
}

void decode_ternary(BlockType type, const std::uint8_t* in, std::int64_t blocks, float* out) {
  for (std::int64_t b = 0; b < blocks; ++b) {
    if (type == BlockType::tq1_0) {
      decode_tq1_0(in + 54 * b, out + super * b);
    } else {
      decode_tq2_0(in + 66 * b, out + super * b);
    }
  }
}

}  // namespace advisor::kernels
