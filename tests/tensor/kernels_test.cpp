// Every kernel equals its scalar specification bit for bit, on every SIMD target of this machine and at lengths around
// the vector width.
#include "tensor/kernels/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/error.h"
#include "tensor/kernels/reference.h"

namespace advisor::kernels {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nan_value = std::numeric_limits<float>::quiet_NaN();
const std::vector<std::size_t> lengths{0,  1,  2,  3,  4,   5,   7,   8,   9,   15,  16,  17,   31,  32,
                                       33, 63, 64, 65, 100, 127, 128, 129, 511, 512, 513, 1000, 1025};

/// Ordinary values mixed with every kind of special one.
std::vector<float> mixed_values(std::size_t n, unsigned seed) {
  const std::vector<float> special{0.0F,         -0.0F,
                                   infinity,     -infinity,
                                   nan_value,    -nan_value,
                                   65504.0F,     65519.9F,
                                   65520.0F,     -65536.0F,
                                   1e30F,        -3e38F,
                                   3.39e38F,     1e-40F,
                                   -1e-45F,      0x1p-14F,
                                   0x1p-24F,     0x1p-25F,
                                   0x1.8p-25F,   6.0e-8F,
                                   0.5F,         1.5F,
                                   2.5F,         -0.5F,
                                   -1.5F,        0.49999997F,
                                   -0.49999997F, 7.5F,
                                   127.5F,       -128.5F,
                                   1e9F,         -1e9F,
                                   3e9F,         std::bit_cast<float>(0x7f800001U)};
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) {
    values[i] = random() % 4 == 0 ? special[random() % special.size()]
                                  : normal(random) * std::ldexp(1.0F, static_cast<int>(random() % 9) - 4);
  }
  return values;
}

std::vector<float> finite_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& v : values) v = normal(random);
  return values;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size_bytes()) == 0);
}

class KernelTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { set_target(GetParam()); }
  void TearDown() override { set_target(""); }
};

INSTANTIATE_TEST_SUITE_P(Targets, KernelTest, testing::ValuesIn(targets()),
                         [](const auto& info) { return info.param; });

TEST_P(KernelTest, TheForcedTargetIsTheOneInUse) { EXPECT_EQ(target(), GetParam()); }

TEST_P(KernelTest, WideningIsExactForEvery16BitPattern) {
  std::vector<std::uint16_t> all(65536);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  for (const DType dtype : {DType::bf16, DType::f16}) {
    std::vector<float> fast(all.size()), slow(all.size());
    to_f32(dtype, std::as_bytes(std::span(all)), fast);
    reference::to_f32(dtype, std::as_bytes(std::span(all)), slow);
    EXPECT_TRUE(same_bits(fast, slow)) << name(dtype);
    // and back: what a type can hold, it keeps; NaN stays NaN
    std::vector<std::uint16_t> back(all.size());
    from_f32(dtype, fast, std::as_writable_bytes(std::span(back)));
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (std::isnan(fast[i])) {
        std::vector<float> again(1);
        to_f32(dtype, std::as_bytes(std::span(back).subspan(i, 1)), again);
        ASSERT_TRUE(std::isnan(again[0])) << i;
      } else {
        ASSERT_EQ(back[i], all[i]) << name(dtype) << " " << i;
      }
    }
  }
}

TEST_P(KernelTest, ConversionsEqualTheReference) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32}) {
    for (const std::size_t n : lengths) {
      const auto values = mixed_values(n, static_cast<unsigned>(n));
      const std::size_t bytes = n * static_cast<std::size_t>(size_of(dtype));
      std::vector<std::byte> fast(bytes), slow(bytes);
      from_f32(dtype, values, fast);
      reference::from_f32(dtype, values, slow);
      ASSERT_EQ(fast, slow) << name(dtype) << " " << n;
      std::vector<float> fast_back(n), slow_back(n);
      to_f32(dtype, fast, fast_back);
      reference::to_f32(dtype, slow, slow_back);
      ASSERT_TRUE(same_bits(fast_back, slow_back)) << name(dtype) << " " << n;
      std::vector<float> rounded = values;
      round_to(dtype, rounded);
      ASSERT_TRUE(same_bits(rounded, slow_back)) << name(dtype) << " " << n;
    }
  }
}

