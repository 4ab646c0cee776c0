#include "compress/techniques/gptq.h"

#include <algorithm>
#include <numeric>

#include "compress/fixture.h"
#include "compress/stats_fixture.h"
#include "gmock/gmock.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::make_stats;
using testing::normal_values;
using testing::output_error;
using testing::refusal;

constexpr std::int64_t in = 192, out = 40;

Solution solve(std::span<const float> weights, const LayerStats& stats, const QuantScheme& scheme,
               const TechniqueParams& params = {}, DType dtype = DType::bf16, int threads = 1) {
  return gptq_technique.solve(weights, stats.gram.rows(), &stats, scheme, params, dtype, threads);
}

const std::vector<TechniqueParams> variants{
    {{"actorder", "static"}},
    {{"actorder", "none"}},
    {{"actorder", "group_aware"}},
    {{"actorder", "none"}, {"scales", "updated"}},
    {{"actorder", "group_aware"}, {"scales", "updated"}},
};

TEST(Gptq, BeatsRoundToNearestOnCorrelatedInputs) {
  const std::vector<float> weights = normal_values(out * in, 1, 0.02f);
  const LayerStats stats = make_stats(in, 0.7, 2);
  for (const int bits : {2, 3, 4, 8})
    for (const bool symmetric : {true, false})
      for (const std::int64_t group : {0, 8, 24, 32, 96, 192}) {
        const QuantScheme scheme{bits, symmetric, group, 16};
        const double rtn =
            output_error(weights, rtn_technique.quantize(weights, in, scheme, {}, DType::bf16), stats.gram);
        for (TechniqueParams params : variants) {
          const Solution solution = solve(weights, stats, scheme, params);
          EXPECT_TRUE(solution.notes.empty());
          const QuantizedTensor& q = solution.tensor;
          ASSERT_EQ(q.codes.size(), weights.size());
          ASSERT_EQ(q.scales.size(), static_cast<std::size_t>(out * scheme.groups(in)));
          ASSERT_EQ(q.zeros.size(), symmetric ? 0 : q.scales.size());
          const auto [low, high] = std::ranges::minmax(q.codes);
          ASSERT_GE(low, scheme.qmin());
          ASSERT_LE(high, scheme.qmax());
          ASSERT_LT(output_error(weights, q, stats.gram), 0.9 * rtn) << scheme.id() << " " << params["actorder"];
        }
      }
}

TEST(Gptq, IsRoundToNearestWhenInputsAreUncorrelated) {
  const std::vector<float> weights = normal_values(out * in, 3, 0.02f);
  LayerStats stats = make_stats(in, 0, 4);
  testing::drop_correlation(stats);
  for (const QuantScheme& scheme : {QuantScheme{4, true, 32, 16}, QuantScheme{3, false, 96, 16}})
    for (TechniqueParams params : variants) {
      params["clip"] = "none";
      const Solution solution = solve(weights, stats, scheme, params);
      const Solution rtn = rtn_technique.solve(weights, in, &stats, scheme, {}, DType::bf16, 1);
      EXPECT_EQ(solution.tensor.codes, rtn.tensor.codes) << scheme.id();
      EXPECT_EQ(solution.tensor.scales, rtn.tensor.scales);
      EXPECT_EQ(solution.tensor.zeros, rtn.tensor.zeros);
    }
}

