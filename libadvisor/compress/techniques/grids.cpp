#include "compress/techniques/grids.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "tensor/kernels/kernels.h"
#include "tensor/linalg.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

constexpr auto e4m3 = kernels::FloatCode::e4m3;
/// Beyond it the blocks of the Gram matrix cost more than GPTQ does; errors then count by the importance of inputs.
constexpr std::size_t largest_output_group = 512;

/// sum importance * (x - rounded x)^2 for integers; the sums of one group are short, so float lanes are enough.
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

/// Rows that are worked on together: fixed, so that the cut does not depend on the number of threads, and whole blocks.
std::int64_t rows_at_a_time(const QuantScheme& scheme, std::int64_t rows) {
  constexpr std::int64_t usual = 64;
  if (scheme.block_rows == 0) return rows;
  return (usual + scheme.block_rows - 1) / scheme.block_rows * scheme.block_rows;
}

/// Errors of rounding a group of one row, of any kind of code.
void rounding_errors(const QuantScheme& scheme, std::span<const float> x, float scale, int zero, std::span<float> e) {
  std::array<std::int8_t, 256> codes;
  for (std::size_t begin = 0; begin < x.size(); begin += codes.size()) {
    const std::size_t count = std::min(codes.size(), x.size() - begin);
    const auto part = std::span(codes).first(count);
    quantize_values(scheme, x.subspan(begin, count), scale, zero, part);
    dequantize_values(scheme, part, scale, zero, e.subspan(begin, count));
    for (std::size_t i = begin; i < begin + count; ++i) e[i] = x[i] - e[i];
  }
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
  options.output = params.at("clip") == "output";
  if (params.at("clip") != "none")
    for (int i = 1; i <= points; ++i) options.shrinks.push_back(1 - (1 - floor) * i / points);
  return options;
}

void check_grid_scheme(std::string_view technique, const QuantScheme& scheme, const GridOptions& options) {
  if (!scheme.code && (scheme.bits < 2 || scheme.bits > 8))
    throw Error(ErrorCode::unsupported,
                std::string(technique) + " quantizes to 2 to 8 bits, not " + std::to_string(scheme.bits));
  if (scheme.group < 0)
    throw Error(ErrorCode::invalid_argument, "group size " + std::to_string(scheme.group) + " is negative");
  if (options.range == ScaleRange::restricted && (!scheme.symmetric || scheme.code))
    throw Error(ErrorCode::invalid_argument,
                "range=restricted is a convention of symmetric integers; " + scheme.id() + " is not one of them");
}

std::int64_t group_size(std::int64_t in, const QuantScheme& scheme) {
  const std::int64_t group = scheme.group == 0 ? in : scheme.group;
  if (in <= 0 || group <= 0 || in % group != 0)
    throw Error(ErrorCode::invalid_argument,
                "group size " + std::to_string(scheme.group) + " does not divide " + std::to_string(in) + " inputs");
  return group;
}

void GridChooser::set_tensor_scale(std::span<const float> matrix) {
  if (scheme_.scale != ScaleType::e4m3) return;
  const kernels::Range range = kernels::min_max(matrix);
  const float largest = std::max(-range.min, range.max);
  // The largest group then has the largest scale that e4m3 can hold (NVFP4).
  tensor_scale_ = largest == 0 ? 1 : largest / (kernels::largest(*scheme_.code) * kernels::largest(e4m3));
  // Some formats store the reciprocal (compressed-tensors): the reciprocal of a float survives that bit for bit.
  const float stored = 1 / tensor_scale_;
  if (std::isfinite(stored)) tensor_scale_ = 1 / stored;
}

std::vector<float> GridChooser::stored(std::span<const double> ideal) const {
  if (scheme_.scale == ScaleType::dense) return stored_scales(ideal, scale_dtype_);
  std::vector<float> scales(ideal.size(), 1.0f);
  for (std::size_t i = 0; i < ideal.size(); ++i) {
    if (ideal[i] == 0) continue;
    if (scheme_.scale == ScaleType::e8m0) {
      // OCP Microscaling, section 6.3: the exponent of the largest value less that of the largest code.
      const double largest = double{kernels::largest(*scheme_.code)};
      const int exponent = std::ilogb(ideal[i] * largest) - std::ilogb(largest);
      scales[i] = std::ldexp(1.0f, std::clamp(exponent, -126, 127));  // GPUs flush what is below
      continue;
    }
    const auto x = static_cast<float>(ideal[i] / double{tensor_scale_});
    std::int8_t code = 0;
    kernels::quantize(e4m3, {&x, 1}, 1, {&code, 1});
    code = std::max<std::int8_t>(code, 1);  // 0 would lose the group
    kernels::dequantize(e4m3, {&code, 1}, 1, {&scales[i], 1});
  }
  return scales;
}