TEST_P(KernelTest, ConversionsTakeBytesAtAnyAddress) {
  for (const DType dtype : {DType::bf16, DType::f16, DType::f32, DType::f64}) {
    const auto size = static_cast<std::size_t>(size_of(dtype));
    std::vector<std::byte> storage(size * 67 + 1, std::byte{0x3c});
    std::vector<float> fast(67), slow(67);
    const auto odd = std::span(storage).subspan(1);
    to_f32(dtype, odd, fast);
    reference::to_f32(dtype, odd, slow);
    EXPECT_TRUE(same_bits(fast, slow)) << name(dtype);
    if (dtype == DType::f64) continue;
    from_f32(dtype, fast, odd);
    to_f32(dtype, odd, slow);
    EXPECT_TRUE(same_bits(fast, slow)) << name(dtype);
  }
}

TEST_P(KernelTest, MinMaxEqualsTheReference) {
  for (const std::size_t n : lengths) {
    for (unsigned seed = 0; seed < 8; ++seed) {
      const auto values = mixed_values(n, seed);
      const Range fast = min_max(values), slow = reference::min_max(values);
      const std::vector<float> a{fast.min, fast.max}, b{slow.min, slow.max};
      ASSERT_TRUE(same_bits(a, b)) << n << " " << seed;
    }
  }
  const auto values = mixed_values(37 * 48, 3);
  for (const std::size_t group : {1U, 16U, 37U, 48U}) {
    std::vector<Range> fast(values.size() / group), slow(fast.size());
    min_max(values, group, fast);
    reference::min_max(values, group, slow);
    for (std::size_t g = 0; g < fast.size(); ++g) {
      const std::vector<float> a{fast[g].min, fast[g].max}, b{slow[g].min, slow[g].max};
      ASSERT_TRUE(same_bits(a, b)) << group << " " << g;
    }
  }
  const std::vector<float> nothing(37, nan_value);
  EXPECT_EQ(min_max(nothing).min, 0.0F);
  EXPECT_EQ(min_max(nothing).max, 0.0F);
  const std::vector<float> zeros(37, -0.0F);
  EXPECT_FALSE(std::signbit(min_max(zeros).min));
}

TEST_P(KernelTest, TheLargestMagnitudeEqualsTheReference) {
  for (const std::size_t n : lengths)
    for (unsigned seed = 0; seed < 8; ++seed) {
      const auto values = mixed_values(n, seed);
      ASSERT_EQ(largest_magnitude(values), reference::largest_magnitude(values)) << n << " " << seed;
    }
  EXPECT_EQ(largest_magnitude(std::vector<float>{1, -3, 2}), std::bit_cast<std::uint32_t>(3.0F));
}

TEST_P(KernelTest, DistancesEqualTheReference) {
  for (const std::size_t n : lengths) {
    std::vector<float> x(n), y(n);
    for (std::size_t i = 0; i < n; ++i) {
      x[i] = static_cast<float>(i % 13) * 0.37F - 1.0F;
      y[i] = x[i] + static_cast<float>(i % 7) * 1e-3F;
    }
    if (n > 2) x[2] = 3e38F;  // its square is no float
    const SquaredDistance fast = squared_distance(x, y), slow = reference::squared_distance(x, y);
    ASSERT_EQ(fast.error, slow.error) << n;
    ASSERT_EQ(fast.norm, slow.norm) << n;
    double error = 0;
    for (std::size_t i = 0; i < n; ++i) error += std::pow(double{x[i]} - double{y[i]}, 2);
    ASSERT_NEAR(fast.error, error, 1e-12 * error) << n;
  }
}

TEST_P(KernelTest, CodesAndErrorsEqualTheReference) {
  struct Grid {
    float scale;
    int zero, qmin, qmax;
  };
  const std::vector<Grid> grids{{0.1F, 0, -8, 7},        {0.37F, -8, -8, 7}, {0.01F, 0, -128, 127},
                                {0.02F, 127, -128, 127}, {1.0F, 3, -4, 3},   {1e-38F, 0, -128, 127},
                                {3e38F, 5, -8, 7}};
  for (const Grid& g : grids) {
    for (const std::size_t n : lengths) {
      const auto values = mixed_values(n, static_cast<unsigned>(n) + 99);
      std::vector<std::int8_t> fast(n), slow(n);
      quantize(values, g.scale, g.zero, g.qmin, g.qmax, fast);
      reference::quantize(values, g.scale, g.zero, g.qmin, g.qmax, slow);
      ASSERT_EQ(fast, slow) << g.scale << " " << n;
      for (const std::int8_t q : fast) ASSERT_TRUE(q >= g.qmin && q <= g.qmax);
      std::vector<float> fast_x(n), slow_x(n);
      dequantize(fast, g.scale, g.zero, fast_x);
      reference::dequantize(slow, g.scale, g.zero, slow_x);
      ASSERT_TRUE(same_bits(fast_x, slow_x)) << g.scale << " " << n;

      const auto finite = finite_values(n, static_cast<unsigned>(n));
      ASSERT_EQ(std::bit_cast<std::uint64_t>(quantization_error(finite, g.scale, g.zero, g.qmin, g.qmax)),
                std::bit_cast<std::uint64_t>(reference::quantization_error(finite, g.scale, g.zero, g.qmin, g.qmax)))
          << g.scale << " " << n;
    }
  }
}

