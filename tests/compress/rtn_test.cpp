#include <algorithm>
#include <cmath>
#include <limits>

#include "compress/fixture.h"
#include "compress/scheme.h"
#include "compress/stats_fixture.h"
#include "compress/technique.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::normal;
using testing::refusal;

std::vector<float> decode(const QuantizedTensor& q) {
  std::vector<float> out(q.codes.size());
  const std::size_t group = q.codes.size() / q.scales.size();
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<float>(q.codes[i] - (q.zeros.empty() ? 0 : q.zeros[i / group])) * q.scales[i / group];
  return out;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (double{a[i]} - double{b[i]}) * (double{a[i]} - double{b[i]});
  return sum;
}

/// Inputs that break careless code: [4 rows, 96 columns] each.
std::vector<std::vector<float>> inputs() {
  constexpr std::size_t n = 4 * 96;
  std::vector<std::vector<float>> all{normal(n, 1), normal(n, 2, 1e-6f), normal(n, 3, 30)};
  all.push_back(std::vector<float>(n, 0.0f));
  all.push_back(std::vector<float>(n, 0.25f));   // one sign
  all.push_back(std::vector<float>(n, -3e-7f));  // float16 subnormal
  all.push_back(std::vector<float>(n, 1e-44f));  // float32 subnormal
  std::vector<float> spikes = normal(n, 4);
  for (std::size_t i = 0; i < n; i += 37) spikes[i] *= 1000;
  all.push_back(spikes);
  std::vector<float> mixed = normal(n, 5);
  for (std::size_t i = 0; i < 64; ++i) mixed[i] = 0;  // groups of zeros beside others
  mixed[100] = -0.0f;
  all.push_back(mixed);
  std::vector<float> edges(n);
  for (std::size_t i = 0; i < n; ++i) edges[i] = (i % 2 ? 1.0f : -1.0f) * 7.5f;  // ties of rounding, both extremes
  all.push_back(edges);
  return all;
}

TEST(Rtn, EverySchemeStaysWithinItsBudgetOnEveryInput) {
  for (int bits = 2; bits <= 8; ++bits)
    for (const bool symmetric : {true, false})
      for (const std::int64_t group : {0, 8, 32, 96})
        for (const char* range : {"full", "restricted"})
          for (const char* clip : {"none", "mse"})
            for (const DType dtype : {DType::f16, DType::bf16, DType::f32}) {
              if (!symmetric && std::string(range) == "restricted") continue;
              const QuantScheme scheme{bits, symmetric, group, 16};
              const TechniqueParams params{{"range", range}, {"clip", clip}};
              for (const std::vector<float>& rows : inputs()) {
                const QuantizedTensor q = rtn_technique.quantize(rows, 96, scheme, params, dtype);
                ASSERT_EQ(q.codes.size(), rows.size());
                ASSERT_EQ(q.rows, 4);
                ASSERT_EQ(q.scales.size(), static_cast<std::size_t>(4 * scheme.groups(96)));
                ASSERT_EQ(q.zeros.size(), symmetric ? 0 : q.scales.size());
                const auto [low, high] = std::ranges::minmax(q.codes);
                ASSERT_GE(low, scheme.qmin());
                ASSERT_LE(high, scheme.qmax());
                const double bound = rtn_technique.error_bound(rows, 96, scheme, params, dtype);
                ASSERT_LE(squared_error(rows, decode(q)), bound)
                    << scheme.id() << " " << range << " " << clip << " " << name(dtype) << " first " << rows[0];
              }
            }
}

TEST(Rtn, TheBudgetIsNearTheErrorOfUniformRounding) {
  // On smooth weights the bound (step / 2 everywhere) is sqrt(3) times the expected step / sqrt(12).
  const std::vector<float> rows = normal(64 * 1024, 7);
  for (const int bits : {4, 8}) {
    const QuantScheme scheme{bits, true, 128, 16};
    const double error = squared_error(rows, decode(rtn_technique.quantize(rows, 1024, scheme, {}, DType::f32)));
    const double bound = rtn_technique.error_bound(rows, 1024, scheme, {}, DType::f32);
    EXPECT_NEAR(std::sqrt(bound / error), std::sqrt(3.0), 0.05) << bits;
  }
}

