#include "compress/budget.h"

#include <cmath>

#include "compress/fixture.h"

namespace advisor {
namespace {

using kernels::BlockType;
using testing::normal;

double squared_error(std::span<const float> rows, BlockType type) {
  const auto n = static_cast<std::int64_t>(rows.size());
  std::vector<std::byte> bytes(static_cast<std::size_t>(kernels::row_bytes(type, n)));
  std::vector<float> decoded(rows.size());
  EXPECT_TRUE(kernels::encode_blocks(type, rows, {}, bytes));
  kernels::decode_blocks(type, bytes, decoded);
  double sum = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double d = double{rows[i]} - double{decoded[i]};
    sum += d * d;
  }
  return sum;
}

TEST(Budget, NoEncoderExceedsItsBudget) {
  for (const kernels::BlockLayout& layout : kernels::block_layouts()) {
    for (const float sd : {1e-7f, 1e-5f, 0.02f, 30.0f})
      for (unsigned seed = 0; seed < 20; ++seed) {
        std::vector<float> rows = normal(32 * 64, seed, sd);
        if (seed % 4 == 1)
          for (std::size_t i = 0; i < rows.size(); i += 32) rows[i] = -rows[i + 1];  // two opposite extremes
        if (seed % 4 == 2) std::fill(rows.begin(), rows.begin() + 64, 0.0f);
        if (seed % 4 == 3)
          for (float& x : rows) x = std::fabs(x) + 0.5f * sd;  // one sign
        EXPECT_LE(squared_error(rows, layout.type), storage_error_bound(rows, layout.type)) << layout.name << " " << sd;
      }
  }
}

TEST(Budget, IsTightEnoughToSeeAWrongLayout) {
  // Two neighbours exchanged: what a wrong nibble order does. It must not pass.
  const std::vector<float> rows = normal(32 * 64, 3);
  double exchanged = 0;
  for (std::size_t i = 0; i < rows.size(); i += 2) exchanged += 2 * std::pow(double{rows[i]} - double{rows[i + 1]}, 2);
  for (const kernels::BlockLayout& layout : kernels::block_layouts()) {
    const bool coarse = layout.bytes * 8 < layout.elements * 4 || layout.type == BlockType::mxfp4;  // below 4 bits
    EXPECT_LT(storage_error_bound(rows, layout.type), exchanged / (coarse ? 1.5 : 9)) << layout.name;
  }
}

TEST(Budget, NothingMayBeWorseThanZeros) {
  const std::vector<float> rows = normal(256 * 4, 5);
  double squares = 0;
  for (const float x : rows) squares += double{x} * double{x};
  for (const kernels::BlockLayout& layout : kernels::block_layouts()) {
    EXPECT_LE(storage_error_bound(rows, layout.type), 1.001 * squares) << layout.name;
    if (layout.elements == 1) continue;
    EXPECT_NEAR(storage_error_bound(rows, layout.type, true), 2 * squares, 1e-3 * squares) << layout.name;
  }
}

}  // namespace
}  // namespace advisor