TEST_P(KernelTest, FloatCodesAndErrorsEqualTheReference) {
  for (const FloatCode code : {FloatCode::e4m3, FloatCode::e2m1, FloatCode::nf4}) {
    for (const float scale : {0.1F, 0.37F, 1.0F, 1e-38F, 3e38F}) {
      for (const std::size_t n : lengths) {
        const auto values = mixed_values(n, static_cast<unsigned>(n) + 7);
        std::vector<std::int8_t> fast(n), slow(n);
        quantize(code, values, scale, fast);
        reference::quantize(code, values, scale, slow);
        ASSERT_EQ(fast, slow) << scale << " " << n;
        std::vector<float> fast_x(n), slow_x(n);
        dequantize(code, fast, scale, fast_x);
        reference::dequantize(code, slow, scale, slow_x);
        ASSERT_TRUE(same_bits(fast_x, slow_x)) << scale << " " << n;
        const auto finite = finite_values(n, static_cast<unsigned>(n));
        ASSERT_EQ(std::bit_cast<std::uint64_t>(quantization_error(code, finite, scale)),
                  std::bit_cast<std::uint64_t>(reference::quantization_error(code, finite, scale)))
            << scale << " " << n;
      }
    }
  }
}

TEST_P(KernelTest, EveryFloatCodeIsItsOwnNearest) {
  for (const FloatCode code : {FloatCode::e4m3, FloatCode::e2m1, FloatCode::nf4}) {
    const int codes = code == FloatCode::e4m3 ? 256 : 16;
    std::vector<std::int8_t> all, again;
    for (int q = 0; q < codes; ++q) {
      const float value = value_of(code, static_cast<std::uint8_t>(q));
      if (!std::isnan(value) && !(value == 0 && std::signbit(value))) all.push_back(static_cast<std::int8_t>(q));
    }
    std::vector<float> values(all.size());
    dequantize(code, all, 2.0F, values);
    again.resize(all.size());
    quantize(code, values, 2.0F, again);
    EXPECT_EQ(again, all);
    EXPECT_EQ(*std::ranges::max_element(values), 2.0F * largest(code));
  }
}

TEST(FloatCodes, HalvesGoToTheEvenCodeAndLargeNumbersSaturate) {
  // Values of the OCP specifications: 1.0625 lies between 1 and 1.125 in e4m3, 2^-10 between 0 and 2^-9.
  const auto rounded = [](FloatCode code, float x) {
    std::int8_t q = 0;
    quantize(code, std::span(&x, 1), 1.0F, std::span(&q, 1));
    return value_of(code, static_cast<std::uint8_t>(q));
  };
  EXPECT_EQ(rounded(FloatCode::e4m3, 1.0625F), 1.0F);
  EXPECT_EQ(rounded(FloatCode::e4m3, 1.1875F), 1.25F);
  EXPECT_EQ(rounded(FloatCode::e4m3, 0x1p-10F), 0.0F);
  EXPECT_EQ(rounded(FloatCode::e4m3, 1e30F), 448.0F);
  EXPECT_EQ(rounded(FloatCode::e4m3, -464.0F), -448.0F);
  const std::vector<std::pair<float, float>> ties{{0.25F, 0}, {0.75F, 1}, {1.25F, 1}, {1.75F, 2},
                                                  {2.5F, 2},  {3.5F, 4},  {5.0F, 4},  {-7.0F, -6}};
  for (const auto& [x, y] : ties) EXPECT_EQ(rounded(FloatCode::e2m1, x), y) << x;
  EXPECT_EQ(rounded(FloatCode::nf4, 0.03F), 0.0F);
  EXPECT_EQ(rounded(FloatCode::nf4, 0.9F), 1.0F);
}