/// The textbook form: H^-1 = U^T U, error of column j spread by row j of U. In double, one row at a time.
std::vector<std::int8_t> textbook(std::span<const float> row, const LayerStats& stats, const QuantizedTensor& grids,
                                  double damp) {
  const auto n = static_cast<std::size_t>(stats.gram.rows());
  std::vector<double> h(n * n), inverse(n * n), u(n * n), w(row.begin(), row.end());
  double mean = 0;
  for (std::size_t i = 0; i < n; ++i) mean += double{stats.gram.data()[i * n + i]} / static_cast<double>(n);
  for (std::size_t i = 0; i < n * n; ++i) h[i] = double{stats.gram.data()[i]} + (i % (n + 1) == 0 ? damp * mean : 0);
  for (std::size_t i = 0; i < n; ++i) inverse[i * n + i] = 1;  // Gauss-Jordan
  for (std::size_t p = 0; p < n; ++p) {
    const double pivot = h[p * n + p];
    for (std::size_t j = 0; j < n; ++j) h[p * n + j] /= pivot, inverse[p * n + j] /= pivot;
    for (std::size_t i = 0; i < n; ++i)
      if (const double f = h[i * n + p]; i != p)
        for (std::size_t j = 0; j < n; ++j)
          h[i * n + j] -= f * h[p * n + j], inverse[i * n + j] -= f * inverse[p * n + j];
  }
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i; j < n; ++j) {
      double sum = inverse[i * n + j];
      for (std::size_t k = 0; k < i; ++k) sum -= u[k * n + i] * u[k * n + j];
      u[i * n + j] = i == j ? std::sqrt(sum) : sum / u[i * n + i];
    }
  std::vector<std::int8_t> codes(n);
  const auto group = static_cast<std::size_t>(grids.scheme.group);
  for (std::size_t j = 0; j < n; ++j) {
    const double scale = double{grids.scales[j / group]}, zero = grids.zeros.empty() ? 0 : grids.zeros[j / group];
    const double code =
        std::clamp(std::nearbyint(w[j] / scale + zero), double(grids.scheme.qmin()), double(grids.scheme.qmax()));
    codes[j] = static_cast<std::int8_t>(code);
    const double error = (w[j] - (code - zero) * scale) / u[j * n + j];
    for (std::size_t k = j; k < n; ++k) w[k] -= error * u[j * n + k];
  }
  return codes;
}

TEST(Gptq, EqualsTheTextbookForm) {
  const std::vector<float> weights = normal_values(8 * in, 5, 0.02f);
  const LayerStats stats = make_stats(in, 0.6, 6);
  for (const QuantScheme& scheme : {QuantScheme{4, true, 32, 16}, QuantScheme{3, false, 64, 16}}) {
    const QuantizedTensor q = solve(weights, stats, scheme, {{"actorder", "none"}}).tensor;
    std::size_t same = 0;
    for (std::size_t r = 0; r < 8; ++r) {
      QuantizedTensor grids;
      grids.scheme = scheme;
      const auto groups = static_cast<std::ptrdiff_t>(scheme.groups(in));
      const auto at = static_cast<std::ptrdiff_t>(r) * groups;
      grids.scales.assign(q.scales.begin() + at, q.scales.begin() + at + groups);
      if (!scheme.symmetric) grids.zeros.assign(q.zeros.begin() + at, q.zeros.begin() + at + groups);
      const auto expected = textbook(std::span(weights).subspan(r * in, in), stats, grids, 0.01);
      for (std::size_t j = 0; j < in; ++j) same += expected[j] == q.codes[r * in + j];
    }
    // A weight at a tie may fall to the other side in float32, and moves those after it.
    EXPECT_GE(same, 8 * in * 98 / 100) << scheme.id();
  }
}

TEST(Gptq, AnyGridThatSchemesHave) {
  const std::vector<float> weights = normal_values(out * 256, 21, 0.02f);
  const LayerStats stats = make_stats(256, 0.7, 22);
  for (const char* id : {"W8A8-fp8-channel", "W8A8-fp8-tensor", "W8A8-fp8-block128", "W8A8-int8-channel", "W4A4-nvfp4",
                         "W4A16-mxfp4", "W4A16-nf4"})
    for (const char* clip : {"none", "mse", "output"}) {
      const QuantScheme scheme = parse_quant_scheme(id);
      const TechniqueParams params{{"clip", clip}};
      const QuantizedTensor q = solve(weights, stats, scheme, params).tensor;
      const QuantizedTensor rtn = rtn_technique.solve(weights, 256, &stats, scheme, params, DType::bf16, 1).tensor;
      ASSERT_EQ(q.scales.size(), static_cast<std::size_t>(scheme.blocks(out) * scheme.groups(256)));
      EXPECT_EQ(q.scales.size(), rtn.scales.size());
      EXPECT_EQ(q.tensor_scale, rtn.tensor_scale);
      EXPECT_LT(output_error(weights, q, stats.gram), 0.9 * output_error(weights, rtn, stats.gram))
          << id << " " << clip;
      const Solution two = solve(weights, stats, scheme, params, DType::bf16, 2);
      EXPECT_EQ(two.tensor.codes, q.codes);
      EXPECT_EQ(two.tensor.scales, q.scales);
    }
}

