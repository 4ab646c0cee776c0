#include "tensor/kernels/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "tensor/kernels/reference.h"

namespace advisor::kernels {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes encode(BlockType type, const std::vector<float>& x) {
  Bytes out(static_cast<std::size_t>(row_bytes(type, static_cast<std::int64_t>(x.size()))));
  EXPECT_TRUE(encode_blocks(type, x, std::as_writable_bytes(std::span(out))));
  return out;
}

bool encodes(BlockType type, const std::vector<float>& x) {
  Bytes out(static_cast<std::size_t>(row_bytes(type, static_cast<std::int64_t>(x.size()))));
  return encode_blocks(type, x, std::as_writable_bytes(std::span(out)));
}

std::vector<float> decode(BlockType type, const Bytes& bytes) {
  const BlockLayout& layout = layout_of(type);
  std::vector<float> out(bytes.size() / static_cast<std::size_t>(layout.bytes) *
                         static_cast<std::size_t>(layout.elements));
  decode_blocks(type, std::as_bytes(std::span(bytes)), out);
  return out;
}

std::vector<float> random_weights(std::size_t n, unsigned seed, float scale) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> x(n);
  std::generate(x.begin(), x.end(), [&] { return normal(random); });
  return x;
}

void put_half(Bytes& bytes, std::size_t at, float value) {
  const std::uint16_t half = reference::f32_to_f16(value);
  std::memcpy(bytes.data() + at, &half, sizeof half);
}

/// Largest error that rounding to the grid of the block may cause, given the block's values. Half precision of the
/// scale adds one part in 2048 of the largest magnitude, or half the spacing of subnormals for each step.
float budget(BlockType type, std::span<const float> block) {
  float low = block[0], high = block[0];
  for (const float x : block) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
  const float magnitude = std::max(std::fabs(low), std::fabs(high));
  const float half = std::max(magnitude / 2048, 127 * 0x1p-25f) * 1.01f;
  switch (type) {
    case BlockType::f32: return 0;
    case BlockType::f16: return half;
    case BlockType::bf16: return magnitude / 256 * 1.01f;
    case BlockType::q8_0: return magnitude / 254 + half;
    case BlockType::q4_0: return magnitude / 8 + half;  // a whole step: the far end of the grid has no +8
    case BlockType::q5_0: return magnitude / 16 + half;
    case BlockType::q4_1: return (high - low) / 30 + 3 * half;
    case BlockType::q5_1: return (high - low) / 62 + 3 * half;
    default: return 0;
  }
}

TEST(Blocks, LayoutsAreConsistent) {
  for (const BlockLayout& layout : block_layouts()) {
    EXPECT_EQ(&layout_of(layout.type), &layout);
    EXPECT_EQ(block_type(static_cast<std::uint32_t>(layout.type)), layout.type);
    EXPECT_EQ(block_type_named(layout.name), layout.type);
    EXPECT_EQ(row_bytes(layout.type, 3 * layout.elements), 3 * layout.bytes);
  }
  EXPECT_EQ(block_type_named("q4_0"), BlockType::q4_0);
  EXPECT_EQ(block_type_named("Q4"), std::nullopt);
  EXPECT_EQ(block_type_named(""), std::nullopt);
  EXPECT_EQ(block_type(4), std::nullopt);
  EXPECT_EQ(block_type(0xffffffff), std::nullopt);
}

TEST(Blocks, ErrorStaysInsideTheBudget) {
  for (const BlockLayout& layout : block_layouts()) {
    if (!layout.encodes) continue;
    for (const float scale : {1e-3f, 0.05f, 1.0f, 300.0f}) {
      const std::vector<float> x = random_weights(32 * 40, 7, scale);
      const std::vector<float> y = decode(layout.type, encode(layout.type, x));
      ASSERT_EQ(x.size(), y.size());
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::span block = std::span(x).subspan(i / 32 * 32, 32);
        ASSERT_LE(std::fabs(x[i] - y[i]), budget(layout.type, block)) << layout.name << " element " << i;
      }
    }
  }
}

TEST(Blocks, EncodingADecodedBlockChangesNothing) {
  for (const BlockType type :
       {BlockType::f32, BlockType::f16, BlockType::bf16, BlockType::q8_0, BlockType::q4_0, BlockType::q5_0}) {
    const Bytes once = encode(type, random_weights(32 * 50, 3, 0.1f));
    EXPECT_EQ(encode(type, decode(type, once)), once) << layout_of(type).name;
  }
}

