#include "tensor/linalg.h"

#include <cblas.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "tensor/parallel.h"

// OpenBLAS' own function; weak, so that another BLAS (the reference one has no threads) links as well.
extern "C" __attribute__((weak)) void openblas_set_num_threads(int);

namespace advisor::linalg {
namespace {

void use_one_thread() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (openblas_set_num_threads != nullptr) {
      openblas_set_num_threads(1);
    }
  });
}

/// BLAS counts in int.
int narrow(std::int64_t value) {
  if (value < 0 || value > std::numeric_limits<int>::max()) {
    throw Error(ErrorCode::unsupported,
                "matrix dimension " + std::to_string(value) + " is beyond what the BLAS can count");
  }
  return static_cast<int>(value);
}

void sgemm(CBLAS_TRANSPOSE trans_a, CBLAS_TRANSPOSE trans_b, std::int64_t m, std::int64_t n, std::int64_t k,
           float alpha, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
           std::int64_t ldc) {
  if (m == 0 || n == 0) {
    return;
  }
  use_one_thread();
  cblas_sgemm(CblasRowMajor, trans_a, trans_b, narrow(m), narrow(n), narrow(k), alpha, a, narrow(lda), b, narrow(ldb),
              beta, c, narrow(ldc));
}

/// Rows and columns of one task. Fixed, so that the cut does not depend on the number of threads; large enough for the
/// BLAS to reach its speed.
constexpr std::int64_t tile = 256;
/// Columns that factor_upper() finishes at a time: what is done in double and without the BLAS is n * panel^2 of the
/// n^3 / 3 multiplications.
constexpr std::int64_t panel = 128;

/// A pivot below this part of the diagonal element it came from is rounding noise of float32.
constexpr double noise = 4 * double{std::numeric_limits<float>::epsilon()};

/// H = R R^T of the last diagonal block that is not done yet, in double. `diagonal` holds the elements before any
/// update. Returns the local index of a pivot that is not safely positive.
std::optional<std::int64_t> factor_panel(std::int64_t n, float* h, std::int64_t ld, const float* diagonal) {
  std::vector<double> r(static_cast<std::size_t>(n * n));
  const auto at = [&](std::int64_t i, std::int64_t j) -> double& { return r[static_cast<std::size_t>(i * n + j)]; };
  for (std::int64_t j = n - 1; j >= 0; --j) {
    for (std::int64_t i = j; i >= 0; --i) {
      double sum = double{h[i * ld + j]};
      for (std::int64_t k = j + 1; k < n; ++k) sum -= at(i, k) * at(j, k);
      if (i < j) {
        at(i, j) = sum / at(j, j);
      } else if (!(sum > noise * double{diagonal[j]}) || !std::isfinite(sum)) {
        return j;
      } else {
        at(j, j) = std::sqrt(sum);
      }
    }
  }
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t j = i; j < n; ++j) h[i * ld + j] = static_cast<float>(at(i, j));
  return std::nullopt;
}

}  // namespace

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  sgemm(CblasNoTrans, CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  sgemm(CblasNoTrans, CblasTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  sgemm(CblasTrans, CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void solve_upper_transposed(std::int64_t m, std::int64_t n, const float* u, std::int64_t ldu, float* x,
                            std::int64_t ldx) {
  if (m == 0 || n == 0) return;
  use_one_thread();
  cblas_strsm(CblasRowMajor, CblasLeft, CblasUpper, CblasTrans, CblasNonUnit, narrow(m), narrow(n), 1, u, narrow(ldu),
              x, narrow(ldx));
}

void add_gram(std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda, float* c, std::int64_t ldc,
              int threads) {
  const std::int64_t tiles = (n + tile - 1) / tile;
  // Task t is the t-th tile (i, j), i <= j, counted column by column of tiles.
  parallel_for(tiles * (tiles + 1) / 2, threads, [&](std::int64_t t) {
    std::int64_t j = 0;
    while ((j + 1) * (j + 2) / 2 <= t) ++j;
    const std::int64_t row = (t - j * (j + 1) / 2) * tile, column = j * tile;
    gemm_tn(std::min(tile, n - row), std::min(tile, n - column), k, alpha, a + row, lda, a + column, lda, 1,
            c + row * ldc + column, ldc);
  });
}

void mirror_upper(std::int64_t n, float* c, std::int64_t ldc) {
  constexpr std::int64_t side = 32;  // squares that stay in cache while they are read across the rows
  for (std::int64_t top = 0; top < n; top += side)
    for (std::int64_t left = top; left < n; left += side)
      for (std::int64_t i = top; i < std::min(top + side, n); ++i)
        for (std::int64_t j = std::max(left, i + 1); j < std::min(left + side, n); ++j) c[j * ldc + i] = c[i * ldc + j];
}

std::optional<std::int64_t> factor_upper(std::int64_t n, float* h, std::int64_t ldh, int threads) {
  std::vector<float> diagonal(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) diagonal[static_cast<std::size_t>(i)] = h[i * ldh + i];
  for (std::int64_t end = n; end > 0;) {
    const std::int64_t begin = (end - 1) / panel * panel, width = end - begin;
    float* corner = h + begin * ldh + begin;
    // Columns [begin, end) so far lack what the finished columns behind them contribute.
    const auto subtract = [&](std::int64_t row, std::int64_t rows) {
      gemm_nt(rows, width, n - end, -1, h + row * ldh + end, ldh, h + begin * ldh + end, ldh, 1, h + row * ldh + begin,
              ldh);
    };
    subtract(begin, width);
    if (const auto failed = factor_panel(width, corner, ldh, diagonal.data() + begin)) return begin + *failed;
    parallel_for((begin + tile - 1) / tile, threads, [&](std::int64_t t) {
      const std::int64_t row = t * tile, rows = std::min(tile, begin - row);
      subtract(row, rows);
      use_one_thread();
      cblas_strsm(CblasRowMajor, CblasRight, CblasUpper, CblasTrans, CblasNonUnit, narrow(rows), narrow(width), 1,
                  corner, narrow(ldh), h + row * ldh + begin, narrow(ldh));
    });
    end = begin;
  }
  return std::nullopt;
}

}  // namespace advisor::linalg
