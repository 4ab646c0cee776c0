#include "compress/techniques/output_error.h"

#include <algorithm>
#include <vector>

#include "compress/techniques/grids.h"
#include "tensor/linalg.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

constexpr std::int64_t row_block = 128, column_block = 512;

/// Half of the work of E G . E: what lies above the diagonal of G counts twice.
double trace_of_rows(const float* errors, std::int64_t rows, const Tensor& gram, std::vector<float>& product) {
  const std::int64_t in = gram.cols();
  product.resize(static_cast<std::size_t>(rows * column_block));
  double sum = 0;
  for (std::int64_t begin = 0; begin < in; begin += column_block) {
    const std::int64_t width = std::min(column_block, in - begin);
    linalg::gemm(rows, width, width, 1, errors + begin, in, gram.data() + begin * in + begin, in, 0, product.data(),
                 width);
    linalg::gemm(rows, width, begin, 2, errors, in, gram.data() + begin, in, 1, product.data(), width);
    for (std::int64_t r = 0; r < rows; ++r) {
      const float *p = product.data() + r * width, *e = errors + r * in + begin;
      for (std::int64_t c = 0; c < width; ++c) sum += double{p[c]} * double{e[c]};
    }
  }
  return sum;
}

}  // namespace

double gram_trace(std::span<const float> errors, const Tensor& gram, int threads) {
  const std::int64_t in = gram.cols(), rows = static_cast<std::int64_t>(errors.size()) / in;
  std::vector<double> sums(static_cast<std::size_t>((rows + row_block - 1) / row_block));
  parallel_for(static_cast<std::int64_t>(sums.size()), threads, [&](std::int64_t b) {
    std::vector<float> product;
    const std::int64_t begin = b * row_block;
    sums[static_cast<std::size_t>(b)] =
        trace_of_rows(errors.data() + begin * in, std::min(row_block, rows - begin), gram, product);
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return std::max(0.0, sum);  // rounding of float32 may leave a tiny negative number where the error is 0
}

double relative_output_error(std::span<const float> weights, const QuantizedTensor& quantized, const Tensor& gram,
                             int threads) {
  std::vector<float> errors(weights.size());
  dequantize(quantized, errors);
  for (std::size_t i = 0; i < errors.size(); ++i) errors[i] = weights[i] - errors[i];
  const double output = gram_trace(weights, gram, threads);
  return output == 0 ? 0 : gram_trace(errors, gram, threads) / output;
}

}  // namespace advisor
