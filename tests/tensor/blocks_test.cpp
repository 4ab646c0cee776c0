#include "tensor/kernels/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tensor/kernels/kernels.h"
#include "tensor/kernels/reference.h"

namespace advisor::kernels {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes encode(BlockType type, const std::vector<float>& x, const std::vector<float>& importance = {}) {
  Bytes out(static_cast<std::size_t>(row_bytes(type, static_cast<std::int64_t>(x.size()))));
  EXPECT_TRUE(encode_blocks(type, x, importance, std::as_writable_bytes(std::span(out))));
  return out;
}

bool encodes(BlockType type, const std::vector<float>& x) {
  Bytes out(static_cast<std::size_t>(row_bytes(type, static_cast<std::int64_t>(x.size()))));
  return encode_blocks(type, x, {}, std::as_writable_bytes(std::span(out)));
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

std::vector<float> random_importance(std::size_t columns, unsigned seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<float> spread(0, 1.5F);
  std::vector<float> w(columns);
  std::generate(w.begin(), w.end(), [&] { return spread(random); });
  w[3] = 0;  // a column that calibration never saw active
  return w;
}

double squared_error(const std::vector<float>& x, const std::vector<float>& y, const std::vector<float>& importance) {
  double sum = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double e = double{x[i]} - double{y[i]};
    sum += e * e * (importance.empty() ? 1.0 : double{importance[i % importance.size()]});
  }
  return sum;
}

void put_half(Bytes& bytes, std::size_t at, float value) {
  const std::uint16_t half = reference::f32_to_f16(value);
  std::memcpy(bytes.data() + at, &half, sizeof half);
}

/// Error relative to normally distributed weights, rms, that each type may leave: a little above what it does leave.
const std::map<std::string, double> normal_error{
    {"F32", 0},      {"F16", 0.0003}, {"BF16", 0.002}, {"Q8_0", 0.0065}, {"Q6_K", 0.02},   {"Q5_1", 0.036},
    {"Q5_K", 0.036}, {"Q5_0", 0.042}, {"Q4_1", 0.074}, {"Q4_K", 0.074},  {"IQ4_NL", 0.08}, {"IQ4_XS", 0.08},
    {"Q4_0", 0.086}, {"MXFP4", 0.12}, {"Q3_K", 0.15},  {"Q2_K", 0.28},   {"TQ1_0", 0.45},  {"TQ2_0", 0.45}};

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

TEST(Blocks, ErrorIsThatOfTheBitsAtEveryScale) {
  for (const BlockLayout& layout : block_layouts()) {
    for (const float scale : {1e-3F, 0.05F, 1.0F, 300.0F}) {
      const std::vector<float> x = random_weights(256 * 40, 7, scale);
      const double relative = std::sqrt(squared_error(x, decode(layout.type, encode(layout.type, x)), {}) /
                                        squared_error(x, std::vector<float>(x.size()), {}));
      // At 1e-3 the units of super-blocks of 5 and 6 bits are subnormal halves.
      const double slack = scale < 1e-2F ? 1.3 : 1;
      EXPECT_LE(relative, slack * normal_error.at(std::string(layout.name))) << layout.name << " " << scale;
    }
  }
}

TEST(Blocks, ImportanceMovesTheErrorToColumnsThatMatterLess) {
  const std::vector<float> x = random_weights(512 * 20, 8, 0.02F), importance = random_importance(512, 1);
  for (const BlockLayout& layout : block_layouts()) {
    if (layout.elements == 1 || layout.type == BlockType::q8_0) continue;  // nothing to choose
    const double with = squared_error(x, decode(layout.type, encode(layout.type, x, importance)), importance);
    const double without = squared_error(x, decode(layout.type, encode(layout.type, x)), importance);
    EXPECT_LT(with, (layout.bytes < 18 || layout.elements == 256 ? 0.995 : 0.98) * without) << layout.name;
  }
}

TEST(Blocks, OnlyRatiosOfImportanceCount) {
  const std::vector<float> x = random_weights(256 * 4, 9, 1), flat(256, 7.0F), one(256, 1.0F), none(256, 0.0F);
  for (const BlockLayout& layout : block_layouts()) {
    EXPECT_EQ(encode(layout.type, x, none), encode(layout.type, x)) << layout.name;
    EXPECT_EQ(encode(layout.type, x, flat), encode(layout.type, x, one)) << layout.name;
  }
}

/// Weights with everything that searches may stumble over.
std::vector<float> awkward_weights() {
  std::vector<float> x = random_weights(256 * 11, 21, 0.02F);
  const auto fill = [&](std::size_t block, auto value) {
    for (std::size_t i = 0; i < 256; ++i) x[256 * block + i] = value(i);
  };
  fill(1, [](std::size_t) { return 0.0F; });
  fill(2, [](std::size_t) { return 0.5F; });
  fill(3, [](std::size_t) { return -0.5F; });
  fill(4, [](std::size_t i) { return i % 37 == 0 ? 3.0F : 0.0F; });
  fill(5, [](std::size_t i) { return static_cast<float>(i) / 256; });
  fill(6, [](std::size_t i) { return -1.0F - static_cast<float>(i % 16) / 64; });
  fill(7, [](std::size_t i) { return i < 32 ? 1e-30F : i < 64 ? 1e-41F : i < 96 ? 1e-6F : -0.0F; });
  fill(8, [](std::size_t i) { return (i % 2 == 0 ? 1.0F : -1.0F) * static_cast<float>(i % 3); });
  fill(9, [](std::size_t i) { return i == 100 ? 5000.0F : 0.01F * static_cast<float>(i % 5); });
  return x;
}

TEST(Blocks, EveryTargetWritesTheBytesOfTheScalarEncoder) {
  const std::vector<float> x = awkward_weights(), importance = random_importance(256, 3);
  for (const BlockLayout& layout : block_layouts()) {
    for (const std::vector<float>& w : {std::vector<float>{}, importance}) {
      Bytes expected(static_cast<std::size_t>(row_bytes(layout.type, static_cast<std::int64_t>(x.size()))));
      ASSERT_TRUE(reference::encode_blocks(layout.type, x, w, std::as_writable_bytes(std::span(expected))));
      for (const std::string& target : targets()) {
        set_target(target);
        EXPECT_EQ(encode(layout.type, x, w), expected) << layout.name << " " << target;
      }
      set_target("");
    }
  }
}

TEST(Blocks, AwkwardWeightsStayNearZeroAtWorst) {
  const std::vector<float> x = awkward_weights();
  for (const BlockLayout& layout : block_layouts()) {
    const std::vector<float> y = decode(layout.type, encode(layout.type, x));
    for (std::size_t i = 0; i < x.size(); i += 256) {
      const auto at = static_cast<std::ptrdiff_t>(i);
      const std::vector<float> from(x.begin() + at, x.begin() + at + 256), to(y.begin() + at, y.begin() + at + 256);
      const double all = squared_error(from, std::vector<float>(256), {});
      EXPECT_LE(squared_error(from, to, {}), all * 1.001 + 256 * 1e-14) << layout.name << " super-block " << i / 256;
    }
  }
}

TEST(Blocks, ConstantBlocksAreNearlyExact) {
  for (const BlockLayout& layout : block_layouts()) {
    for (const float value : {0.37F, -0.37F, 0.0F}) {
      const float tolerance = layout.type == BlockType::mxfp4 ? 0.04F : layout.type == BlockType::q2_k ? 0.01F : 0.003F;
      for (const float y : decode(layout.type, encode(layout.type, std::vector<float>(256, value))))
        ASSERT_NEAR(y, value, tolerance) << layout.name;
    }
  }
}

TEST(Blocks, BlocksDoNotSeeEachOther) {
  const std::vector<float> x = random_weights(256 * 19, 5, 1), importance = random_importance(256, 2);
  for (const BlockLayout& layout : block_layouts()) {
    const Bytes all = encode(layout.type, x, importance);
    Bytes joined;
    for (std::size_t i = 0; i < x.size(); i += 256) {
      const auto at = x.begin() + static_cast<std::ptrdiff_t>(i);
      const Bytes part = encode(layout.type, std::vector<float>(at, at + 256), importance);
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

// Golden bytes, computed by hand from the layouts, of weights that lie on a grid: the search finds it.
std::vector<float> ramp() {
  std::vector<float> x(32);
  for (std::size_t j = 0; j < 32; ++j) x[j] = static_cast<float>(j) / 2 - 8;
  return x;
}

TEST(Blocks, GoldenQ4_0) {
  std::vector<float> x(32);
  for (std::size_t j = 0; j < 32; ++j) x[j] = static_cast<float>(j % 16) - 8;  // d = 1 (half 0x3c00)
  const Bytes expected{0x00, 0x3c, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
                       0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
  EXPECT_EQ(encode(BlockType::q4_0, x), expected);
  EXPECT_EQ(decode(BlockType::q4_0, expected), x);
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

TEST(Blocks, GoldenQ8_0) {
  std::vector<float> x(32, 0.0f);
  x[0] = 127, x[1] = -127, x[2] = 0.4f, x[3] = -0.6f, x[4] = 2.6f, x[5] = 2.4f, x[31] = -1;
  Bytes expected(34, 0);
  expected[1] = 0x3c;  // d = 1
  expected[2] = 127, expected[3] = 0x81, expected[5] = 0xff, expected[6] = 3, expected[7] = 2, expected[33] = 0xff;
  EXPECT_EQ(encode(BlockType::q8_0, x), expected);
}

TEST(Blocks, GoldenMxfp4) {
  std::vector<float> x(32);
  const float levels[8] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
  for (std::size_t j = 0; j < 32; ++j) x[j] = 4 * (j % 16 < 8 ? levels[j % 8] : -levels[j % 8]);
  Bytes expected{129,  0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,  // 2^(129 - 127)
                 0x00, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};       // and no minus zero
  EXPECT_EQ(encode(BlockType::mxfp4, x), expected);
  EXPECT_EQ(decode(BlockType::mxfp4, expected), x);
}

TEST(Blocks, GoldenTernary) {
  std::vector<float> x(256, 0.0F);
  x[0] = 1, x[32] = -1, x[64] = 1, x[255] = -1;  // digits 2 0 2 1 1 of byte 0; last digit of the last byte
  const Bytes tq2 = encode(BlockType::tq2_0, x);
  EXPECT_EQ(tq2[0], 2 | 0 << 2 | 2 << 4 | 1 << 6);
  EXPECT_EQ(tq2[63], 1 | 1 << 2 | 1 << 4 | 0 << 6);
  EXPECT_EQ(decode(BlockType::tq2_0, tq2), x);
  const Bytes tq1 = encode(BlockType::tq1_0, x);
  const int number = 2 * 81 + 0 * 27 + 2 * 9 + 1 * 3 + 1;
  EXPECT_EQ(tq1[0], (number * 256 + 242) / 243);
  EXPECT_EQ(decode(BlockType::tq1_0, tq1), x);
}

TEST(Blocks, GoldenZeros) {
  const std::vector<float> zero(256, 0.0f);
  for (const BlockLayout& layout : block_layouts()) EXPECT_EQ(decode(layout.type, encode(layout.type, zero)), zero);
  Bytes q4_0(18, 0x88);
  q4_0[0] = q4_0[1] = 0;
  EXPECT_EQ(encode(BlockType::q4_0, std::vector<float>(32)), q4_0);
  EXPECT_EQ(encode(BlockType::q4_1, std::vector<float>(32)), Bytes(20, 0));
  EXPECT_EQ(encode(BlockType::q8_0, std::vector<float>(32)), Bytes(34, 0));
}

TEST(Blocks, ScalesTooSmallForHalfPrecisionBecomeZero) {
  for (const BlockType type : {BlockType::q4_0, BlockType::q4_1, BlockType::q5_0, BlockType::q5_1, BlockType::q8_0,
                               BlockType::iq4_nl, BlockType::tq2_0}) {
    for (const float tiny : {1e-12f, 1e-38f, 1e-40f, std::numeric_limits<float>::denorm_min()}) {
      std::vector<float> x(256, tiny);
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
    std::vector<float> x(256, 1.0f);
    EXPECT_TRUE(encodes(layout.type, x)) << layout.name;
    x[9] = std::numeric_limits<float>::max();
    EXPECT_EQ(encodes(layout.type, x), layout.type == BlockType::f32) << layout.name;
  }
  std::vector<float> x(256, 1.0f);
  const auto largest = [&](BlockType type, float value) {
    x[9] = value;
    return encodes(type, x);
  };
  EXPECT_TRUE(largest(BlockType::f16, 65519.0f));
  EXPECT_FALSE(largest(BlockType::f16, -65520.0f));
  EXPECT_TRUE(largest(BlockType::q8_0, 65500.0f * 127));
  EXPECT_FALSE(largest(BlockType::q8_0, 65600.0f * 127));
  EXPECT_FALSE(largest(BlockType::q4_0, 75000.0f * 8));  // beyond the half-precision scales of every trial
  EXPECT_FALSE(largest(BlockType::q4_1, -66000.0f));     // the minimum
  EXPECT_FALSE(largest(BlockType::q4_k, 75000.0f * 15 * 63));
  EXPECT_FALSE(largest(BlockType::q6_k, 75000.0f * 32 * 128));
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
