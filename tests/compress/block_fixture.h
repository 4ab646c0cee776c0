// A decoder block of random weights with the statistics of its inputs, for tests of block transforms.
#pragma once

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "compress/stats_fixture.h"
#include "compress/technique.h"
#include "tensor/kernels/kernels.h"

namespace advisor::testing {

struct BlockCase {
  std::int64_t kv_heads = 2;
  int experts = 0;
  bool norm_plus_one = false;
};

/// hidden 64, 4 heads of 16, intermediate 96 (32 an expert). Norms have a few large columns, as trained models do.
class RandomBlock {
 public:
  explicit RandomBlock(const BlockCase& kind, unsigned seed = 1) : seed_(seed) {
    config.hidden = 64;
    config.heads = 4;
    config.kv_heads = kind.kv_heads;
    config.head_dim = 16;
    config.intermediate = 96;
    config.layers = 1;
    config.max_context = 64;
    architecture.norm_plus_one = kind.norm_plus_one;
    weights.attention_norm = norm("attention_norm");
    weights.mlp_norm = norm("mlp_norm");
    const std::int64_t q = 64, kv = kind.kv_heads * 16;
    weights.qkv = linear(64, {{"q", 0, q}, {"k", q, kv}, {"v", q + kv, kv}});
    weights.qkv.bias = Tensor({q + 2 * kv});
    std::ranges::copy(normal_values(q + 2 * kv, ++seed_), weights.qkv.bias.data());
    weights.attention_out = linear(64, {{"o", 0, 64}});
    if (kind.experts == 0) {
      weights.gate_up = linear(64, {{"gate", 0, 96}, {"up", 96, 96}});
      weights.down = linear(96, {{"down", 0, 64}});
    } else {
      architecture.router = "router";
      architecture.expert_prefix = "experts.";
      config.experts = kind.experts;
      config.experts_per_token = 2;
      config.expert_intermediate = 32;
      weights.router = linear(64, {{"router", 0, kind.experts}});
      for (int e = 0; e < kind.experts; ++e) {
        const std::string name = "experts." + std::to_string(e);
        weights.experts.push_back(
            {linear(64, {{name + ".gate", 0, 32}, {name + ".up", 32, 32}}), linear(32, {{name + ".down", 0, 64}})});
      }
    }
    for (int s = 0; s < 12; ++s) {
      Tensor x({24, 64});
      std::ranges::copy(normal_values(x.size(), ++seed_), x.data());
      sequences.push_back(std::move(x));
    }
    collect();
  }

  /// Output of the block for all sequences.
  std::vector<float> run() const {
    std::vector<float> all;
    for (const Tensor& sequence : sequences) {
      Tensor x = copy(sequence);
      forward_block(config, architecture, 0, weights, x);
      all.insert(all.end(), x.span().begin(), x.span().end());
    }
    return all;
  }

  BlockTask task(const QuantScheme& scheme, DType dense = DType::bf16, int threads = 1) {
    return {config,
            architecture,
            weights,
            stats,
            [scheme](const std::string& name) {
              return name == "router" ? std::nullopt : std::optional<QuantScheme>(scheme);
            },
            DType::bf16,
            dense,
            threads};
  }

  /// Statistics of all inputs, taken anew.
  void collect() {
    stats = {};
    for (const Tensor& sequence : sequences) {
      Tensor x = copy(sequence);
      forward_block(config, architecture, 0, weights, x,
                    [&](Site site, const float* rows, std::int64_t n, std::int64_t cols, std::int64_t ld) {
                      if (site.kind == SiteKind::cached_keys || site.kind == SiteKind::cached_values) return;
                      for (std::int64_t r = 0; r < n; ++r)
                        add(stats.sites[{site.kind, site.expert}], rows + r * ld, cols);
                    });
    }
    for (auto& [site, s] : stats.sites) {
      const auto tokens = static_cast<float>(s.tokens);
      for (float& v : s.gram.span()) v /= tokens;
      for (float& v : s.mean_abs) v /= tokens;
      for (float& v : s.mean_square) v /= tokens;
    }
  }

  ModelConfig config;
  Architecture architecture{.id = "Test"};
  BlockWeights weights;
  BlockStats stats;
  std::vector<Tensor> sequences;

 private:
  static Tensor copy(const Tensor& from) {
    Tensor to(from.shape());
    std::ranges::copy(from.span(), to.data());
    return to;
  }

  static void add(LayerStats& s, const float* x, std::int64_t cols) {
    if (s.tokens++ == 0) {
      s.gram = Tensor({cols, cols});
      for (auto* moments : {&s.mean_square, &s.mean_abs, &s.abs_max})
        moments->assign(static_cast<std::size_t>(cols), 0);
    }
    for (std::int64_t i = 0; i < cols; ++i) {
      const auto at = static_cast<std::size_t>(i);
      s.mean_abs[at] += std::abs(x[i]);
      s.mean_square[at] += x[i] * x[i];
      s.abs_max[at] = std::max(s.abs_max[at], std::abs(x[i]));
      for (std::int64_t j = 0; j < cols; ++j) s.gram.row(i)[static_cast<std::size_t>(j)] += x[i] * x[j];
    }
  }

  Norm norm(const std::string& name) {
    Tensor weight({64});
    std::ranges::copy(normal_values(64, ++seed_, 0.3f), weight.data());
    for (std::int64_t i = 0; i < 64; ++i) weight.data()[i] = std::abs(weight.data()[i]) + (i % 13 == 5 ? 8.0f : 0.3f);
    kernels::round_to(DType::bf16, weight.span());
    return {name, std::move(weight)};
  }

  Linear linear(std::int64_t in, std::vector<Part> parts) {
    const std::int64_t out = parts.back().begin + parts.back().rows;
    Linear l{Tensor({out, in}), {}, std::move(parts)};
    std::ranges::copy(normal_values(out * in, ++seed_, 1 / std::sqrt(static_cast<float>(in))), l.weight.data());
    return l;
  }

  unsigned seed_;
};

}  // namespace advisor::testing
