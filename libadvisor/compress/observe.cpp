#include "compress/observe.h"

#include <algorithm>
#include <cmath>

#include "tensor/linalg.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

using Key = std::pair<SiteKind, int>;
using Inputs = std::map<Key, Tensor>;

/// Inputs of one sequence, copied as they pass.
Inputs inputs_of(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                 const BlockWeights& block, Tensor x) {
  Inputs inputs;
  const Observe copy = [&](Site site, const float* rows, std::int64_t n, std::int64_t cols, std::int64_t ld) {
    Tensor& kept = inputs[{site.kind, site.expert}] = Tensor({n, cols});
    for (std::int64_t r = 0; r < n; ++r) std::copy_n(rows + r * ld, cols, kept.row(r).data());
  };
  forward_block(config, architecture, layer, block, x, copy);
  return inputs;
}

/// Adds the sums that need no matrix, column by column.
void add_moments(const Tensor& x, LayerStats& stats, std::int64_t begin, std::int64_t end) {
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    const auto row = x.row(r);
    for (auto c = static_cast<std::size_t>(begin); c < static_cast<std::size_t>(end); ++c) {
      const float a = std::fabs(row[c]);
      stats.mean_square[c] += a * a;
      stats.mean_abs[c] += a;
      stats.abs_max[c] = std::max(stats.abs_max[c], a);
    }
  }
}

void add(const Tensor& x, Needs needs, int threads, LayerStats& stats) {
  const std::int64_t in = x.cols();
  if (stats.mean_square.empty()) {
    for (auto* moment : {&stats.mean_square, &stats.mean_abs, &stats.abs_max})
      moment->assign(static_cast<std::size_t>(in), 0.0F);
    if (needs == Needs::gram) {
      stats.gram = Tensor({in, in});
      std::ranges::fill(stats.gram.span(), 0.0F);
    }
  }
  stats.tokens += x.rows();
  constexpr std::int64_t columns = 512;
  parallel_for((in + columns - 1) / columns, threads,
               [&](std::int64_t i) { add_moments(x, stats, i * columns, std::min((i + 1) * columns, in)); });
  if (needs == Needs::gram) linalg::add_gram(in, x.rows(), 1, x.data(), in, stats.gram.data(), in, threads);
}

void finish(LayerStats& stats) {
  if (stats.tokens == 0) return;
  const auto part = 1.0F / static_cast<float>(stats.tokens);
  for (float& v : stats.mean_square) v *= part;
  for (float& v : stats.mean_abs) v *= part;
  if (stats.gram.size() == 0) return;
  linalg::mirror_upper(stats.gram.rows(), stats.gram.data(), stats.gram.cols());
  for (float& v : stats.gram.span()) v *= part;
  for (std::size_t i = 0; i < stats.mean_square.size(); ++i)
    stats.mean_square[i] = stats.gram.row(static_cast<std::int64_t>(i))[i];
}

}  // namespace

BlockStats observe_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                         const BlockWeights& block, const Activations& activations, Needs needs, int threads,
                         const std::function<void()>& each) {
  BlockStats stats;
  const std::int64_t batch = std::max(1, threads);
  for (std::int64_t begin = 0; begin < activations.size(); begin += batch) {
    const std::int64_t count = std::min(batch, activations.size() - begin);
    std::vector<Inputs> inputs(static_cast<std::size_t>(count));
    parallel_for(count, threads, [&](std::int64_t i) {
      inputs[static_cast<std::size_t>(i)] = inputs_of(config, architecture, layer, block, activations.read(begin + i));
    });
    for (Inputs& sequence : inputs) {
      for (auto& [site, x] : sequence) add(x, needs, threads, stats.sites[site]);
      sequence.clear();
    }
    each();
  }
  for (auto& [site, each_stats] : stats.sites) finish(each_stats);
  return stats;
}

void advance_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                   const BlockWeights& block, Activations& activations, int threads,
                   const std::function<void()>& each) {
  const std::int64_t batch = std::max(1, threads);
  for (std::int64_t begin = 0; begin < activations.size(); begin += batch) {
    parallel_for(std::min(batch, activations.size() - begin), threads, [&](std::int64_t i) {
      Tensor x = activations.read(begin + i);
      forward_block(config, architecture, layer, block, x);
      activations.write(begin + i, std::move(x));
    });
    each();
  }
}

}  // namespace advisor
