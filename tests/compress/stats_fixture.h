// Weights and input statistics made on the spot for tests of solvers.
#pragma once

#include <cmath>
#include <random>
#include <span>
#include <vector>

#include "compress/stats.h"
#include "compress/technique.h"
#include "compress/techniques/grids.h"

namespace advisor::testing {

inline std::vector<float> normal_values(std::int64_t n, unsigned seed, float deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0, deviation);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = distribution(generator);
  return values;
}

/// Statistics of vectors x = scale * (1 - mixing) * own + mixing * shared factors: columns are correlated when mixing
/// is over 0. Scales differ by input, as activations do.
inline LayerStats make_stats(std::int64_t in, double mixing, unsigned seed, std::int64_t tokens = 0) {
  if (tokens == 0) tokens = 2 * in;
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal(0, 1);
  const std::int64_t factors = std::max<std::int64_t>(1, in / 8);
  std::vector<double> loads(static_cast<std::size_t>(in * factors)), scales(static_cast<std::size_t>(in));
  for (double& v : loads) v = normal(generator) / std::sqrt(static_cast<double>(factors));
  for (double& v : scales) v = std::exp(0.7 * normal(generator));
  LayerStats stats;
  stats.tokens = tokens;
  stats.gram = Tensor({in, in});
  for (auto* moments : {&stats.mean_square, &stats.mean_abs, &stats.abs_max})
    moments->assign(static_cast<std::size_t>(in), 0);
  std::vector<double> gram(static_cast<std::size_t>(in * in)), x(static_cast<std::size_t>(in)),
      shared(static_cast<std::size_t>(factors));
  for (std::int64_t t = 0; t < tokens; ++t) {
    for (double& v : shared) v = normal(generator);
    for (std::size_t i = 0; i < x.size(); ++i) {
      double common = 0;
      for (std::size_t f = 0; f < shared.size(); ++f) common += loads[i * shared.size() + f] * shared[f];
      x[i] = scales[i] * ((1 - mixing) * normal(generator) + mixing * common);
      stats.mean_abs[i] += static_cast<float>(std::abs(x[i]) / static_cast<double>(tokens));
      stats.abs_max[i] = std::max(stats.abs_max[i], static_cast<float>(std::abs(x[i])));
    }
    for (std::size_t i = 0; i < x.size(); ++i)
      for (std::size_t j = 0; j < x.size(); ++j) gram[i * x.size() + j] += x[i] * x[j] / static_cast<double>(tokens);
  }
  for (std::size_t i = 0; i < gram.size(); ++i) stats.gram.data()[i] = static_cast<float>(gram[i]);
  for (std::size_t i = 0; i < x.size(); ++i) stats.mean_square[i] = stats.gram.row(static_cast<std::int64_t>(i))[i];
  return stats;
}

/// Keeps the diagonal only: what the statistics of uncorrelated inputs would be.
inline void drop_correlation(LayerStats& stats) {
  for (std::int64_t i = 0; i < stats.gram.rows(); ++i)
    for (std::int64_t j = 0; j < stats.gram.cols(); ++j)
      if (i != j) stats.gram.row(i)[static_cast<std::size_t>(j)] = 0;
}

/// tr(E G E^T) in double, E = weights - what the codes stand for.
inline double output_error(std::span<const float> weights, const QuantizedTensor& q, const Tensor& gram) {
  std::vector<float> decoded(weights.size());
  dequantize(q, decoded);
  const auto in = static_cast<std::size_t>(q.cols);
  double sum = 0;
  for (std::size_t row = 0; row < weights.size(); row += in)
    for (std::size_t i = 0; i < in; ++i) {
      double product = 0;
      for (std::size_t j = 0; j < in; ++j)
        product += double{gram.data()[i * in + j]} * (double{weights[row + j]} - double{decoded[row + j]});
      sum += product * (double{weights[row + i]} - double{decoded[row + i]});
    }
  return sum;
}

}  // namespace advisor::testing
