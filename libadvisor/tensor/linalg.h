// Dense float32 linear algebra on CBLAS. The only place that knows the BLAS: it is kept to one thread per call, so
// that results do not depend on the number of threads and callers parallelise over rows, tensors or sequences.
#pragma once

#include <cstdint>

namespace advisor::linalg {

/// C[m, n] = alpha * A[m, k] * B[k, n] + beta * C. Row-major; ld* is the distance of two rows in elements.
void gemm(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float beta, float* c, std::int64_t ldc);
/// C[m, n] = alpha * A[m, k] * B[n, k]^T + beta * C: `b` is a linear weight as stored, [out, in].
void gemm_nt(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, const float* a, std::int64_t lda,
             const float* b, std::int64_t ldb, float beta, float* c, std::int64_t ldc);

}  // namespace advisor::linalg