TEST(Blocks, BlocksDoNotSeeEachOther) {
  const std::vector<float> x = random_weights(32 * 8, 5, 1);
  for (const BlockLayout& layout : block_layouts()) {
    if (!layout.encodes) continue;
    const Bytes all = encode(layout.type, x);
    Bytes joined;
    for (std::size_t i = 0; i < x.size(); i += 32) {
      const auto at = x.begin() + static_cast<std::ptrdiff_t>(i);
      const Bytes part = encode(layout.type, std::vector<float>(at, at + 32));
      joined.insert(joined.end(), part.begin(), part.end());
    }
    EXPECT_EQ(all, joined) << layout.name;
  }
}

TEST(Blocks, AnyBytesDecode) {
  std::mt19937 random(11);
  for (const BlockLayout& layout : block_layouts()) {
    Bytes bytes(static_cast<std::size_t>(layout.bytes) * 64);
    std::generate(bytes.begin(), bytes.end(), [&] { return static_cast<std::uint8_t>(random()); });
    EXPECT_EQ(decode(layout.type, bytes).size(), static_cast<std::size_t>(layout.elements) * 64);
  }
  EXPECT_TRUE(decode(BlockType::q4_0, {}).empty());
}

// Golden bytes, computed by hand from the layouts. A ramp -8 .. +7.5 in steps of a half has the extreme -8, so d = 1
// (half 0x3c00) and element j the code j/2 + 0.5 rounded down.
std::vector<float> ramp() {
  std::vector<float> x(32);
  for (std::size_t j = 0; j < 32; ++j) x[j] = static_cast<float>(j) / 2 - 8;
  return x;
}

TEST(Blocks, GoldenQ4_0) {
  const Bytes expected{0x00, 0x3c, 0x80, 0x91, 0x91, 0xa2, 0xa2, 0xb3, 0xb3,
                       0xc4, 0xc4, 0xd5, 0xd5, 0xe6, 0xe6, 0xf7, 0xf7, 0xf8};
  EXPECT_EQ(encode(BlockType::q4_0, ramp()), expected);
  // A positive extreme gives a negative scale: d = 8 / -8 = -1 (0xbc00), 8 has code 0 and -7.5 code 7.5 + 8.5 -> 15.
  std::vector<float> mirrored = ramp();
  for (float& x : mirrored) x = -x;
  Bytes negative = expected;
  negative[1] = 0xbc;
  EXPECT_EQ(encode(BlockType::q4_0, mirrored), negative);
}

