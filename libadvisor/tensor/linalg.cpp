#include "tensor/linalg.h"

#include <cblas.h>

#include <initializer_list>
#include <limits>
#include <mutex>

#include "core/error.h"

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

void sgemm(CBLAS_TRANSPOSE trans_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a,
           std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  if (m == 0 || n == 0) {
    return;
  }
  use_one_thread();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, trans_b, narrow(m), narrow(n), narrow(k), alpha, a, narrow(lda), b,
              narrow(ldb), beta, c, narrow(ldc));
}

}  // namespace

void gemm(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  sgemm(CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc) {
  sgemm(CblasTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

}  // namespace advisor::linalg
