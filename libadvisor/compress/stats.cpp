#include "compress/stats.h"

#include <cmath>
#include <string>

#include "core/error.h"

namespace advisor {

LayerStats importance_only(std::span<const float> mean_square) {
  LayerStats stats;
  stats.tokens = 1;  // of how many it is the mean does not matter
  stats.mean_square.assign(mean_square.begin(), mean_square.end());
  return stats;
}

LayerStats& BlockStats::at(Site site) {
  const auto found = sites.find({site.kind, site.expert});
  if (found == sites.end())
    throw Error(ErrorCode::internal, "an input of the block has no statistics (site " +
                                         std::to_string(static_cast<int>(site.kind)) + ", expert " +
                                         std::to_string(site.expert) + ")");
  return found->second;
}

void check_stats(const LayerStats& stats, std::int64_t in, Needs needs) {
  if (needs == Needs::nothing) return;
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::invalid_argument,
                "the calibration statistics of an input of " + std::to_string(in) + " values " + what);
  };
  if (stats.tokens <= 0) refuse("saw no token");
  if (stats.mean_square.size() != static_cast<std::size_t>(in))
    refuse("hold " + std::to_string(stats.mean_square.size()) + " mean squares");
  for (std::size_t i = 0; i < stats.mean_square.size(); ++i)
    if (!(stats.mean_square[i] >= 0) || std::isinf(stats.mean_square[i]))
      refuse("hold the mean square " + std::to_string(stats.mean_square[i]) + " at input " + std::to_string(i));
  if (needs != Needs::gram) return;
  if (stats.gram.shape() != std::vector<std::int64_t>{in, in}) refuse("hold no Gram matrix of that size");
  for (std::int64_t i = 0; i < in; ++i) {
    const float square = stats.gram.row(i)[static_cast<std::size_t>(i)];
    if (!(square >= 0) || std::isinf(square))
      refuse("hold " + std::to_string(square) + " on the diagonal of the Gram matrix, at input " + std::to_string(i));
  }
}

void divide_inputs(LayerStats& stats, std::span<const float> scales) {
  const auto expect = [&](std::size_t size) {
    if (size != 0 && size != scales.size())
      throw Error(ErrorCode::invalid_argument, "statistics of " + std::to_string(size) +
                                                   " inputs cannot be divided by " + std::to_string(scales.size()) +
                                                   " scales");
  };
  expect(static_cast<std::size_t>(stats.gram.cols()));
  for (auto* values : {&stats.mean_square, &stats.mean_abs, &stats.abs_max}) expect(values->size());
  for (std::size_t i = 0; i < stats.mean_square.size(); ++i) stats.mean_square[i] /= scales[i] * scales[i];
  for (std::size_t i = 0; i < stats.mean_abs.size(); ++i) stats.mean_abs[i] /= scales[i];
  for (std::size_t i = 0; i < stats.abs_max.size(); ++i) stats.abs_max[i] /= scales[i];
  for (std::int64_t i = 0; stats.gram.size() != 0 && i < stats.gram.rows(); ++i) {
    const auto row = stats.gram.row(i);
    // One divisor for (i, j) and (j, i): the matrix stays symmetric to the last bit.
    for (std::size_t j = 0; j < row.size(); ++j) row[j] /= scales[static_cast<std::size_t>(i)] * scales[j];
  }
}

}  // namespace advisor
