// AWQ (Lin et al. 2023, arXiv:2306.00978): before rounding, each input column of a layer is multiplied by a scale and
// what produces the input is divided by it. Columns with large inputs then lose less. The scale of column j is
// s_j = a_j^r (a: mean |x_j|) or, with w_j the mean relative size of its weights, a_j^r / w_j^(1 - r); r is searched on
// a grid. One vector of scales serves all layers that read the input.
//
// The loss of a candidate is the output error of those layers with the rounding of the scheme, from the Gram matrix:
// sum tr(E G E^T), E = W - round(W s) / s. It costs o i^2 flop a candidate, whatever the number of tokens. Where GPTQ
// follows, most of that error will be compensated, and scales that are best for rounding are not best for what is left:
// there the loss is sum R_jj^2 E_j^2 (gptq.h), which needs one factorization and then only the rounding.
#include <algorithm>
#include <cmath>
#include <optional>

#include "compress/techniques/fold.h"
#include "compress/techniques/gptq.h"
#include "compress/techniques/grids.h"
#include "compress/techniques/output_error.h"
#include "compress/techniques/params.h"
#include "core/error.h"
#include "core/units.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

constexpr std::array search_params{
    TechniqueParam{"scaling", "activation|duo|both", "both",
                   "candidates of scales: powers of the inputs, divided by powers of the weights (duo), or both"},
    TechniqueParam{"search_points", "<integer in [1, 100]>", "20", "exponents tried between 0 and 1"},
    TechniqueParam{"search_rows", "<integer in [64, 1000000]>", "1024",
                   "rows of a matrix that the search looks at, evenly spaced"},
};

struct Options {
  GridOptions grid;
  std::optional<TechniqueParams> gptq{};  ///< its parameters, where it follows
  bool activation = true, duo = true;
  int points = 20;
  std::int64_t rows = 1024;
};

Options read_options(const TechniqueParams& params) {
  Options options;
  options.grid = read_grid_options(params);
  // The search rounds without clipping, which would multiply its cost; clipping comes after it, as in the authors'
  // code.
  options.grid.shrinks = {1.0};
  options.activation = params.at("scaling") != "duo";
  options.duo = params.at("scaling") != "activation";
  options.points = read_integer(params, "search_points", 1, 100);
  options.rows = read_integer(params, "search_rows", 64, 1000000);
  return options;
}

std::size_t to_size(std::int64_t n) { return static_cast<std::size_t>(n); }

/// The rows of one stored tensor that the search looks at.
struct Sample {
  std::vector<float> weights;  ///< [rows, in]
  QuantScheme scheme;
  const LayerStats* stats;
  double importance;            ///< of a unit of its mean error
  std::vector<float> pivots{};  ///< [in], where GPTQ follows
};

std::vector<Sample> take_samples(const BlockTask& task, const FoldPlace& place, const Options& options) {
  std::vector<Sample> samples;
  const std::int64_t in = place.inputs();
  for (const Reader& reader : place.readers) {
    std::vector<float> pivots;
    for (const Part& part : reader.linear->parts) {
      const auto scheme = task.scheme_of(part.name);
      if (!scheme || reader.stats->tokens == 0) continue;
      if (options.gptq && pivots.empty()) pivots = gptq_pivots(*reader.stats, *scheme, *options.gptq, task.threads);
      const std::int64_t rows = std::min(part.rows, options.rows);
      Sample& sample = samples.emplace_back();
      sample.scheme = *scheme;
      sample.stats = reader.stats;
      sample.pivots = pivots;
      // Mean over the tokens of this input, weighted by how many there were: experts see fewer.
      sample.importance =
          static_cast<double>(reader.stats->tokens) * static_cast<double>(part.rows) / static_cast<double>(rows);
      sample.weights.reserve(to_size(rows * in));
      for (std::int64_t r = 0; r < rows; ++r) {
        const auto row = reader.linear->weight.row(part.begin + r * part.rows / rows);
        sample.weights.insert(sample.weights.end(), row.begin(), row.end());
      }
    }
  }
  return samples;
}

