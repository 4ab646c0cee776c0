// Round to nearest: each weight becomes the closest level of its group's grid; no calibration data.
// Optional clip search: the range of a group is shrunk by p = 1 ... clip_floor in clip_points equal steps and the p
// with the least squared error is kept (p = 1 on ties), as the memoryless MSE observer of llm-compressor does with 20
// points down to 0.80; the exponent here is 2, so that the result is never worse than p = 1 in the norm that is
// verified. With statistics of the input the error of each column counts by the mean square of its input, which is the
// output error of the layer if its inputs are uncorrelated.
#include "compress/techniques/grids.h"
#include "core/error.h"

namespace advisor {
namespace {

constexpr auto kParams = grid_params("none");

GridOptions read_options(const TechniqueParams& given) {
  return read_grid_options(complete_params(rtn_technique, given));
}

void check(const QuantScheme& scheme, const TechniqueParams& params) {
  check_grid_scheme("rtn", scheme, read_options(params));
}

QuantizedTensor quantize(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme,
                         const TechniqueParams& params, DType scale_dtype) {
  check(scheme, params);
  if (scheme.block_rows == 0 || scheme.scale == ScaleType::e4m3)
    throw Error(ErrorCode::unsupported, scheme.id() + " has a scale for the whole matrix: it cannot be cut into tiles");
  group_size(in, scheme);
  check_finite(rows, in);
  const GridOptions options = read_options(params);
  return encode(rows, in, scheme, GridChooser(scheme, options, scale_dtype).choose(rows, in));
}

Solution solve(std::span<const float> rows, std::int64_t in, const LayerStats* stats, const QuantScheme& scheme,
               const TechniqueParams& params, DType scale_dtype, int threads) {
  check(scheme, params);
  const GridOptions options = read_options(params);
  group_size(in, scheme);
  std::span<const float> importance;
  const Tensor* gram = nullptr;
  if (stats != nullptr) {
    const bool with_gram = options.output && stats->gram.size() != 0;
    check_stats(*stats, in, with_gram ? Needs::gram : Needs::importance);
    importance = stats->mean_square;
    if (with_gram) gram = &stats->gram;
  }
  check_finite(rows, in);
  GridChooser chooser(scheme, options, scale_dtype, importance, gram);
  return {round_to_nearest(rows, in, scheme, chooser, threads), {}};
}

/// Sum over groups of g times the square of the largest rounding error: the mean square of uniform rounding is
/// step^2 / 12, the largest step^2 / 4, so a sound result lies near 1 / sqrt(3) of the bound. The search never does
/// worse than p = 1, so one bound serves both.
double bound(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme, const TechniqueParams& params,
             DType scale_dtype) {
  const auto group = static_cast<std::size_t>(group_size(in, scheme));
  GridOptions options = read_options(params);
  options.shrinks = {1.0};
  const Grids grids = GridChooser(scheme, options, scale_dtype).choose(rows, in);
  const std::size_t groups = static_cast<std::size_t>(in) / group;
  std::vector<kernels::Range> ranges(rows.size() / group);
  kernels::min_max(rows, group, ranges);
  double sum = 0;
  for (std::size_t at = 0; at < ranges.size(); ++at) {
    const std::size_t slot = at / groups / static_cast<std::size_t>(scheme.block_rows) * groups + at % groups;
    const double worst = error_bound(ranges[at], {grids.scales[slot], grids.zeros[slot]}, scheme);
    sum += static_cast<double>(group) * worst * worst;
  }
  return sum;
}

}  // namespace

const TechniqueImpl rtn_technique{"rtn", Needs::nothing, kParams, check, quantize, bound, solve};

}  // namespace advisor