TEST(Gptq, SameBytesForAnyNumberOfThreads) {
  const std::vector<float> weights = normal_values(600 * in, 7, 0.02f);  // three blocks of rows
  const LayerStats stats = make_stats(in, 0.6, 8);
  for (const TechniqueParams& params : variants) {
    const Solution one = solve(weights, stats, {4, false, 32, 16}, params, DType::bf16, 1);
    const Solution two = solve(weights, stats, {4, false, 32, 16}, params, DType::bf16, 2);
    EXPECT_EQ(one.tensor.codes, two.tensor.codes);
    EXPECT_EQ(one.tensor.scales, two.tensor.scales);
    EXPECT_EQ(one.tensor.zeros, two.tensor.zeros);
  }
}

TEST(Gptq, RowsMayComeInAnyOrder) {
  const std::vector<float> weights = normal_values(out * in, 9, 0.02f);
  std::vector<float> turned(weights.size());
  for (std::int64_t r = 0; r < out; ++r) std::copy_n(weights.begin() + r * in, in, turned.begin() + (out - 1 - r) * in);
  const LayerStats stats = make_stats(in, 0.6, 10);
  const QuantScheme scheme{4, true, 32, 16};
  const QuantizedTensor a = solve(weights, stats, scheme).tensor, b = solve(turned, stats, scheme).tensor;
  for (std::int64_t r = 0; r < out; ++r)
    ASSERT_TRUE(
        std::equal(a.codes.begin() + r * in, a.codes.begin() + (r + 1) * in, b.codes.begin() + (out - 1 - r) * in))
        << r;
}

TEST(Gptq, ColumnsWithoutInputAreRoundedToNearestAndReported) {
  const std::vector<float> weights = normal_values(out * in, 11, 0.02f);
  LayerStats stats = make_stats(in, 0.6, 12);
  for (const std::size_t dead : {std::size_t{0}, std::size_t{50}, std::size_t{191}}) {
    stats.mean_square[dead] = 0;
    for (std::size_t j = 0; j < in; ++j) stats.gram.data()[dead * in + j] = stats.gram.data()[j * in + dead] = 0;
  }
  for (const TechniqueParams& params : {TechniqueParams{}, TechniqueParams{{"damp", "0"}}}) {
    const Solution solution = solve(weights, stats, {4, true, 32, 16}, params);
    ASSERT_EQ(solution.notes.size(), 1U);
    EXPECT_THAT(solution.notes[0], HasSubstr("3 of 192 input columns"));
    std::vector<float> decoded(weights.size());
    dequantize(solution.tensor, decoded);
    for (std::size_t r = 0; r < out; ++r) {
      const std::size_t at = r * in + 50;
      const float scale = solution.tensor.scales[r * 6 + 1];
      EXPECT_LE(std::abs(decoded[at] - std::clamp(weights[at], -8 * scale, 7 * scale)), scale * 0.5001f);
    }
  }
}

TEST(Gptq, NoInputAtAllIsRoundToNearest) {
  const std::vector<float> weights = normal_values(out * in, 13, 0.02f);
  LayerStats stats = make_stats(in, 0.6, 14);
  std::ranges::fill(stats.gram.span(), 0.0f);
  std::ranges::fill(stats.mean_square, 0.0f);
  const Solution solution = solve(weights, stats, {4, true, 32, 16}, {{"clip", "none"}});
  EXPECT_EQ(solution.tensor.codes, rtn_technique.quantize(weights, in, {4, true, 32, 16}, {}, DType::bf16).codes);
  EXPECT_EQ(solution.notes.size(), 1U);
}

TEST(Gptq, DampingIsRaisedAndReported) {
  const std::vector<float> weights = normal_values(out * in, 15, 0.02f);
  LayerStats stats = make_stats(in, 1, 16, 20);  // rank 20: singular without damping
  const Solution solution = solve(weights, stats, {4, true, 32, 16}, {{"damp", "0"}});
  ASSERT_EQ(solution.notes.size(), 1U);
  EXPECT_THAT(solution.notes[0], HasSubstr("damping was raised from 0 to"));
  EXPECT_LT(output_error(weights, solution.tensor, stats.gram),
            output_error(weights, rtn_technique.quantize(weights, in, {4, true, 32, 16}, {}, DType::bf16), stats.gram));
}

