#include "tensor/linalg.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "core/error.h"

namespace advisor {
namespace {

TEST(Gemm, EqualsTheTripleLoopAlsoWithStridesAndAccumulation) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (auto [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1}, {3, 5, 7}, {17, 33, 64}, {64, 31, 100}}) {
    std::int64_t pad = 3;
    auto matrix = [&](std::int64_t rows, std::int64_t cols) {
      std::vector<float> out(static_cast<std::size_t>(rows * (cols + pad)));
      for (float& value : out) value = uniform(random);
      return out;
    };
    auto at = [&](const std::vector<float>& x, std::int64_t r, std::int64_t c, std::int64_t cols) {
      return static_cast<double>(x[static_cast<std::size_t>(r * (cols + pad) + c)]);
    };
    const std::vector<float> a = matrix(m, k), b = matrix(k, n), bt = matrix(n, k), before = matrix(m, n);
    std::vector<float> plain = before, transposed = before;
    linalg::gemm(m, n, k, 0.5F, a.data(), k + pad, b.data(), n + pad, 2, plain.data(), n + pad);
    linalg::gemm_nt(m, n, k, 0.5F, a.data(), k + pad, bt.data(), k + pad, 2, transposed.data(), n + pad);
    for (std::int64_t r = 0; r < m; ++r) {
      for (std::int64_t c = 0; c < n; ++c) {
        double sum = 0, sum_t = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          sum += at(a, r, i, k) * at(b, i, c, n);
          sum_t += at(a, r, i, k) * at(bt, c, i, k);
        }
        ASSERT_NEAR(at(plain, r, c, n), 0.5 * sum + 2 * at(before, r, c, n), 1e-4);
        ASSERT_NEAR(at(transposed, r, c, n), 0.5 * sum_t + 2 * at(before, r, c, n), 1e-4);
      }
      ASSERT_EQ(at(plain, r, n, n), at(before, r, n, n)) << "wrote into the padding";
    }
  }
}

TEST(Gemm, NothingToDo) { linalg::gemm_nt(0, 4, 4, 1, nullptr, 4, nullptr, 4, 0, nullptr, 4); }

TEST(Gemm, RefusesWhatTheBlasCannotCount) {
  float x = 0;
  EXPECT_THROW(linalg::gemm(std::int64_t{1} << 31, 1, 1, 1, &x, 1, &x, 1, 0, &x, 1), Error);
  EXPECT_THROW(linalg::gemm(-1, 1, 1, 1, &x, 1, &x, 1, 0, &x, 1), Error);
}

std::vector<float> uniform_values(std::int64_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> out(static_cast<std::size_t>(n));
  for (float& value : out) value = uniform(random);
  return out;
}

TEST(Gemm, TransposedFirstFactor) {
  const std::int64_t m = 19, n = 23, k = 31;
  const std::vector<float> a = uniform_values(k * m, 2), b = uniform_values(k * n, 3);
  std::vector<float> c(static_cast<std::size_t>(m * n), 1.0F);
  linalg::gemm_tn(m, n, k, 2, a.data(), m, b.data(), n, 3, c.data(), n);
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < k; ++l)
        sum += double{a[static_cast<std::size_t>(l * m + i)]} * double{b[static_cast<std::size_t>(l * n + j)]};
      ASSERT_NEAR(c[static_cast<std::size_t>(i * n + j)], 2 * sum + 3, 1e-4);
    }
}

TEST(Gram, IsTheSumOfItsCallsForAnyNumberOfThreads) {
  const std::int64_t n = 300, k = 40;  // two tiles each way
  const std::vector<float> x = uniform_values(2 * k * n, 4);
  std::vector<float> one(static_cast<std::size_t>(n * n)), two = one;
  for (std::int64_t half = 0; half < 2; ++half) {
    linalg::add_gram(n, k, 0.5F, x.data() + half * k * n, n, one.data(), n, 1);
    linalg::add_gram(n, k, 0.5F, x.data() + half * k * n, n, two.data(), n, 2);
  }
  linalg::mirror_upper(n, one.data(), n);
  linalg::mirror_upper(n, two.data(), n);
  EXPECT_EQ(one, two);
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < 2 * k; ++l)
        sum += double{x[static_cast<std::size_t>(l * n + i)]} * double{x[static_cast<std::size_t>(l * n + j)]};
      ASSERT_NEAR(one[static_cast<std::size_t>(i * n + j)], 0.5 * sum, 1e-4) << i << " " << j;
    }
}

TEST(Factor, ItsProductIsTheMatrixForAnyNumberOfThreads) {
  for (const std::int64_t n : {1, 5, 127, 128, 129, 400}) {
    const std::int64_t ld = n + 3;
    const std::vector<float> x = uniform_values(2 * n * n, static_cast<unsigned>(n));
    std::vector<float> h(static_cast<std::size_t>(n * ld), 7.0F);
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = i; j < n; ++j) {
        double sum = i == j ? 0.1 : 0;
        for (std::int64_t k = 0; k < 2 * n; ++k)
          sum +=
              double{x[static_cast<std::size_t>(i * 2 * n + k)]} * double{x[static_cast<std::size_t>(j * 2 * n + k)]};
        h[static_cast<std::size_t>(i * ld + j)] = static_cast<float>(sum);
      }
    std::vector<float> one = h, two = h;
    ASSERT_EQ(linalg::factor_upper(n, one.data(), ld, 1), std::nullopt);
    ASSERT_EQ(linalg::factor_upper(n, two.data(), ld, 2), std::nullopt);
    ASSERT_EQ(one, two);
    for (std::int64_t i = 0; i < n; ++i) {
      for (std::int64_t j = n; j < ld; ++j)
        ASSERT_EQ(one[static_cast<std::size_t>(i * ld + j)], 7) << "wrote into the padding";
      for (std::int64_t j = i; j < n; ++j) {
        double sum = 0;
        for (std::int64_t k = j; k < n; ++k)
          sum += double{one[static_cast<std::size_t>(i * ld + k)]} * double{one[static_cast<std::size_t>(j * ld + k)]};
        ASSERT_NEAR(sum, h[static_cast<std::size_t>(i * ld + j)], 1e-5 * static_cast<double>(n)) << n << " " << i;
      }
    }
    // X = U^-T B, checked by U^T X = B.
    const std::vector<float> b = uniform_values(n * 4, 9);
    std::vector<float> solved = b;
    linalg::solve_upper_transposed(n, 4, one.data(), ld, solved.data(), 4);
    for (std::int64_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::int64_t k = 0; k <= i; ++k)
        sum += double{one[static_cast<std::size_t>(k * ld + i)]} * double{solved[static_cast<std::size_t>(k * 4)]};
      ASSERT_NEAR(sum, b[static_cast<std::size_t>(i * 4)], 1e-3);
    }
  }
}

TEST(Factor, NamesThePivotThatIsNotPositive) {
  std::vector<float> h(200 * 200);
  for (std::size_t i = 0; i < 200; ++i) h[i * 201] = 1;
  h[150 * 201] = -1;
  EXPECT_EQ(linalg::factor_upper(200, h.data(), 200, 1), 150);
  std::vector<float> twins{1, 1, 0, 1};  // two equal columns: singular, and rounding noise must not hide it
  EXPECT_EQ(linalg::factor_upper(2, twins.data(), 2, 1), 0);
  std::vector<float> nan{1, std::numeric_limits<float>::quiet_NaN(), 0, 1};
  EXPECT_EQ(linalg::factor_upper(2, nan.data(), 2, 1), 0);
}

}  // namespace
}  // namespace advisor