/// Mean over rows of |w| / (largest |w| of its group): how much of its group's range a column uses.
std::vector<double> relative_weights(std::span<const Sample> samples, std::int64_t in) {
  std::vector<double> mean(to_size(in));
  double rows = 0;
  for (const Sample& sample : samples) {
    const std::size_t group = to_size(group_size(in, sample.scheme));
    for (std::size_t begin = 0; begin < sample.weights.size(); begin += group) {
      float largest = 0;
      for (std::size_t i = begin; i < begin + group; ++i) largest = std::max(largest, std::abs(sample.weights[i]));
      if (largest == 0) continue;
      for (std::size_t i = begin; i < begin + group; ++i)
        mean[i % to_size(in)] += std::abs(double{sample.weights[i]}) / double{largest};
    }
    rows += static_cast<double>(sample.weights.size()) / static_cast<double>(in);
  }
  for (double& m : mean) m /= rows;
  return mean;
}

double weighted_sum(std::span<const float> errors, std::span<const float> weights) {
  double sum = 0;
  for (std::size_t i = 0; i < errors.size(); ++i)
    sum += double{weights[i % weights.size()]} * double{errors[i]} * double{errors[i]};
  return sum;
}

/// Output error of all samples when their columns are scaled before rounding.
double loss(std::span<const Sample> samples, std::span<const float> scales, const Options& options, DType scale_dtype,
            int threads) {
  double sum = 0;
  const auto in = static_cast<std::int64_t>(scales.size());
  for (const Sample& sample : samples) {
    std::vector<float> scaled(sample.weights.size()), errors(scaled.size());
    for (std::size_t i = 0; i < scaled.size(); ++i) scaled[i] = sample.weights[i] * scales[i % scales.size()];
    GridChooser chooser(sample.scheme, options.grid, scale_dtype);
    dequantize(round_to_nearest(scaled, in, sample.scheme, chooser, threads), errors);
    for (std::size_t i = 0; i < scaled.size(); ++i) errors[i] = (scaled[i] - errors[i]) / scales[i % scales.size()];
    sum += sample.importance * (sample.pivots.empty() ? gram_trace(errors, sample.stats->gram, threads)
                                                      : weighted_sum(errors, sample.pivots));
  }
  return sum;
}

/// Around 1: the largest times the smallest becomes 1. Neither may leave what float32 norms and weights can carry.
std::vector<float> normalised(const FoldPlace& place, std::span<const double> raw) {
  const auto [low, high] = std::ranges::minmax(raw);
  const double middle = std::sqrt(low * high);
  std::vector<float> scales(raw.size());
  std::ranges::transform(raw, scales.begin(),
                         [&](double s) { return static_cast<float>(std::clamp(s / middle, 1e-4, 1e4)); });
  tie_scales(place, scales);
  return scales;
}

/// Returns the scales with the least loss; all 1 when nothing is better.
std::vector<float> search(const BlockTask& task, const FoldPlace& place, const Options& options) {
  const std::int64_t in = place.inputs();
  std::vector<float> best(to_size(in), 1.0f);
  const std::vector<Sample> samples = take_samples(task, place, options);
  if (samples.empty()) return best;
  const std::vector<double> relative = relative_weights(samples, in);
  const std::vector<float>& mean_abs = place.readers.front().stats->mean_abs;
  double least = loss(samples, best, options, task.scale_dtype, task.threads);
  const auto attempt = [&](double ratio, bool duo) {
    std::vector<double> raw(to_size(in));
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const double weight = duo ? std::pow(relative[i], 1 - ratio) + 1e-4 : 1;  // 1e-4: llm-compressor
      raw[i] = std::max(1e-4, std::pow(double{mean_abs[i]}, ratio) / weight);   // 1e-4: the authors' code
    }
    std::vector<float> scales = normalised(place, raw);
    const double error = loss(samples, scales, options, task.scale_dtype, task.threads);
    if (error < least) {
      least = error;
      best = std::move(scales);
    }
  };
  for (int k = 1; k <= options.points; ++k) {
    const double ratio = static_cast<double>(k) / options.points;
    if (options.activation) attempt(ratio, false);
    if (options.duo) attempt(ratio, true);
  }
  return best;
}

