// How long a job will take, measured on its own first tile.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "compress/output.h"
#include "compress/plan.h"
#include "compress/tiles.h"

namespace advisor {
namespace {

template <typename F>
double seconds_of(const F& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// The largest matrix is where the time goes.
const TensorInfo* largest(const Checkpoint& source) {
  const auto& tensors = source.tensors();
  const auto it = std::ranges::max_element(tensors, {}, [](const TensorInfo& t) { return t.bytes; });
  return it == tensors.end() ? nullptr : &*it;
}

}  // namespace

double estimate_seconds(const PreparedJob& job) {
  const TensorInfo* tensor = largest(*job.source);
  if (tensor == nullptr || tensor->bytes == 0) return 0;
  const Matrix matrix = as_matrix(*tensor);
  const std::int64_t rows = std::min(matrix.rows, tile_rows(matrix));
  std::vector<float> tile(static_cast<std::size_t>(rows * matrix.cols));
  const double read = std::min(seconds_of([&] { job.source->read_rows(*tensor, 0, rows, tile); }),
                               seconds_of([&] { job.source->read_rows(*tensor, 0, rows, tile); }));
  // A damaged tile is the job's to report, with the tensor's name; here it only has to be timed.
  std::ranges::replace_if(
      tile, [](float x) { return !std::isfinite(x); }, 0.0f);
  // Formats that encode by themselves do about the work of rounding to int4 in groups; so does verification's bound.
  const TechniqueImpl& technique = job.technique != nullptr ? *job.technique : rtn_technique;
  QuantScheme scheme = job.scheme.value_or(QuantScheme{4, true, 0, 16});
  if (scheme.group != 0 && matrix.cols % scheme.group != 0) scheme.group = 0;
  const TechniqueParams params = complete_params(technique, job.params);
  double quantize = 0;
  for (int i = 0; i < 2; ++i) {  // the first run warms caches and the dispatch
    const double t = seconds_of([&] { technique.quantize(tile, matrix.cols, scheme, params, DType::f32); });
    quantize = i == 0 ? t : std::min(quantize, t);
  }
  // Compress: one read, one quantization and encoding per output. Verify: two reads and a comparison per output.
  const double per_tile = read + static_cast<double>(job.outputs.size()) * (quantize + 4 * read);
  const double tiles =
      static_cast<double>(job.plan.source_bytes) /
      (static_cast<double>(tensor->bytes) * static_cast<double>(rows) / static_cast<double>(matrix.rows));
  const double rate = disk_rate(job.out.parent_path());
  const double writing = rate > 0 ? static_cast<double>(job.plan.output_bytes) / rate : 0;
  return tiles * per_tile / job.threads + writing;
}

}  // namespace advisor
