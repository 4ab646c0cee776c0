// Solvers in memory. `flop` is the arithmetic that cannot be avoided: o i^2 for the products with the factor, i^3 / 3
// for the factor itself; gemm is the same BLAS on a square product, the rate that there is to reach.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "compress/technique.h"
#include "compress/techniques/output_error.h"
#include "tensor/linalg.h"

namespace advisor {
namespace {

std::vector<float> normal(std::int64_t n, float deviation) {
  std::mt19937 generator(1);
  std::normal_distribution<float> distribution(0, deviation);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = distribution(generator);
  return values;
}

/// Statistics of correlated inputs: neighbours share most of what they say.
LayerStats correlated(std::int64_t in) {
  LayerStats stats;
  stats.tokens = in;
  stats.gram = Tensor({in, in});
  for (std::int64_t i = 0; i < in; ++i)
    for (std::int64_t j = 0; j < in; ++j)
      stats.gram.row(i)[static_cast<std::size_t>(j)] = std::exp(-0.05f * static_cast<float>(std::abs(i - j)));
  stats.mean_square.assign(static_cast<std::size_t>(in), 1);
  stats.mean_abs.assign(static_cast<std::size_t>(in), 0.8f);
  stats.abs_max.assign(static_cast<std::size_t>(in), 4);
  return stats;
}

void rate(benchmark::State& state, double flop) {
  state.counters["flop"] = benchmark::Counter(flop * static_cast<double>(state.iterations()),
                                              benchmark::Counter::kIsRate, benchmark::Counter::kIs1000);
}

void gemm(benchmark::State& state) {
  const std::int64_t n = state.range(0);
  const std::vector<float> a = normal(n * n, 1);
  std::vector<float> c(a.size());
  for (auto _ : state) linalg::gemm(n, n, n, 1, a.data(), n, a.data(), n, 0, c.data(), n);
  rate(state, 2 * std::pow(static_cast<double>(n), 3));
}

void factor(benchmark::State& state) {
  const std::int64_t in = state.range(0);
  const LayerStats stats = correlated(in);
  Tensor h({in, in});
  for (auto _ : state) {
    std::ranges::copy(stats.gram.span(), h.data());
    benchmark::DoNotOptimize(linalg::factor_upper(in, h.data(), in, 1));
  }
  rate(state, std::pow(static_cast<double>(in), 3) / 3);
}

void solve(benchmark::State& state, const char* technique, const TechniqueParams& params) {
  const std::int64_t out = state.range(0), in = state.range(1);
  const std::vector<float> weights = normal(out * in, 0.02f);
  const LayerStats stats = correlated(in);
  for (auto _ : state)
    benchmark::DoNotOptimize(
        find_technique(technique).solve(weights, in, &stats, {4, true, 128, 16}, params, DType::bf16, 1));
  const double o = static_cast<double>(out), i = static_cast<double>(in);
  rate(state, o * i * i + i * i * i / 3);
}

void trace(benchmark::State& state) {
  const std::int64_t out = state.range(0), in = state.range(1);
  const std::vector<float> errors = normal(out * in, 0.02f);
  const LayerStats stats = correlated(in);
  for (auto _ : state) benchmark::DoNotOptimize(gram_trace(errors, stats.gram, 1));
  const double o = static_cast<double>(out), i = static_cast<double>(in);
  rate(state, o * i * i);
}

BENCHMARK(gemm)->Arg(2048)->Unit(benchmark::kMillisecond);
BENCHMARK(factor)->Arg(4096)->Unit(benchmark::kMillisecond);
BENCHMARK(trace)->Args({1024, 4096})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solve, gptq, "gptq", {})->Args({4096, 4096})->Args({1024, 14336})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(solve, gptq_no_clip, "gptq", {{"clip", "none"}})->Args({4096, 4096})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace advisor
