// SmoothQuant (Xiao et al. 2022, arXiv:2211.10438): moves the outliers of activations into the weights, so that both
// can be rounded to 8 bits: s_j = max|x_j|^alpha / max|w_j|^(1 - alpha), behind norms only, as the authors do.
#include <algorithm>
#include <cmath>

#include "compress/techniques/fold.h"
#include "compress/techniques/grids.h"
#include "compress/techniques/params.h"

namespace advisor {
namespace {

constexpr std::array own_params{
    TechniqueParam{"alpha", "<number in [0, 1]>", "0.5", "how much of the difficulty moves from inputs to weights"},
};
constexpr auto params_table = concatenate(grid_params("none"), own_params);

void check(const QuantScheme& scheme, const TechniqueParams& given) {
  const TechniqueParams params = complete_params(smoothquant_technique, given);
  check_grid_scheme("smoothquant", scheme, read_grid_options(params));
  read_number(params, "alpha", 0, 1);
}

Solution solve(std::span<const float> weights, std::int64_t in, const LayerStats* stats, const QuantScheme& scheme,
               const TechniqueParams& params, DType scale_dtype, int threads) {
  return rtn_technique.solve(weights, in, stats, scheme, shared_params(rtn_technique, smoothquant_technique, params),
                             scale_dtype, threads);
}

std::vector<float> smoothing_scales(const FoldPlace& place, double alpha) {
  const auto in = static_cast<std::size_t>(place.inputs());
  std::vector<float> weight(in, 0.0f), scales(in);
  for (const Reader& reader : place.readers)
    for (std::int64_t r = 0; r < reader.linear->weight.rows(); ++r) {
      const auto row = reader.linear->weight.row(r);
      for (std::size_t i = 0; i < in; ++i) weight[i] = std::max(weight[i], std::abs(row[i]));
    }
  const std::vector<float>& input = place.readers.front().stats->abs_max;
  for (std::size_t i = 0; i < in; ++i) {
    // 1e-5: the authors' floor, for columns without input or without weights
    const double x = std::max(1e-5, double{input[i]}), w = std::max(1e-5, double{weight[i]});
    scales[i] = static_cast<float>(std::max(1e-5, std::pow(x, alpha) / std::pow(w, 1 - alpha)));
  }
  return scales;
}

std::vector<std::string> transform(const BlockTask& task, const TechniqueParams& given) {
  const double alpha = read_number(complete_params(smoothquant_technique, given), "alpha", 0, 1);
  std::vector<std::string> notes;
  for (const FoldPlace& place : fold_places(task)) {
    if (place.fold.source != FoldSource::attention_norm && place.fold.source != FoldSource::mlp_norm) continue;
    const LayerStats& stats = *place.readers.front().stats;
    check_stats(stats, place.inputs(), Needs::importance);
    apply_fold(task, place, smoothing_scales(place, alpha));
  }
  return notes;
}

}  // namespace

const TechniqueImpl smoothquant_technique{"smoothquant", Needs::importance, params_table, check,
                                          nullptr,       nullptr,           solve,        transform};

}  // namespace advisor