TEST(Gptq, PivotsAreWhatCompensationLeaves) {
  LayerStats stats = make_stats(96, 0.8, 23);
  const QuantScheme scheme{4, true, 32, 16};
  const std::vector<float> pivots = gptq_pivots(stats, scheme, {}, 1);
  double left = 0, before = 0;
  for (std::size_t i = 0; i < 96; ++i) {
    // A column cannot cost more than without compensation, and nothing is below the damping.
    const double mean = std::accumulate(stats.mean_square.begin(), stats.mean_square.end(), 0.0) / 96;
    EXPECT_LE(double{pivots[i]}, (double{stats.mean_square[i]} + 0.01 * mean) * 1.0001);
    EXPECT_GE(double{pivots[i]}, 0.0099 * mean);
    left += double{pivots[i]};
    before += double{stats.mean_square[i]};
  }
  EXPECT_LT(left, 0.7 * before);
  testing::drop_correlation(stats);
  const std::vector<float> plain = gptq_pivots(stats, scheme, {{"damp", "0"}}, 1);
  for (std::size_t i = 0; i < 96; ++i) EXPECT_NEAR(plain[i], stats.mean_square[i], 1e-5f * stats.mean_square[i]);
}

TEST(Gptq, RefusesWhatItCannotSolve) {
  std::vector<float> weights = normal_values(out * in, 17);
  LayerStats stats = make_stats(in, 0.5, 18);
  const QuantScheme scheme{4, true, 32, 16};
  const auto message = [&](const std::function<void()>& act) { return refusal(ErrorCode::invalid_argument, act); };
  EXPECT_THAT(message([&] { gptq_technique.solve(weights, in, nullptr, scheme, {}, DType::bf16, 1); }),
              HasSubstr("needs calibration"));
  EXPECT_THAT(message([&] { solve(weights, stats, {4, true, 64 + 16, 16}); }), HasSubstr("does not divide"));
  EXPECT_THAT(message([&] { solve(weights, stats, scheme, {{"scales", "updated"}}); }), HasSubstr("group_aware"));
  EXPECT_THAT(
      refusal(ErrorCode::unsupported,
              [&] {
                gptq_technique.check(parse_quant_scheme("W4A4-nvfp4"), {{"scales", "updated"}, {"actorder", "none"}});
              }),
      HasSubstr("scales=static"));
  message([&] { solve(weights, stats, scheme, {{"damp", "2"}}); });
  message([&] { solve(weights, stats, scheme, {{"damp", "-0.1"}}); });
  refusal(ErrorCode::unsupported, [&] { solve(weights, stats, {1, true, 32, 16}); });

  LayerStats unseen = make_stats(in, 0.5, 18);
  unseen.tokens = 0;
  EXPECT_THAT(message([&] { solve(weights, unseen, scheme); }), HasSubstr("saw no token"));
  LayerStats small = make_stats(96, 0.5, 18);
  small.mean_square.resize(in, 1);
  EXPECT_THAT(message([&] { gptq_technique.solve(weights, in, &small, scheme, {}, DType::bf16, 1); }),
              HasSubstr("no Gram matrix"));
  // Not a Gram matrix: no damping up to the mean diagonal makes it positive definite.
  LayerStats damaged = make_stats(in, 0.5, 18);
  damaged.gram.data()[5 * in + 9] = damaged.gram.data()[9 * in + 5] = 1e6f;
  EXPECT_THAT(message([&] { solve(weights, damaged, scheme); }), HasSubstr("not positive definite"));
  damaged.gram.data()[5 * in + 9] = damaged.gram.data()[9 * in + 5] = std::nanf("");
  EXPECT_THAT(message([&] { solve(weights, damaged, scheme); }), HasSubstr("not positive definite"));
  damaged.gram.data()[5 * in + 5] = -1;
  EXPECT_THAT(message([&] { solve(weights, damaged, scheme); }), HasSubstr("diagonal"));
  damaged.mean_square[7] = std::nanf("");
  EXPECT_THAT(message([&] { solve(weights, damaged, scheme); }), HasSubstr("mean square"));
  weights[in + 3] = std::nanf("");
  EXPECT_THAT(message([&] { solve(weights, stats, scheme); }), HasSubstr("row 1, column 3"));
}

}  // namespace
}  // namespace advisor
