// Round-to-nearest in memory, one core: bytes per second of bf16 source, per scheme. What disk and formats add is
// measured by stream.sh.
#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "compress/technique.h"

namespace advisor {
namespace {

void quantize(benchmark::State& state, const QuantScheme& scheme, const TechniqueParams& params) {
  constexpr std::int64_t rows = 64, in = 4096;  // one tile of a compression job
  std::vector<float> weights(static_cast<std::size_t>(rows * in));
  std::mt19937 generator(1);
  std::normal_distribution<float> distribution(0, 0.02f);
  for (float& w : weights) w = distribution(generator);
  for (auto _ : state)
    benchmark::DoNotOptimize(find_technique("rtn").quantize(weights, in, scheme, params, DType::bf16));
  state.SetBytesProcessed(state.iterations() * rows * in * size_of(DType::bf16));
}

BENCHMARK_CAPTURE(quantize, W8A16_channel, QuantScheme{8, true, 0, 16}, {});
BENCHMARK_CAPTURE(quantize, W8A16_g128, QuantScheme{8, true, 128, 16}, {});
BENCHMARK_CAPTURE(quantize, W4A16_g128, QuantScheme{4, true, 128, 16}, {});
BENCHMARK_CAPTURE(quantize, W4A16_g128_asym, QuantScheme{4, false, 128, 16}, {});
BENCHMARK_CAPTURE(quantize, W4A16_g32, QuantScheme{4, true, 32, 16}, {});
BENCHMARK_CAPTURE(quantize, W4A16_g128_mse, QuantScheme{4, true, 128, 16}, TechniqueParams{{"clip", "mse"}});

}  // namespace
}  // namespace advisor