TEST(Rtn, HandWorkedGroup) {
  const std::vector<float> rows{-7, 7, 3.4f, 0.5f, 1.5f, 0, -0.4f, 2};
  const QuantizedTensor restricted =
      rtn_technique.quantize(rows, 8, {4, true, 8, 16}, {{"range", "restricted"}}, DType::f32);
  EXPECT_EQ(restricted.scales, std::vector<float>{1});
  EXPECT_EQ(restricted.codes, (std::vector<std::int8_t>{-7, 7, 3, 0, 2, 0, 0, 2})) << "half to even";
  const QuantizedTensor asym =
      rtn_technique.quantize(std::vector<float>{-4, 11, 0, 1, 2, 3, 4, 5}, 8, {4, false, 8, 16}, {}, DType::f32);
  EXPECT_EQ(asym.scales, std::vector<float>{1});
  EXPECT_EQ(asym.zeros, std::vector<std::int8_t>{-4});
  EXPECT_EQ(asym.codes, (std::vector<std::int8_t>{-8, 7, -4, -3, -2, -1, 0, 1}));
}

TEST(Rtn, ClipSearchNeverIncreasesTheErrorOfAGroup) {
  std::vector<float> rows = normal(32 * 256, 9);
  for (std::size_t i = 0; i < rows.size(); i += 97) rows[i] *= 6;
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {true, false}) {
      const QuantScheme scheme{bits, symmetric, 64, 16};
      const auto plain = decode(rtn_technique.quantize(rows, 256, scheme, {}, DType::bf16));
      const auto clipped = decode(rtn_technique.quantize(rows, 256, scheme, {{"clip", "mse"}}, DType::bf16));
      for (std::size_t g = 0; g < rows.size(); g += 64) {
        const auto part = [&](const std::vector<float>& v) {
          return std::vector<float>(v.begin() + static_cast<std::ptrdiff_t>(g),
                                    v.begin() + static_cast<std::ptrdiff_t>(g + 64));
        };
        EXPECT_LE(squared_error(part(rows), part(clipped)), squared_error(part(rows), part(plain)) * (1 + 1e-6));
      }
      if (bits <= 4) {
        EXPECT_LT(squared_error(rows, clipped), 0.99 * squared_error(rows, plain)) << scheme.id();
      }
    }
}

TEST(Rtn, RowsAreIndependent) {
  const std::vector<float> rows = normal(64 * 96, 11);
  const QuantScheme scheme{4, false, 32, 16};
  const QuantizedTensor whole = rtn_technique.quantize(rows, 96, scheme, {}, DType::bf16);
  const QuantizedTensor part = rtn_technique.quantize(std::span(rows).subspan(32 * 96), 96, scheme, {}, DType::bf16);
  EXPECT_TRUE(std::equal(part.codes.begin(), part.codes.end(), whole.codes.begin() + 32 * 96));
  EXPECT_TRUE(std::equal(part.scales.begin(), part.scales.end(), whole.scales.begin() + 32 * 3));
}

TEST(Rtn, StatisticsLowerTheOutputError) {
  constexpr std::int64_t in = 128;
  const std::vector<float> rows = normal(48 * in, 13, 0.02f);
  const LayerStats stats = testing::make_stats(in, 0.6, 14);
  const auto solve = [&](const LayerStats* s, const char* clip, const QuantScheme& scheme) {
    return rtn_technique.solve(rows, in, s, scheme, {{"clip", clip}}, DType::bf16, 1).tensor;
  };
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {true, false}) {
      const QuantScheme scheme{bits, symmetric, 32, 16};
      const auto error = [&](const QuantizedTensor& q) { return testing::output_error(rows, q, stats.gram); };
      const double plain = error(solve(nullptr, "none", scheme)), weighted = error(solve(&stats, "mse", scheme));
      EXPECT_LE(weighted, plain * 1.001) << scheme.id();
      EXPECT_LE(error(solve(&stats, "output", scheme)), weighted * 1.02) << scheme.id();
      if (bits <= 3) {
        EXPECT_LT(weighted, 0.95 * plain);
      }
      // Uncorrelated inputs: then the weighted error is the output error, and the search cannot make it worse.
      LayerStats diagonal = testing::make_stats(in, 0, 15);
      testing::drop_correlation(diagonal);
      for (const char* clip : {"mse", "output"})
        EXPECT_LE(testing::output_error(rows, solve(&diagonal, clip, scheme), diagonal.gram),
                  testing::output_error(rows, solve(&diagonal, "none", scheme), diagonal.gram) * (1 + 1e-5));
    }
}

