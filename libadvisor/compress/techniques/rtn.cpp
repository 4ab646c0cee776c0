// Round to nearest: each weight becomes the closest level of its group's grid; no calibration data.
// Optional clip search: the range of a group is shrunk by p = 1 ... clip_floor in clip_points equal steps and the p
// with the least squared error is kept (p = 1 on ties), as the memoryless MSE observer of llm-compressor does with 20
// points down to 0.80; the exponent here is 2, so that the result is never worse than p = 1 in the norm that is
// verified.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "compress/scheme.h"
#include "compress/technique.h"
#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

constexpr std::array kParams{
    TechniqueParam{"range", "full|restricted", "full",
                   "symmetric scale: absmax / ((2^b - 1) / 2) (compressed-tensors) or absmax / (2^(b-1) - 1)"},
    TechniqueParam{"clip", "none|mse", "none", "search the clipping of each group that has the least squared error"},
    TechniqueParam{"clip_floor", "<number in [0.05, 1)>", "0.80",
                   "smallest fraction of the range that the search tries"},
    TechniqueParam{"clip_points", "<integer in [1, 1000]>", "20", "steps of the search from 1 to clip_floor"},
};

struct Options {
  ScaleRange range = ScaleRange::full;
  std::vector<double> shrinks{1.0};  ///< fractions of the range to try, 1 first
};

template <typename T>
T number(const TechniqueParams& params, const std::string& key, T low, T high) {
  const std::string& text = params.at(key);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= low && value <= high))
    throw Error(ErrorCode::invalid_argument, "parameter " + key + " is '" + text + "'; it must be a number from " +
                                                 std::to_string(low) + " to " + std::to_string(high));
  return value;
}

Options read_options(const TechniqueParams& given) {
  const TechniqueParams params = complete_params(rtn_technique, given);
  Options options;
  if (params.at("range") == "restricted") options.range = ScaleRange::restricted;
  const double floor = number<double>(params, "clip_floor", 0.05, 0.999);
  const int points = number<int>(params, "clip_points", 1, 1000);
  if (params.at("clip") == "mse")
    for (int i = 1; i <= points; ++i) options.shrinks.push_back(1 - (1 - floor) * i / points);
  return options;
}

void check(const QuantScheme& scheme, const TechniqueParams& params) {
  if (scheme.bits < 2 || scheme.bits > 8)
    throw Error(ErrorCode::unsupported, "rtn quantizes to 2 to 8 bits, not " + std::to_string(scheme.bits));
  if (scheme.group < 0)
    throw Error(ErrorCode::invalid_argument, "group size " + std::to_string(scheme.group) + " is negative");
  if (read_options(params).range == ScaleRange::restricted && !scheme.symmetric)
    throw Error(ErrorCode::invalid_argument,
                "range=restricted is a convention of symmetric schemes; " + scheme.id() + " is asymmetric");
}

std::int64_t group_size(std::int64_t in, const QuantScheme& scheme) {
  const std::int64_t group = scheme.group == 0 ? in : scheme.group;
  if (in <= 0 || group <= 0 || in % group != 0)
    throw Error(ErrorCode::invalid_argument,
                "group size " + std::to_string(scheme.group) + " does not divide " + std::to_string(in) + " inputs");
  return group;
}

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// Grids of all groups of rows [n, in] without clipping, in order.
struct Grids {
  std::vector<kernels::Range> ranges;
  std::vector<float> scales;
  std::vector<int> zeros;
};

Grids min_max_grids(std::span<const float> rows, std::size_t group, const QuantScheme& scheme, ScaleRange convention,
                    DType scale_dtype) {
  Grids grids;
  const std::size_t count = rows.size() / group;
  grids.ranges.resize(count);
  std::vector<double> ideal(count);
  for (std::size_t g = 0; g < count; ++g) {
    grids.ranges[g] = kernels::min_max(rows.subspan(g * group, group));
    ideal[g] = ideal_scale(grids.ranges[g], 1, scheme, convention);
  }
  grids.scales = stored_scales(ideal, scale_dtype);
  grids.zeros.resize(count);
  for (std::size_t g = 0; g < count; ++g) grids.zeros[g] = zero_point(grids.ranges[g], 1, grids.scales[g], scheme);
  return grids;
}

/// The best of all shrinks for one group.
Grid search_clip(std::span<const float> x, kernels::Range range, const QuantScheme& scheme, const Options& options,
                 DType scale_dtype) {
  std::vector<double> ideal(options.shrinks.size());
  std::ranges::transform(options.shrinks, ideal.begin(),
                         [&](double p) { return ideal_scale(range, p, scheme, options.range); });
  const std::vector<float> scales = stored_scales(ideal, scale_dtype);
  Grid best;
  double least = 0;
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const int zero = zero_point(range, options.shrinks[i], scales[i], scheme);
    const double error = kernels::quantization_error(x, scales[i], zero, scheme.qmin(), scheme.qmax());
    if (i == 0 || error < least) {
      best = {scales[i], zero};
      least = error;
    }
  }
  return best;
}

QuantizedTensor quantize(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme,
                         const TechniqueParams& params, DType scale_dtype) {
  check(scheme, params);
  const Options options = read_options(params);
  const std::size_t group = to_size(group_size(in, scheme));
  check_finite(rows, in);
  Grids grids = min_max_grids(rows, group, scheme, options.range, scale_dtype);

  QuantizedTensor q;
  q.rows = static_cast<std::int64_t>(rows.size()) / in;
  q.cols = in;
  q.scheme = scheme;
  q.codes.resize(rows.size());
  for (std::size_t g = 0; g < grids.scales.size(); ++g) {
    const auto x = rows.subspan(g * group, group);
    if (options.shrinks.size() > 1) {
      const Grid best = search_clip(x, grids.ranges[g], scheme, options, scale_dtype);
      grids.scales[g] = best.scale;
      grids.zeros[g] = best.zero;
    }
    kernels::quantize(x, grids.scales[g], grids.zeros[g], scheme.qmin(), scheme.qmax(),
                      std::span(q.codes).subspan(g * group, group));
  }
  q.scales = std::move(grids.scales);
  if (!scheme.symmetric) {
    q.zeros.resize(grids.zeros.size());
    std::ranges::transform(grids.zeros, q.zeros.begin(), [](int zero) { return static_cast<std::int8_t>(zero); });
  }
  return q;
}

/// Sum over groups of g times the square of the largest rounding error: the mean square of uniform rounding is
/// step^2 / 12, the largest step^2 / 4, so a sound result lies near 1 / sqrt(3) of the bound. The search never does
/// worse than p = 1, so one bound serves both.
double bound(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme, const TechniqueParams& params,
             DType scale_dtype) {
  const std::size_t group = to_size(group_size(in, scheme));
  const Grids grids = min_max_grids(rows, group, scheme, read_options(params).range, scale_dtype);
  double sum = 0;
  for (std::size_t g = 0; g < grids.scales.size(); ++g) {
    const double worst = error_bound(grids.ranges[g], {grids.scales[g], grids.zeros[g]}, scheme);
    sum += static_cast<double>(group) * worst * worst;
  }
  return sum;
}

}  // namespace

const TechniqueImpl rtn_technique{"rtn", false, kParams, check, quantize, bound};

}  // namespace advisor