std::vector<std::string> transform(const BlockTask& task, const TechniqueParams& given,
                                   const TechniqueImpl& technique) {
  Options options = read_options(complete_params(technique, given));
  if (&technique == &awq_gptq_technique) options.gptq = shared_params(gptq_technique, technique, given);
  std::vector<std::string> notes;
  // Scales of an input follow from weights that earlier places may have changed: up rows are divided for down after
  // their own columns were scaled for the norm.
  for (const FoldPlace& place : fold_places(task)) {
    const std::string& name = place.readers.front().linear->parts.front().name;
    if (place.readers.front().stats->tokens == 0) {
      notes.push_back(name + ": no token reached it in calibration, its columns were not scaled");
      continue;
    }
    for (const Reader& reader : place.readers)
      if (reader.stats->tokens != 0) check_stats(*reader.stats, place.inputs(), Needs::gram);
    const std::vector<float> scales = search(task, place, options);
    if (std::ranges::any_of(scales, [](float s) { return s != 1; })) apply_fold(task, place, scales);
  }
  return notes;
}

/// The rows that the search looks at; scaled, rounded, and what they lose by it.
std::int64_t search_memory(std::int64_t rows, std::int64_t in, const TechniqueParams& params, int) {
  constexpr std::int64_t bytes_per_weight = 4 + 4 + 1 + 4, most_parts = 3;  // query, key and value
  return std::min(rows, most_parts * read_options(params).rows) * in * bytes_per_weight;
}

std::int64_t awq_gptq_memory(std::int64_t rows, std::int64_t in, const TechniqueParams& params, int threads) {
  return std::max(search_memory(rows, in, params, threads), gptq_technique.memory(rows, in, params, threads));
}

// As the authors, half of the range in steps of a twentieth at least, by the output error of the group: what the scales
// protect would be lost to clipping that does not know the inputs.
constexpr auto awq_params = concatenate(grid_params("output", "0.50", "20"), search_params);

void check_awq(const QuantScheme& scheme, const TechniqueParams& given) {
  const TechniqueParams params = complete_params(awq_technique, given);
  check_grid_scheme("awq", scheme, read_grid_options(params));
  read_options(params);
}

Solution solve_awq(std::span<const float> weights, std::int64_t in, const LayerStats* stats, const QuantScheme& scheme,
                   const TechniqueParams& params, DType scale_dtype, int threads) {
  check_awq(scheme, params);
  return rtn_technique.solve(weights, in, stats, scheme, shared_params(rtn_technique, awq_technique, params),
                             scale_dtype, threads);
}

constexpr auto awq_gptq_params = concatenate(gptq_params, search_params);

void check_awq_gptq(const QuantScheme& scheme, const TechniqueParams& params) {
  gptq_technique.check(scheme, shared_params(gptq_technique, awq_gptq_technique, params));
  read_options(complete_params(awq_gptq_technique, params));
}

Solution solve_awq_gptq(std::span<const float> weights, std::int64_t in, const LayerStats* stats,
                        const QuantScheme& scheme, const TechniqueParams& params, DType scale_dtype, int threads) {
  return gptq_technique.solve(weights, in, stats, scheme, shared_params(gptq_technique, awq_gptq_technique, params),
                              scale_dtype, threads);
}

}  // namespace

const TechniqueImpl awq_technique{
    "awq",
    Needs::gram,
    awq_params,
    check_awq,
    nullptr,
    nullptr,
    solve_awq,
    [](const BlockTask& task, const TechniqueParams& params) { return transform(task, params, awq_technique); },
    search_memory};

const TechniqueImpl awq_gptq_technique{
    "awq+gptq",
    Needs::gram,
    awq_gptq_params,
    check_awq_gptq,
    nullptr,
    nullptr,
    solve_awq_gptq,
    [](const BlockTask& task, const TechniqueParams& params) { return transform(task, params, awq_gptq_technique); },
    awq_gptq_memory};

}  // namespace advisor