TEST(Rtn, WholeMatrixEqualsTilesForAnyNumberOfThreads) {
  const std::vector<float> rows = normal(300 * 128, 17);
  for (const char* id :
       {"W4A16-g32-asym", "W8A8-int8-channel", "W8A8-fp8-channel", "W8A8-fp8-block128", "W4A16-mxfp4", "W4A16-nf4"}) {
    const QuantScheme scheme = parse_quant_scheme(id);
    const QuantizedTensor one = rtn_technique.solve(rows, 128, nullptr, scheme, {}, DType::bf16, 1).tensor;
    const QuantizedTensor two = rtn_technique.solve(rows, 128, nullptr, scheme, {}, DType::bf16, 2).tensor;
    const QuantizedTensor tiles = rtn_technique.quantize(rows, 128, scheme, {}, DType::bf16);
    for (const QuantizedTensor* q : {&two, &tiles}) {
      EXPECT_EQ(q->codes, one.codes) << id;
      EXPECT_EQ(q->scales, one.scales) << id;
      EXPECT_EQ(q->zeros, one.zeros) << id;
    }
    std::vector<float> decoded(rows.size());
    dequantize(one, decoded);
    EXPECT_LT(squared_error(rows, decoded),
              (scheme.bits == 8 ? 2e-3 : 3e-2) * squared_error(rows, std::vector<float>(rows.size())))
        << id;
  }
}

TEST(Rtn, Nvfp4UsesTheWholeRangeOfItsScales) {
  std::vector<float> rows = normal(64 * 64, 19);
  for (std::size_t i = 0; i < 16; ++i) rows[i] = 0;  // a group of zeros still needs a scale that can be divided by
  const QuantScheme scheme = parse_quant_scheme("W4A4-nvfp4");
  const QuantizedTensor q = rtn_technique.solve(rows, 64, nullptr, scheme, {}, DType::bf16, 1).tensor;
  EXPECT_EQ(std::ranges::max(q.scales), 448);
  EXPECT_GT(std::ranges::min(q.scales), 0);
  std::vector<float> decoded(rows.size());
  dequantize(q, decoded);
  EXPECT_LT(squared_error(rows, decoded), 0.015 * squared_error(rows, std::vector<float>(rows.size())));
  EXPECT_THAT(refusal(ErrorCode::unsupported, [&] { rtn_technique.quantize(rows, 64, scheme, {}, DType::bf16); }),
              HasSubstr("tiles"));
}

TEST(Rtn, Mxfp4ScalesArePowersOfTwo) {
  // Microscaling: largest value 5 -> exponent floor(log2 5) - 2 = 0; 7.9 -> the same, and saturates at 6.
  std::vector<float> rows(64, 0.5f);
  rows[3] = 5;
  rows[32 + 9] = -7.9f;
  const QuantizedTensor q = rtn_technique.quantize(rows, 64, parse_quant_scheme("W4A16-mxfp4"), {}, DType::bf16);
  EXPECT_EQ(q.scales, (std::vector<float>{1, 1}));
  std::vector<float> decoded(64);
  dequantize(q, decoded);
  EXPECT_EQ(decoded[3], 4) << "half to even";
  EXPECT_EQ(decoded[32 + 9], -6);
}

TEST(Rtn, RefusesWhatItCannotQuantize) {
  std::vector<float> rows = normal(96, 1);
  const QuantScheme scheme{4, true, 32, 16};
  EXPECT_THAT(refusal(ErrorCode::invalid_argument,
                      [&] {
                        rtn_technique.quantize(rows, 96, {4, true, 64, 16}, {}, DType::bf16);
                      }),
              HasSubstr("64 does not divide 96"));
  refusal(ErrorCode::unsupported, [&] { rtn_technique.check({1, true, 32, 16}, {}); });
  refusal(ErrorCode::unsupported, [&] { rtn_technique.check({9, true, 32, 16}, {}); });
  refusal(ErrorCode::invalid_argument, [&] { rtn_technique.check({4, true, -1, 16}, {}); });
  EXPECT_THAT(refusal(ErrorCode::invalid_argument,
                      [&] {
                        rtn_technique.check({4, false, 32, 16}, {{"range", "restricted"}});
                      }),
              HasSubstr("symmetric"));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    rows[40] = bad;
    EXPECT_THAT(
        refusal(ErrorCode::invalid_argument, [&] { rtn_technique.quantize(rows, 96, scheme, {}, DType::bf16); }),
        HasSubstr("row 0, column 40"));
  }
}

TEST(Rtn, RefusesParametersOutOfRange) {
  const QuantScheme scheme{4, true, 32, 16};
  for (const char* floor : {"0", "1", "-1", "nan", "x", "0.8x", ""})
    refusal(ErrorCode::invalid_argument, [&] { rtn_technique.check(scheme, {{"clip_floor", floor}}); });
  for (const char* points : {"0", "1001", "2.5", "many"})
    refusal(ErrorCode::invalid_argument, [&] { rtn_technique.check(scheme, {{"clip_points", points}}); });
  EXPECT_NO_THROW(rtn_technique.check(scheme, {{"clip", "mse"}, {"clip_floor", "0.5"}, {"clip_points", "50"}}));
}

}  // namespace
}  // namespace advisor