TEST(Blocks, GoldenQ4_1) {
  std::vector<float> x(32);
  for (std::size_t j = 0; j < 32; ++j) x[j] = 2 + 0.5f * static_cast<float>(j % 16);  // d = 7.5 / 15, m = 2
  const Bytes expected{0x00, 0x38, 0x00, 0x40, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                       0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  EXPECT_EQ(encode(BlockType::q4_1, x), expected);
  EXPECT_EQ(decode(BlockType::q4_1, expected), x);
}

TEST(Blocks, GoldenQ5_0) {
  // d = 0.5 (0x3800), code j: fifth bits of the second half set, low bits j % 16 in both nibbles.
  const Bytes expected{0x00, 0x38, 0x00, 0x00, 0xff, 0xff, 0x00, 0x11, 0x22, 0x33, 0x44,
                       0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  EXPECT_EQ(encode(BlockType::q5_0, ramp()), expected);
  EXPECT_EQ(decode(BlockType::q5_0, expected), ramp());
}

TEST(Blocks, GoldenQ5_1) {
  // d = 15.5 / 31 = 0.5, m = -8 (0xc800)
  const Bytes expected{0x00, 0x38, 0x00, 0xc8, 0x00, 0x00, 0xff, 0xff, 0x00, 0x11, 0x22, 0x33,
                       0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  EXPECT_EQ(encode(BlockType::q5_1, ramp()), expected);
  EXPECT_EQ(decode(BlockType::q5_1, expected), ramp());
}

TEST(Blocks, GoldenQ8_0RoundsHalvesAwayFromZero) {
  std::vector<float> x(32, 0.0f);
  x[0] = 127;
  x[1] = -127;
  x[2] = 0.5f;
  x[3] = -0.5f;
  x[4] = 2.5f;
  x[5] = 2.4f;
  x[31] = -1;
  Bytes expected(34, 0);
  expected[1] = 0x3c;  // d = 1
  expected[2] = 127;
  expected[3] = 0x81;
  expected[4] = 1;
  expected[5] = 0xff;
  expected[6] = 3;
  expected[7] = 2;
  expected[33] = 0xff;
  EXPECT_EQ(encode(BlockType::q8_0, x), expected);
}

TEST(Blocks, GoldenZeros) {
  const std::vector<float> zero(32, 0.0f);
  Bytes q4_0(18, 0x88);  // 0 / -8 is minus zero, and ggml stores it
  q4_0[0] = 0x00;
  q4_0[1] = 0x80;
  EXPECT_EQ(encode(BlockType::q4_0, zero), q4_0);
  EXPECT_EQ(encode(BlockType::q4_1, zero), Bytes(20, 0));
  EXPECT_EQ(encode(BlockType::q8_0, zero), Bytes(34, 0));
}

TEST(Blocks, ScalesTooSmallForHalfPrecisionBecomeZero) {
  for (const BlockType type : {BlockType::q4_0, BlockType::q4_1, BlockType::q5_0, BlockType::q5_1, BlockType::q8_0}) {
    for (const float tiny : {1e-12f, 1e-38f, 1e-40f, std::numeric_limits<float>::denorm_min()}) {
      std::vector<float> x(32, tiny);
      x[3] = -tiny;
      for (const float y : decode(type, encode(type, x))) EXPECT_EQ(y, 0.0f) << layout_of(type).name;
    }
  }
}

TEST(Blocks, RefusesWhatCannotBeStored) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const BlockLayout& layout : block_layouts()) {
    for (const float bad : {nan, inf, -inf}) {
      std::vector<float> x(512, 1.0f);
      x[300] = bad;
      EXPECT_FALSE(encodes(layout.type, x)) << layout.name;
    }
    EXPECT_EQ(encodes(layout.type, std::vector<float>(256, 1.0f)), layout.encodes) << layout.name;
  }
  std::vector<float> x(32, 1.0f);
  const auto largest = [&](BlockType type, float value) {
    x[9] = value;
    return encodes(type, x);
  };
  EXPECT_TRUE(largest(BlockType::f16, 65519.0f));
  EXPECT_FALSE(largest(BlockType::f16, -65520.0f));
  EXPECT_TRUE(largest(BlockType::q8_0, 65500.0f * 127));
  EXPECT_FALSE(largest(BlockType::q8_0, 65600.0f * 127));
  EXPECT_TRUE(largest(BlockType::q4_0, -65500.0f * 8));
  EXPECT_FALSE(largest(BlockType::q4_0, 65600.0f * 8));
  EXPECT_FALSE(largest(BlockType::q5_0, 65600.0f * 16));
  EXPECT_FALSE(largest(BlockType::q4_1, -65600.0f));  // the minimum
  EXPECT_FALSE(largest(BlockType::q5_1, 65600.0f * 31));
  EXPECT_FALSE(largest(BlockType::q4_1, std::numeric_limits<float>::max()));
  EXPECT_FALSE(largest(BlockType::bf16, std::numeric_limits<float>::max()));
  EXPECT_TRUE(largest(BlockType::f32, std::numeric_limits<float>::max()));
}

// --- K types: packers written from the layout, the other way round -----------------------------------------------

struct SuperBlock {
  std::vector<int> codes = std::vector<int>(256);  // unsigned
  std::vector<int> scales = std::vector<int>(16);  // unsigned
  std::vector<int> minima = std::vector<int>(16);
};

SuperBlock random_super_block(unsigned seed, int code_bits, int scale_bits) {
  std::mt19937 random(seed);
  SuperBlock b;
  for (int& q : b.codes) q = static_cast<int>(random() & ((1u << code_bits) - 1));
  for (int& s : b.scales) s = static_cast<int>(random() & ((1u << scale_bits) - 1));
  for (int& m : b.minima) m = static_cast<int>(random() & ((1u << scale_bits) - 1));
  return b;
}

void set_bits(Bytes& bytes, std::size_t at, int shift, int value) {
  bytes[at] = static_cast<std::uint8_t>(bytes[at] | (value << shift));
}

TEST(Blocks, Q2_KDecodes) {
  const SuperBlock b = random_super_block(1, 2, 4);
  Bytes bytes(84, 0);
  for (std::size_t j = 0; j < 16; ++j) set_bits(bytes, j, 0, b.scales[j] | (b.minima[j] << 4));
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t k = 0; k < 4; ++k)
      for (std::size_t l = 0; l < 32; ++l)
        set_bits(bytes, 16 + 32 * n + l, static_cast<int>(2 * k), b.codes[128 * n + 32 * k + l]);
  put_half(bytes, 80, 0.25f);
  put_half(bytes, 82, 0.5f);
  const auto x = decode(BlockType::q2_k, bytes);
  for (std::size_t i = 0; i < 256; ++i)
    ASSERT_EQ(x[i],
              0.25f * static_cast<float>(b.scales[i / 16] * b.codes[i]) - 0.5f * static_cast<float>(b.minima[i / 16]));
}

