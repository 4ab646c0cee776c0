#include "compress/techniques/grids.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/error.h"
#include "tensor/kernels/kernels.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// sum importance * (x - rounded x)^2; the sums of one group are short, so float lanes are enough.
double weighted_error(std::span<const float> x, std::span<const float> importance, float scale, int zero, int qmin,
                      int qmax) {
  constexpr float rounder = 0x1.8p23F;  // adding it rounds half to even: |r| is at most 2^8
  const auto low = static_cast<float>(qmin - zero), high = static_cast<float>(qmax - zero);
  std::array<float, 16> lanes{};
  const std::size_t whole = x.size() / lanes.size() * lanes.size();
  const auto error = [&](std::size_t i) {
    const float r = std::min(std::max(x[i] / scale, low), high);
    const float e = x[i] - ((r + rounder) - rounder) * scale;
    return importance[i] * (e * e);
  };
  for (std::size_t i = 0; i < whole; i += lanes.size())
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) lanes[lane] += error(i + lane);
  for (std::size_t i = whole; i < x.size(); ++i) lanes[i - whole] += error(i);
  double sum = 0;
  for (const float lane : lanes) sum += double{lane};
  return sum;
}

/// The best of all shrinks for one group.
Grid search_clip(std::span<const float> x, std::span<const float> importance, kernels::Range range,
                 const QuantScheme& scheme, const GridOptions& options, DType scale_dtype) {
  std::vector<double> ideal(options.shrinks.size());
  std::ranges::transform(options.shrinks, ideal.begin(),
                         [&](double p) { return ideal_scale(range, p, scheme, options.range); });
  const std::vector<float> scales = stored_scales(ideal, scale_dtype);
  Grid best;
  double least = 0;
  for (std::size_t i = 0; i < scales.size(); ++i) {
    const int zero = zero_point(range, options.shrinks[i], scales[i], scheme);
    const double error = importance.empty()
                             ? kernels::quantization_error(x, scales[i], zero, scheme.qmin(), scheme.qmax())
                             : weighted_error(x, importance, scales[i], zero, scheme.qmin(), scheme.qmax());
    if (i == 0 || error < least) {
      best = {scales[i], zero};
      least = error;
    }
  }
  return best;
}

}  // namespace

TechniqueParams shared_params(const TechniqueImpl& inner, const TechniqueImpl& technique,
                              const TechniqueParams& given) {
  TechniqueParams params = complete_params(technique, given);
  std::erase_if(params, [&](const auto& entry) {
    return std::ranges::find(inner.params, entry.first, &TechniqueParam::id) == inner.params.end();
  });
  return params;
}

double read_number(const TechniqueParams& params, const std::string& key, double low, double high) {
  const std::string& text = params.at(key);
  double value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !(value >= low && value <= high))
    throw Error(ErrorCode::invalid_argument, "parameter " + key + " is '" + text + "'; it must be a number from " +
                                                 std::to_string(low) + " to " + std::to_string(high));
  return value;
}

int read_integer(const TechniqueParams& params, const std::string& key, int low, int high) {
  const std::string& text = params.at(key);
  int value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high)
    throw Error(ErrorCode::invalid_argument, "parameter " + key + " is '" + text + "'; it must be an integer from " +
                                                 std::to_string(low) + " to " + std::to_string(high));
  return value;
}

GridOptions read_grid_options(const TechniqueParams& params) {
  GridOptions options;
  if (params.at("range") == "restricted") options.range = ScaleRange::restricted;
  const double floor = read_number(params, "clip_floor", 0.05, 0.999);
  const int points = read_integer(params, "clip_points", 1, 1000);
  if (params.at("clip") == "mse")
    for (int i = 1; i <= points; ++i) options.shrinks.push_back(1 - (1 - floor) * i / points);
  return options;
}

