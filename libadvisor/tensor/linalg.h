// Dense float32 linear algebra on CBLAS. The only place that knows the BLAS: it is kept to one thread per call, so
// that results do not depend on the number of threads and callers parallelise over rows, tensors or sequences.
#pragma once

#include <cstdint>
#include <optional>

namespace advisor::linalg {

/// C[m, n] = alpha * A[m, k] * B[k, n] + beta * C. Row-major; ld* is the distance of two rows in elements.
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc);
/// C[m, n] = alpha * A[m, k] * B[n, k]^T + beta * C: `b` is a linear weight as stored, [out, in].
void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);
/// C[m, n] = alpha * A[k, m]^T * B[k, n] + beta * C.
void gemm_tn(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);
/// X[m, n] = U[m, m]^-T * X for an upper triangular U with a diagonal free of zeros; what lies below it is not read.
void solve_upper_transposed(std::int64_t m, std::int64_t n, const float* u, std::int64_t ldu, float* x,
                            std::int64_t ldx);

/// Upper triangle of C[n, n] += alpha * A[k, n]^T * A, tile by tile on up to `threads` threads; below the diagonal C
/// is undefined inside the tiles that the diagonal crosses and kept elsewhere. The sum over k of one call is the
/// BLAS', calls add in their order: the result does not depend on the number of threads.
void add_gram(std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda, float* c, std::int64_t ldc,
              int threads);
/// Copies the upper triangle of C[n, n] below the diagonal.
void mirror_upper(std::int64_t n, float* c, std::int64_t ldc);

/// H = R * R^T with R upper triangular (a Cholesky factorization that starts at the last row), in place: reads the
/// upper triangle only; some of what lies below is overwritten. Blocked; the same bytes for any number of threads.
/// Returns the index of the pivot that is not safely positive (H is not positive definite to working precision; H is
/// then destroyed), or nothing.
std::optional<std::int64_t> factor_upper(std::int64_t n, float* h, std::int64_t ldh, int threads);

}  // namespace advisor::linalg
