// Bytes per second of each kernel on each SIMD target of this machine, beside memcpy in the same run: memcpy of the
// same working set is the speed that a kernel cannot beat. bytes_per_second counts the float32 (or code) input, and for
// the conversions the 16-bit side, which is what the disk sees.
#include <benchmark/benchmark.h>

#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tensor/kernels/kernels.h"

namespace {

using namespace advisor;

/// 1 MiB of float32: larger than the first-level cache, as in a job, and still inside the second or third.
constexpr std::size_t elements = 256 << 10;
constexpr std::size_t group = 128;

struct Data {
  std::vector<float> values, out;
  std::vector<std::byte> halves;
  std::vector<std::int8_t> codes;
  std::vector<std::uint8_t> nibbles;
  std::vector<std::uint32_t> words;
};

Data& data() {
  static Data d = [] {
    Data made{std::vector<float>(elements),         std::vector<float>(elements),
              std::vector<std::byte>(2 * elements), std::vector<std::int8_t>(elements),
              std::vector<std::uint8_t>(elements),  std::vector<std::uint32_t>(elements / 8)};
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0F, 0.02F);  // about what weights look like
    for (float& v : made.values) v = normal(random);
    for (auto& n : made.nibbles) n = static_cast<std::uint8_t>(random() & 15U);
    kernels::from_f32(DType::bf16, made.values, made.halves);
    kernels::pack(made.nibbles, 4, made.words);
    return made;
  }();
  return d;
}

struct Kernel {
  std::string name;
  std::size_t bytes;  ///< counted per call
  std::function<void(Data&)> run;
};

/// Calls `body` for each group of 128, as techniques do.
void by_group(Data& d, const std::function<void(std::span<float>, std::span<std::int8_t>)>& body) {
  for (std::size_t i = 0; i < elements; i += group) {
    body(std::span(d.values).subspan(i, group), std::span(d.codes).subspan(i, group));
  }
}

std::vector<Kernel> all_kernels() {
  const std::size_t wide = 4 * elements, half = 2 * elements;
  return {
      {"bf16_to_f32", half, [](Data& d) { kernels::to_f32(DType::bf16, d.halves, d.out); }},
      {"f16_to_f32", half, [](Data& d) { kernels::to_f32(DType::f16, d.halves, d.out); }},
      {"f32_to_bf16", half, [](Data& d) { kernels::from_f32(DType::bf16, d.values, d.halves); }},
      {"f32_to_f16", half, [](Data& d) { kernels::from_f32(DType::f16, d.values, d.halves); }},
      {"min_max_g128", wide,
       [](Data& d) { by_group(d, [](auto x, auto) { benchmark::DoNotOptimize(kernels::min_max(x)); }); }},
      {"quantize_g128", wide,
       [](Data& d) { by_group(d, [](auto x, auto q) { kernels::quantize(x, 0.005F, 0, -8, 7, q); }); }},
      {"dequantize", elements, [](Data& d) { kernels::dequantize(d.codes, 0.005F, 0, d.out); }},
      {"quantization_error_g128", wide,
       [](Data& d) {
         by_group(d, [](auto x, auto) { benchmark::DoNotOptimize(kernels::quantization_error(x, 0.005F, 0, -8, 7)); });
       }},
      {"pack4", elements, [](Data& d) { kernels::pack(d.nibbles, 4, d.words); }},
      {"unpack4", elements, [](Data& d) { kernels::unpack(d.words, 4, d.nibbles); }},
  };
}

void run_memcpy(benchmark::State& state) {
  Data& d = data();
  for (auto _ : state) {
    std::memcpy(d.out.data(), d.values.data(), elements * sizeof(float));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * elements * sizeof(float)));
}

void run_kernel(benchmark::State& state, const Kernel& kernel, const std::string& target) {
  Data& d = data();
  kernels::set_target(target);
  for (auto _ : state) {
    kernel.run(d);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * kernel.bytes));
  kernels::set_target("");
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::RegisterBenchmark("memcpy", run_memcpy);
  for (const Kernel& kernel : all_kernels()) {
    for (const std::string& target : kernels::targets()) {
      benchmark::RegisterBenchmark((kernel.name + "/" + target).c_str(),
                                   [kernel, target](benchmark::State& state) { run_kernel(state, kernel, target); });
    }
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