void GridChooser::add_errors(std::span<const float> rows, std::int64_t in, const Grids& grids,
                             std::span<double> errors) const {
  const std::size_t group = to_size(group_size(in, scheme_)), groups = to_size(in) / group;
  const std::size_t block = scheme_.block_rows == 0 ? rows.size() / to_size(in) : to_size(scheme_.block_rows);
  std::vector<float> e(group);
  for (std::size_t at = 0; at < rows.size() / group; ++at) {
    const std::size_t slot = at / groups / block * groups + at % groups;
    const auto x = rows.subspan(at * group, group);
    const float scale = grids.scales[slot] * grids.tensor_scale;
    if (importance_.empty()) {
      errors[slot] += quantization_error(scheme_, x, scale, grids.zeros[slot]);
      continue;
    }
    const auto importance = importance_.subspan(at % groups * group, group);
    if (!scheme_.code) {
      errors[slot] += weighted_error(x, importance, scale, grids.zeros[slot], scheme_.qmin(), scheme_.qmax());
      continue;
    }
    rounding_errors(scheme_, x, scale, 0, e);
    for (std::size_t i = 0; i < group; ++i) errors[slot] += double{importance[i] * (e[i] * e[i])};
  }
}

void GridChooser::add_output_errors(std::span<const float> rows, std::int64_t in, const Grids& grids,
                                    std::span<double> errors) const {
  const std::int64_t group = group_size(in, scheme_), groups = in / group;
  const std::int64_t n = static_cast<std::int64_t>(rows.size()) / in;
  const std::int64_t block = scheme_.block_rows == 0 ? n : scheme_.block_rows;
  std::vector<float> e(rows.size()), product(to_size(n * group));
  for (std::int64_t at = 0; at < n * groups; ++at) {
    const std::size_t slot = to_size(at / groups / block * groups + at % groups), begin = to_size(at * group);
    rounding_errors(scheme_, rows.subspan(begin, to_size(group)), grids.scales[slot] * grids.tensor_scale,
                    grids.zeros[slot], std::span(e).subspan(begin, to_size(group)));
  }
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t column = g * group;
    linalg::gemm(n, group, group, 1, e.data() + column, in, gram_->data() + column * in + column, in, 0, product.data(),
                 group);
    for (std::int64_t r = 0; r < n; ++r) {
      const float *p = product.data() + r * group, *x = e.data() + r * in + column;
      double sum = 0;
      for (std::int64_t i = 0; i < group; ++i) sum += double{p[i]} * double{x[i]};
      errors[to_size(r / block * groups + g)] += sum;
    }
  }
}

Grids GridChooser::choose(std::span<const float> rows, std::int64_t in) const {
  const std::size_t group = to_size(group_size(in, scheme_)), groups = to_size(in) / group;
  const std::int64_t n = static_cast<std::int64_t>(rows.size()) / in;
  const std::size_t block = scheme_.block_rows == 0 ? to_size(n) : to_size(scheme_.block_rows);
  const std::size_t slots = to_size(scheme_.blocks(n)) * groups;
  std::vector<kernels::Range> ranges(slots), parts(rows.size() / group);
  kernels::min_max(rows, group, parts);
  for (std::size_t at = 0; at < parts.size(); ++at) {
    const kernels::Range range = parts[at];
    kernels::Range& whole = ranges[at / groups / block * groups + at % groups];
    const bool first = at / groups % block == 0;
    whole = first ? range : kernels::Range{std::min(whole.min, range.min), std::max(whole.max, range.max)};
  }
  Grids best;
  std::vector<double> least, ideal(slots);
  for (const double shrink : options_.shrinks) {
    std::ranges::transform(ranges, ideal.begin(), [&](kernels::Range range) {
      if (!scheme_.code) return ideal_scale(range, shrink, scheme_, options_.range);
      return double{std::max(-range.min, range.max)} * shrink / double{kernels::largest(*scheme_.code)};
    });
    Grids grids{stored(ideal), std::vector<int>(slots, 0), tensor_scale_};
    if (!scheme_.symmetric && !scheme_.code)
      for (std::size_t i = 0; i < slots; ++i) grids.zeros[i] = zero_point(ranges[i], shrink, grids.scales[i], scheme_);
    if (options_.shrinks.size() == 1) return grids;
    std::vector<double> errors(slots);
    if (options_.output && gram_ != nullptr && group <= largest_output_group)
      add_output_errors(rows, in, grids, errors);
    else
      add_errors(rows, in, grids, errors);
    if (least.empty()) {
      best = std::move(grids);
      least = std::move(errors);
      continue;
    }
    for (std::size_t i = 0; i < slots; ++i)
      if (errors[i] < least[i]) {
        least[i] = errors[i];
        best.scales[i] = grids.scales[i];
        best.zeros[i] = grids.zeros[i];
      }
  }
  return best;
}