void check_grid_scheme(std::string_view technique, const QuantScheme& scheme, const GridOptions& options) {
  if (scheme.code)
    throw Error(ErrorCode::unsupported, std::string(technique) + " rounds to integers only, not to " + scheme.id());
  if (scheme.bits < 2 || scheme.bits > 8)
    throw Error(ErrorCode::unsupported,
                std::string(technique) + " quantizes to 2 to 8 bits, not " + std::to_string(scheme.bits));
  if (scheme.group < 0)
    throw Error(ErrorCode::invalid_argument, "group size " + std::to_string(scheme.group) + " is negative");
  if (options.range == ScaleRange::restricted && !scheme.symmetric)
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

Grids choose_grids(std::span<const float> values, std::size_t group, const QuantScheme& scheme,
                   const GridOptions& options, std::span<const float> importance, DType scale_dtype) {
  const std::size_t count = values.size() / group;
  std::vector<kernels::Range> ranges(count);
  std::vector<double> ideal(count);
  for (std::size_t g = 0; g < count; ++g) {
    ranges[g] = kernels::min_max(values.subspan(g * group, group));
    ideal[g] = ideal_scale(ranges[g], 1, scheme, options.range);
  }
  Grids grids;
  grids.scales = stored_scales(ideal, scale_dtype);
  grids.zeros.resize(count);
  for (std::size_t g = 0; g < count; ++g) {
    if (options.shrinks.size() > 1) {
      const auto weights = importance.empty() ? importance : importance.subspan(g * group % importance.size(), group);
      const Grid best = search_clip(values.subspan(g * group, group), weights, ranges[g], scheme, options, scale_dtype);
      grids.scales[g] = best.scale;
      grids.zeros[g] = best.zero;
    } else {
      grids.zeros[g] = zero_point(ranges[g], 1, grids.scales[g], scheme);
    }
  }
  return grids;
}

QuantizedTensor encode(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme, Grids grids) {
  const std::size_t group = to_size(group_size(in, scheme));
  QuantizedTensor q;
  q.rows = static_cast<std::int64_t>(rows.size()) / in;
  q.cols = in;
  q.scheme = scheme;
  q.codes.resize(rows.size());
  for (std::size_t g = 0; g < grids.scales.size(); ++g)
    kernels::quantize(rows.subspan(g * group, group), grids.scales[g], grids.zeros[g], scheme.qmin(), scheme.qmax(),
                      std::span(q.codes).subspan(g * group, group));
  q.scales = std::move(grids.scales);
  if (!scheme.symmetric) {
    q.zeros.resize(grids.zeros.size());
    std::ranges::transform(grids.zeros, q.zeros.begin(), [](int zero) { return static_cast<std::int8_t>(zero); });
  }
  return q;
}

void decode(const QuantizedTensor& q, std::span<float> rows) {
  const std::size_t group = to_size(group_size(q.cols, q.scheme));
  for (std::size_t g = 0; g < q.scales.size(); ++g)
    kernels::dequantize(std::span(q.codes).subspan(g * group, group), q.scales[g], q.zeros.empty() ? 0 : q.zeros[g],
                        rows.subspan(g * group, group));
}

QuantizedTensor by_row_blocks(std::span<const float> rows, std::int64_t in, int threads,
                              const std::function<QuantizedTensor(std::span<const float>)>& rows_of) {
  constexpr std::int64_t block = 64;  // rows: the cut must not depend on the number of threads
  const std::int64_t n = static_cast<std::int64_t>(rows.size()) / in;
  std::vector<QuantizedTensor> parts(to_size((n + block - 1) / block));
  parallel_for(static_cast<std::int64_t>(parts.size()), threads, [&](std::int64_t i) {
    const std::int64_t begin = i * block, end = std::min(begin + block, n);
    parts[to_size(i)] = rows_of(rows.subspan(to_size(begin * in), to_size((end - begin) * in)));
  });
  QuantizedTensor whole;
  for (QuantizedTensor& part : parts) {
    if (whole.rows == 0) {
      whole.cols = part.cols;
      whole.scheme = part.scheme;
      whole.codes.reserve(rows.size());
    }
    whole.rows += part.rows;
    whole.codes.insert(whole.codes.end(), part.codes.begin(), part.codes.end());
    whole.scales.insert(whole.scales.end(), part.scales.begin(), part.scales.end());
    whole.zeros.insert(whole.zeros.end(), part.zeros.begin(), part.zeros.end());
    part = {};
  }
  return whole;
}

}  // namespace advisor
