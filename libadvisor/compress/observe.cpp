#include "compress/observe.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
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
    if (site.kind == SiteKind::cached_keys || site.kind == SiteKind::cached_values) return;
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

float largest(const float* rows, std::int64_t n, std::int64_t cols, std::int64_t ld) {
  float most = 0;
  for (std::int64_t r = 0; r < n; ++r)
    for (std::int64_t c = 0; c < cols; ++c) most = std::max(most, std::fabs(rows[r * ld + c]));
  return most;
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

std::vector<Layer> layers_of(BlockWeights& block) {
  std::vector<Layer> layers;
  const auto add = [&](Linear& linear, SiteKind kind, int expert = -1) {
    if (linear.weight.size() != 0) layers.push_back({&linear, {kind, expert}});
  };
  add(block.qkv, SiteKind::attention_in);
  add(block.attention_out, SiteKind::attention_out);
  add(block.gate_up, SiteKind::mlp_in);
  add(block.router, SiteKind::mlp_in);
  add(block.down, SiteKind::down_in);
  for (std::size_t e = 0; e < block.experts.size(); ++e) {
    add(block.experts[e].gate_up, SiteKind::expert_in, static_cast<int>(e));
    add(block.experts[e].down, SiteKind::expert_down_in, static_cast<int>(e));
  }
  return layers;
}

void embed_sequences(const Checkpoint& model, const std::vector<std::vector<std::int32_t>>& sequences, int threads,
                     Activations& activations) {
  const ModelConfig& config = model.config();
  const Architecture& architecture = find_architecture(config.architecture);
  const TensorInfo* table = model.find(architecture.embedding);
  if (table == nullptr)
    throw Error(ErrorCode::not_found, "the model lacks the tensor " + std::string(architecture.embedding));
  std::map<std::int32_t, std::int32_t> place;
  for (const auto& sequence : sequences)
    for (const std::int32_t id : sequence) {
      if (id < 0 || id >= config.vocab)
        throw Error(ErrorCode::invalid_argument, "the tokenizer gives id " + std::to_string(id) +
                                                     ", outside the vocabulary of " + std::to_string(config.vocab));
      place.emplace(id, static_cast<std::int32_t>(place.size()));
    }
  Tensor used({static_cast<std::int64_t>(place.size()), config.hidden});
  for (const auto& [id, row] : place) model.read_rows(*table, id, id + 1, used.row(row));
  parallel_for(activations.size(), threads, [&](std::int64_t i) {
    std::vector<std::int32_t> rows;
    for (const std::int32_t id : sequences[static_cast<std::size_t>(i)]) rows.push_back(place.at(id));
    activations.write(i, embed(config, architecture, used, rows));
  });
}

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

CacheRange advance_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                         const BlockWeights& block, Activations& activations, int threads,
                         const std::function<void()>& each) {
  const std::int64_t batch = std::max(1, threads);
  std::vector<CacheRange> ranges(static_cast<std::size_t>(activations.size()));
  for (std::int64_t begin = 0; begin < activations.size(); begin += batch) {
    parallel_for(std::min(batch, activations.size() - begin), threads, [&](std::int64_t i) {
      CacheRange& range = ranges[static_cast<std::size_t>(begin + i)];
      Tensor x = activations.read(begin + i);
      forward_block(config, architecture, layer, block, x,
                    [&](Site site, const float* rows, std::int64_t n, std::int64_t cols, std::int64_t ld) {
                      if (site.kind == SiteKind::cached_keys) range.key = largest(rows, n, cols, ld);
                      if (site.kind == SiteKind::cached_values) range.value = largest(rows, n, cols, ld);
                    });
      activations.write(begin + i, std::move(x));
    });
    each();
  }
  CacheRange all;
  for (const CacheRange& range : ranges) all = {std::max(all.key, range.key), std::max(all.value, range.value)};
  return all;
}

}  // namespace advisor
