#include "tensor/linalg.h"

#include <gtest/gtest.h>

#include <array>
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

}  // namespace
}  // namespace advisor
