// The orders in which errors are added. Of quantization_error: 16 float32 lanes over blocks of 512 elements, each block
// folded pairwise in float64, blocks added in sequence. Written down once, so that the sum is the same on every SIMD
// width (all widths divide 16), and short enough in float32 (32 additions a lane) to lose no more than about 2e-6 of
// it.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "tensor/kernels/kernels.h"

namespace advisor::kernels {

class ErrorSum {
 public:
  static constexpr std::size_t width = 16, block = 512;
  using Lanes = std::array<float, width>;

  void add(const Lanes& lanes) {
    std::array<double, width> sums{};
    for (std::size_t i = 0; i < width; ++i) sums[i] = static_cast<double>(lanes[i]);
    for (std::size_t half = width / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    }
    total_ += sums[0];
  }
  double value() const { return total_; }

 private:
  double total_ = 0;
};

/// Eight lanes in float64, element i in lane i % 8; folded in sequence at the end.
struct DistanceLanes {
  static constexpr std::size_t width = 8;
  std::array<double, width> error{}, norm{};

  void add(std::span<const float> x, std::span<const float> y) {
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double value = double{x[i]}, e = value - double{y[i]};
      error[i % width] += e * e;
      norm[i % width] += value * value;
    }
  }
  SquaredDistance sum() const {
    SquaredDistance total;
    for (std::size_t lane = 0; lane < width; ++lane) {
      total.error += error[lane];
      total.norm += norm[lane];
    }
    return total;
  }
};

}  // namespace advisor::kernels