TEST(Blocks, Q3_KDecodes) {
  const SuperBlock b = random_super_block(2, 3, 6);  // code and scale biased by 4 and 32
  Bytes bytes(110, 0);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t n = i / 128, k = i % 128 / 32, l = i % 32;
    set_bits(bytes, 32 + 32 * n + l, static_cast<int>(2 * k), b.codes[i] & 3);
    set_bits(bytes, l, static_cast<int>(4 * n + k), b.codes[i] >> 2);
  }
  for (std::size_t j = 0; j < 16; ++j) {
    set_bits(bytes, 96 + j % 8, j < 8 ? 0 : 4, b.scales[j] & 15);
    set_bits(bytes, 96 + 8 + j % 4, static_cast<int>(2 * (j / 4)), b.scales[j] >> 4);
  }
  put_half(bytes, 108, 0.125f);
  const auto x = decode(BlockType::q3_k, bytes);
  for (std::size_t i = 0; i < 256; ++i)
    ASSERT_EQ(x[i], 0.125f * static_cast<float>((b.scales[i / 16] - 32) * (b.codes[i] - 4)));
}

void put_six_bits(Bytes& bytes, std::size_t at, const SuperBlock& b) {
  for (std::size_t j = 0; j < 4; ++j) {
    set_bits(bytes, at + j, 0, b.scales[j] | ((b.scales[j + 4] >> 4) << 6));
    set_bits(bytes, at + 4 + j, 0, b.minima[j] | ((b.minima[j + 4] >> 4) << 6));
    set_bits(bytes, at + 8 + j, 0, (b.scales[j + 4] & 15) | ((b.minima[j + 4] & 15) << 4));
  }
}

TEST(Blocks, Q4_KAndQ5_KDecode) {
  for (const int code_bits : {4, 5}) {
    const SuperBlock b = random_super_block(3, code_bits, 6);
    const bool five = code_bits == 5;
    Bytes bytes(five ? 176 : 144, 0);
    put_half(bytes, 0, 0.5f);
    put_half(bytes, 2, 2.0f);
    put_six_bits(bytes, 4, b);
    for (std::size_t i = 0; i < 256; ++i) {
      const std::size_t sub = i / 32, l = i % 32;
      set_bits(bytes, (five ? 48 : 16) + 32 * (sub / 2) + l, sub % 2 ? 4 : 0, b.codes[i] & 15);
      if (five) set_bits(bytes, 16 + l, static_cast<int>(sub), b.codes[i] >> 4);
    }
    const auto x = decode(five ? BlockType::q5_k : BlockType::q4_k, bytes);
    for (std::size_t i = 0; i < 256; ++i)
      ASSERT_EQ(x[i],
                0.5f * static_cast<float>(b.scales[i / 32] * b.codes[i]) - 2.0f * static_cast<float>(b.minima[i / 32]));
  }
}

TEST(Blocks, Q6_KDecodes) {
  const SuperBlock b = random_super_block(4, 6, 8);  // codes biased by 32, scales signed bytes
  Bytes bytes(210, 0);
  for (std::size_t i = 0; i < 256; ++i) {
    const std::size_t n = i / 128, quarter = i % 128 / 32, l = i % 32;
    set_bits(bytes, 64 * n + 32 * (quarter % 2) + l, quarter < 2 ? 0 : 4, b.codes[i] & 15);
    set_bits(bytes, 128 + 32 * n + l, static_cast<int>(2 * quarter), b.codes[i] >> 4);
  }
  for (std::size_t j = 0; j < 16; ++j) bytes[192 + j] = static_cast<std::uint8_t>(b.scales[j]);
  put_half(bytes, 208, -0.25f);
  const auto x = decode(BlockType::q6_k, bytes);
  for (std::size_t i = 0; i < 256; ++i) {
    const int scale = static_cast<std::int8_t>(b.scales[i / 16]);
    ASSERT_EQ(x[i], -0.25f * static_cast<float>(scale * (b.codes[i] - 32)));
  }
}

}  // namespace
}  // namespace advisor::kernels