TEST_P(KernelTest, PackingEqualsTheReferenceAndUnpackingInvertsIt) {
  std::mt19937 random(5);
  for (int bits = 1; bits <= 8; ++bits) {
    for (const std::size_t n : lengths) {
      std::vector<std::uint8_t> values(n), back(n), back_slow(n);
      for (auto& v : values) v = static_cast<std::uint8_t>(random() & ((1U << bits) - 1U));
      const std::size_t words = (n * static_cast<std::size_t>(bits) + 31) / 32;
      std::vector<std::uint32_t> fast(words, 0xdeadbeefU), slow(words, 0xdeadbeefU);
      pack(values, bits, fast);
      reference::pack(values, bits, slow);
      ASSERT_EQ(fast, slow) << bits << " " << n;
      unpack(fast, bits, back);
      reference::unpack(fast, bits, back_slow);
      ASSERT_EQ(back, values) << bits << " " << n;
      ASSERT_EQ(back_slow, values) << bits << " " << n;
    }
  }
}

// Facts that do not come from the code under test.

TEST(Reference, RoundsLikeIeee754) {
  EXPECT_EQ(reference::f32_to_f16(1.0F), 0x3c00);
  EXPECT_EQ(reference::f32_to_f16(-2.0F), 0xc000);
  EXPECT_EQ(reference::f32_to_f16(65504.0F), 0x7bff);
  EXPECT_EQ(reference::f32_to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(reference::f32_to_f16(65520.0F), 0x7c00);
  EXPECT_EQ(reference::f32_to_f16(0x1p-24F), 0x0001);
  EXPECT_EQ(reference::f32_to_f16(0x1p-25F), 0x0000);          // a tie, to even
  EXPECT_EQ(reference::f32_to_f16(0x1.8p-24F), 0x0002);        // a tie, to even
  EXPECT_EQ(reference::f32_to_f16(0x1.ffcp-15F), 0x03ff + 1);  // largest subnormal plus half a step: a tie, to even
  EXPECT_EQ(reference::f32_to_bf16(1.0F), 0x3f80);
  EXPECT_EQ(reference::f32_to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);  // a tie, to even
  EXPECT_EQ(reference::f32_to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);
  EXPECT_EQ(reference::f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(reference::f16_to_f32(0x0001), 0x1p-24F);
  EXPECT_EQ(reference::f16_to_f32(0x8000), 0.0F);
  EXPECT_TRUE(std::isinf(reference::f16_to_f32(0xfc00)));
  EXPECT_TRUE(std::isnan(reference::f16_to_f32(0x7c01)));
}

TEST(Reference, CodesRoundHalfToEven) {
  const std::vector<float> x{0.5F,   1.5F,    2.5F,     -0.5F,     -1.5F,    0.49999997F,
                             100.0F, -100.0F, infinity, -infinity, nan_value};
  std::vector<std::int8_t> q(x.size());
  reference::quantize(x, 1.0F, 0, -8, 7, q);
  EXPECT_THAT(q, testing::ElementsAre(0, 2, 2, 0, -2, 0, 7, -8, 7, -8, 0));
  reference::quantize(x, 1.0F, 3, -8, 7, q);
  EXPECT_THAT(q, testing::ElementsAre(3, 5, 5, 3, 1, 3, 7, -8, 7, -8, 3));
}

TEST(Reference, PacksWordsAsPublished) {
  // 4 bits: first value in the lowest bits.
  const std::vector<std::uint8_t> nibbles{1, 2, 3, 4, 5, 6, 7, 8, 15};
  std::vector<std::uint32_t> words(2);
  reference::pack(nibbles, 4, words);
  EXPECT_THAT(words, testing::ElementsAre(0x87654321U, 0x0000000fU));
  // 3 bits: value 10 straddles the first two words; all ones except value 10 = 0b101.
  std::vector<std::uint8_t> threes(32, 7);
  threes[10] = 5;
  words.resize(3);
  reference::pack(threes, 3, words);
  EXPECT_THAT(words, testing::ElementsAre(0x7fffffffU, 0xffffffffU, 0xffffffffU));  // bit 31 is the middle bit of 0b101
}

TEST(Kernels, RefuseTypesThatAreNotFloats) {
  const std::vector<std::byte> bytes(8);
  std::vector<float> values(2);
  try {
    to_f32(DType::i32, bytes, values);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::unsupported);
    EXPECT_THAT(e.what(), testing::HasSubstr("i32"));
  }
}

TEST(Kernels, AnUnknownTargetIsRefusedWithTheList) {
  try {
    set_target("MMX");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::invalid_argument);
    for (const std::string& name : targets()) EXPECT_THAT(e.what(), testing::HasSubstr(name));
  }
  EXPECT_EQ(target(), targets().front());
}

}  // namespace
}  // namespace advisor::kernels
