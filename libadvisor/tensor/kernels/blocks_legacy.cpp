// Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0: 32 weights share a half-precision scale and, in the _1 types, a minimum. Element j
// has its low four bits in the low nibble of byte j, element j + 16 in the high one; fifth bits are a 32-bit word.
#include <algorithm>
#include <cmath>

#include "tensor/kernels/blocks_families.h"

namespace advisor::kernels {
namespace {

constexpr int block = 32;

struct LegacyType {
  int bits;
  bool has_minimum;
  int bytes;
};

LegacyType shape_of(BlockType type) {
  switch (type) {
    case BlockType::q4_0: return {4, false, 18};
    case BlockType::q4_1: return {4, true, 20};
    case BlockType::q5_0: return {5, false, 22};
    case BlockType::q5_1: return {5, true, 24};
    default: return {8, false, 34};
  }
}

/// Scales just inside and outside of the one that reaches the extreme weight. Few where all weights count alike: there
/// more lower the error by 1 % and the speed by half. Importance moves the best scale further away.
Trials trials_of(const LegacyType& type, bool importance) {
  if (type.has_minimum) {
    if (importance) return type.bits == 4 ? Trials{-1.2F, 0.2F, 14} : Trials{-2.1F, 0.3F, 16};
    return type.bits == 4 ? Trials{-0.9F, 0.3F, 7} : Trials{-0.9F, 0.45F, 5};
  }
  if (importance) return type.bits == 4 ? Trials{-0.9F, 0.3F, 8} : Trials{-1.35F, 0.45F, 8};
  return type.bits == 4 ? Trials{0.0F, 0.5F, 2} : Trials{-0.5F, 0.5F, 3};
}

void put_codes(const std::uint8_t* q, int bits, std::uint8_t* out) {
  if (bits == 5) {
    std::uint32_t fifth = 0;
    for (int j = 0; j < block; ++j) fifth |= static_cast<std::uint32_t>(q[j] >> 4) << j;
    std::memcpy(out, &fifth, sizeof fifth);
    out += sizeof fifth;
  }
  for (int j = 0; j < 16; ++j) out[j] = static_cast<std::uint8_t>((q[j] & 15) | (q[j + 16] << 4));
}

/// Rounds scales and minima to what is stored; false when one does not fit.
bool store_exactly(Lanes& values) {
  for (float& value : values) {
    if (!fits_half(value)) return false;
    value = to_half(value);
  }
  return true;
}

struct Fit {
  Levels levels;
  Lanes scale, minimum{};
};

bool fit_batch(const BlockSearch& search, Batch& batch, const LegacyType& type, Fit& fit) {
  const int half_range = 1 << (type.bits - 1);
  if (type.bits == 8) {  // 8 bits leave nothing to search: the extreme weight gets code 127
    fit.levels = {Levels::Kind::uniform, -127, 127};
    for (int lane = 0; lane < lanes; ++lane) {
      std::int32_t extreme = 0;  // bits of magnitudes are ordered as magnitudes
      const float* x = batch.weights() + block * lane;
      for (int i = 0; i < block; ++i) extreme = std::max(extreme, std::bit_cast<std::int32_t>(x[i]) & 0x7fffffff);
      fit.scale[lane] = std::bit_cast<float>(extreme) / 127;
    }
    return store_exactly(fit.scale);
  }
  const Groups& groups = batch.groups();
  const Trials trials = trials_of(type, groups.importance != nullptr);
  if (type.has_minimum) {
    fit.levels = {Levels::Kind::uniform, 0, 2 * half_range - 1};
    AffineFit free;
    search.fit_affine(groups, fit.levels.high, trials, true, free);
    std::copy_n(free.step, lanes, fit.scale);
    std::copy_n(free.minimum, lanes, fit.minimum);
    const Lanes& ideal = free.step;
    if (!store_exactly(fit.scale) || !store_exactly(fit.minimum)) return false;
    for (int lane = 0; lane < lanes; ++lane)  // without a step, the minimum alone would stand for all weights
      if (fit.scale[lane] == 0) fit.scale[lane] = half_away_from_zero(ideal[lane]);
    return true;
  }
  fit.levels = {Levels::Kind::uniform, -half_range, half_range - 1};
  ScaleFit free;
  search.fit_scale(groups, fit.levels, trials, true, free);
  std::copy_n(free.scale, lanes, fit.scale);
  return store_exactly(fit.scale);
}

}  // namespace

bool encode_legacy(BlockType id, const BlockSearch& search, const BlockInput& input, std::uint8_t* out) {
  const LegacyType type = shape_of(id);
  Batch batch(search, input, block, block);
  Fit fit;
  std::uint8_t codes[lanes * block];
  for (std::int64_t first = 0; first < input.blocks; first += lanes) {
    const std::int64_t count = batch.load(first);
    if (!fit_batch(search, batch, type, fit)) return false;
    search.codes(batch.weights(), block, fit.levels, fit.scale, fit.minimum, codes);
    for (std::int64_t b = 0; b < count; ++b, out += type.bytes) {
      put_half(out, fit.scale[b]);
      if (type.has_minimum) put_half(out + 2, -fit.minimum[b]);
      std::uint8_t* q = codes + b * block;
      if (type.bits == 8) {
        for (int j = 0; j < block; ++j) out[2 + j] = static_cast<std::uint8_t>(q[j] - 127);
      } else {
        put_codes(q, type.bits, out + (type.has_minimum ? 4 : 2));
      }
    }
  }
  return true;
}

void decode_legacy(BlockType id, const std::uint8_t* in, std::int64_t blocks, float* out) {
  const LegacyType type = shape_of(id);
  for (std::int64_t b = 0; b < blocks; ++b, in += type.bytes, out += block) {
    const float d = get_half(in);
    if (type.bits == 8) {
      for (int j = 0; j < block; ++j) out[j] = static_cast<float>(static_cast<std::int8_t>(in[2 + j])) * d;
      continue;
    }
    const std::uint8_t* codes = in + (type.has_minimum ? 4 : 2);
    std::uint8_t q[block];
    const std::uint8_t* low = codes + (type.bits == 5 ? 4 : 0);
    unpack_bits<0, 15>(low, 16, q);
    unpack_bits<4, 15>(low, 16, q + 16);
    if (type.bits == 5) {
      for (int j = 0; j < block; ++j) q[j] = static_cast<std::uint8_t>(q[j] | (((codes[j / 8] >> (j % 8)) & 1) << 4));
    }
    if (type.has_minimum) {
      const float m = get_half(in + 2);
      for (int j = 0; j < block; ++j) out[j] = static_cast<float>(q[j]) * d + m;
    } else {
      const int zero = 1 << (type.bits - 1);
      for (int j = 0; j < block; ++j) out[j] = static_cast<float>(q[j] - zero) * d;
    }
  }
}

}  // namespace advisor::kernels