Grids GridChooser::choose_all(std::span<const float> matrix, std::int64_t in, int threads) {
  set_tensor_scale(matrix);
  const std::int64_t rows = static_cast<std::int64_t>(matrix.size()) / in, step = rows_at_a_time(scheme_, rows);
  std::vector<Grids> parts(rows == 0 ? 0 : to_size((rows + step - 1) / step));
  parallel_for(static_cast<std::int64_t>(parts.size()), threads, [&](std::int64_t i) {
    const std::int64_t begin = i * step, end = std::min(begin + step, rows);
    parts[to_size(i)] = choose(matrix.subspan(to_size(begin * in), to_size((end - begin) * in)), in);
  });
  Grids all;
  all.tensor_scale = tensor_scale_;
  for (const Grids& part : parts) {
    all.scales.insert(all.scales.end(), part.scales.begin(), part.scales.end());
    all.zeros.insert(all.zeros.end(), part.zeros.begin(), part.zeros.end());
  }
  return all;
}

QuantizedTensor encode(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme, Grids grids) {
  const std::size_t group = to_size(group_size(in, scheme)), groups = to_size(in) / group;
  QuantizedTensor q;
  q.rows = static_cast<std::int64_t>(rows.size()) / in;
  q.cols = in;
  q.scheme = scheme;
  q.codes.resize(rows.size());
  const std::size_t block = scheme.block_rows == 0 ? to_size(q.rows) : to_size(scheme.block_rows);
  for (std::size_t at = 0; at < rows.size() / group; ++at) {
    const std::size_t slot = at / groups / block * groups + at % groups;
    quantize_values(scheme, rows.subspan(at * group, group), grids.scales[slot] * grids.tensor_scale, grids.zeros[slot],
                    std::span(q.codes).subspan(at * group, group));
  }
  q.scales = std::move(grids.scales);
  q.tensor_scale = grids.tensor_scale;
  if (!scheme.symmetric && !scheme.code) {
    q.zeros.resize(grids.zeros.size());
    std::ranges::transform(grids.zeros, q.zeros.begin(), [](int zero) { return static_cast<std::int8_t>(zero); });
  }
  return q;
}

QuantizedTensor round_to_nearest(std::span<const float> matrix, std::int64_t in, const QuantScheme& scheme,
                                 GridChooser& chooser, int threads) {
  Grids grids = chooser.choose_all(matrix, in, threads);
  const std::int64_t rows = static_cast<std::int64_t>(matrix.size()) / in, step = rows_at_a_time(scheme, rows);
  const std::int64_t groups = in / group_size(in, scheme);
  QuantizedTensor q = encode({}, in, scheme, std::move(grids));
  q.rows = rows;
  q.codes.resize(matrix.size());
  parallel_for(rows == 0 ? 0 : (rows + step - 1) / step, threads, [&](std::int64_t i) {
    const std::int64_t begin = i * step, end = std::min(begin + step, rows);
    for (std::int64_t r = begin; r < end; ++r)
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::int64_t block = scheme.block_rows == 0 ? 0 : r / scheme.block_rows;
        const std::size_t slot = to_size(block * groups + g), at = to_size(r * in + g * (in / groups));
        quantize_values(scheme, matrix.subspan(at, to_size(in / groups)), q.scales[slot] * q.tensor_scale,
                        q.zeros.empty() ? 0 : q.zeros[slot], std::span(q.codes).subspan(at, to_size(in / groups)));
      }
  });
  return q;
}

}  // namespace advisor
