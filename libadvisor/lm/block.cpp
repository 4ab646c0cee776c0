#include "lm/block.h"

#include <algorithm>
#include <cmath>

#include "lm/attention.h"
#include "lm/mlp.h"
#include "lm/rope.h"
#include "tensor/linalg.h"

namespace advisor {
namespace {

/// y = x / sqrt(mean(x^2) + eps) * weight (Zhang & Sennrich 2019, eq. 4) for `groups` stretches of weight.size()
/// elements in each of `rows` rows. y may be x.
void rms_norm(const Architecture& architecture, double eps, const Tensor& weight, const float* x, std::int64_t rows,
              std::int64_t ld, std::int64_t groups, float* y, std::int64_t ld_y) {
  std::span<const float> w = weight.span();
  float plus = architecture.norm_plus_one ? 1.0F : 0.0F;
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const float* in = x + r * ld + g * weight.size();
      float* out = y + r * ld_y + g * weight.size();
      double sum = 0;
      for (std::size_t c = 0; c < w.size(); ++c) {
        sum += static_cast<double>(in[c]) * static_cast<double>(in[c]);
      }
      auto scale = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(w.size()) + eps));
      for (std::size_t c = 0; c < w.size(); ++c) {
        out[c] = in[c] * scale * (plus + w[c]);
      }
    }
  }
}

/// What every step of one block's forward pass needs.
class Pass {
 public:
  Pass(const ModelConfig& config, const Architecture& architecture, std::int64_t layer, const BlockWeights& weights,
       const Rows& rows, const Observe& observe, std::optional<SiteKind> until)
      : config_(config),
        architecture_(architecture),
        layer_(layer),
        weights_(weights),
        rows_(rows),
        observe_(observe),
        until_(until) {}

  /// Both return false when `until` was reached.
  bool attention(Tensor& x) const {
    std::int64_t n = rows_.count(), q = config_.heads * config_.head_dim, kv = config_.kv_heads * config_.head_dim;
    Tensor qkv({n, q + 2 * kv}), attended({n, q});
    {
      Tensor normed({n, config_.hidden});
      norm(weights_.attention_norm, x, normed);
      if (!show(SiteKind::attention_in, normed)) {
        return false;
      }
      apply(weights_.qkv, n, normed.data(), config_.hidden, false, qkv.data(), qkv.cols());
    }
    norm_heads(weights_.query_norm, config_.heads, qkv, 0);
    norm_heads(weights_.key_norm, config_.kv_heads, qkv, q);
    rotate(qkv);
    if (!show(SiteKind::cached_keys, qkv, q, kv) || !show(SiteKind::cached_values, qkv, q + kv, kv)) {
      return false;
    }
    attend(config_, layer_, rows_, qkv, attended);
    if (!show(SiteKind::attention_out, attended)) {
      return false;
    }
    add(weights_.post_attention_norm, x,
        [&](Tensor& out) { apply(weights_.attention_out, n, attended.data(), q, true, out.data(), config_.hidden); });
    return true;
  }

  bool mlp(Tensor& x) const {
    Tensor normed({rows_.count(), config_.hidden});
    norm(weights_.mlp_norm, x, normed);
    if (!show(SiteKind::mlp_in, normed)) {
      return false;
    }
    add(weights_.post_mlp_norm, x, [&](Tensor& out) { add_mlp(config_, weights_, normed, observe_, until_, out); });
    return true;
  }

 private:
  bool show(SiteKind kind, const Tensor& x) const { return show(kind, x, 0, x.cols()); }

  /// `cols` columns of x from `begin` on.
  bool show(SiteKind kind, const Tensor& x, std::int64_t begin, std::int64_t cols) const {
    if (observe_) {
      observe_({kind}, x.data() + begin, x.rows(), cols, x.cols());
    }
    return until_ != kind;
  }

  void norm(const Norm& by, const Tensor& x, Tensor& out) const {
    rms_norm(architecture_, config_.rms_norm_eps, by.weight, x.data(), x.rows(), x.cols(), 1, out.data(), x.cols());
  }

  void norm_heads(const Norm& by, std::int64_t heads, Tensor& qkv, std::int64_t column) const {
    if (by.weight.size() != 0) {
      float* x = qkv.data() + column;
      rms_norm(architecture_, config_.rms_norm_eps, by.weight, x, qkv.rows(), qkv.cols(), heads, x, qkv.cols());
    }
  }

  void rotate(Tensor& qkv) const {
    std::int64_t length = 1 + *std::ranges::max_element(rows_.position);
    Rope rope = rope_of(config_, layer_, length);
    for (std::int64_t r = 0; r < rows_.count(); ++r) {
      rope.rotate(qkv.row(r).data(), rows_.position[static_cast<std::size_t>(r)], config_.heads + config_.kv_heads,
                  config_.head_dim);
    }
  }

  /// x += norm(branch), where `branch` adds to what it is given; straight into x when there is no norm.
  template <typename Branch>
  void add(const Norm& by, Tensor& x, Branch branch) const {
    if (by.weight.size() == 0) {
      return branch(x);
    }
    Tensor out(x.shape());
    std::ranges::fill(out.span(), 0.0F);
    branch(out);
    norm(by, out, out);
    std::ranges::transform(x.span(), out.span(), x.span().begin(), std::plus<>());
  }

  const ModelConfig& config_;
  const Architecture& architecture_;
  std::int64_t layer_;
  const BlockWeights& weights_;
  const Rows& rows_;
  const Observe& observe_;
  std::optional<SiteKind> until_;
};

}  // namespace

Rows::Rows(std::int64_t prefix_rows) : prefix(prefix_rows), branch(static_cast<std::size_t>(prefix_rows), 0) {
  for (std::int64_t i = 0; i < prefix_rows; ++i) {
    position.push_back(i);
  }
}

void Rows::add_branch(std::int64_t rows) {
  std::int64_t start = count();
  for (std::int64_t i = 0; i < rows; ++i) {
    position.push_back(prefix + i);
    branch.push_back(start);
  }
}

void forward_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                   const BlockWeights& weights, Tensor& x, const Observe& observe, std::optional<SiteKind> until) {
  forward_block(config, architecture, layer, weights, Rows(x.rows()), x, observe, until);
}

void forward_block(const ModelConfig& config, const Architecture& architecture, std::int64_t layer,
                   const BlockWeights& weights, const Rows& rows, Tensor& x, const Observe& observe,
                   std::optional<SiteKind> until) {
  if (rows.count() == 0) {
    return;
  }
  Pass pass(config, architecture, layer, weights, rows, observe, until);
  if (pass.attention(x)) {
    pass.mlp(x);
  }
}

Tensor embed(const ModelConfig& config, const Architecture& architecture, const Tensor& embedding,
             std::span<const std::int32_t> ids) {
  Tensor x({static_cast<std::int64_t>(ids.size()), config.hidden});
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    std::ranges::copy(embedding.row(ids[static_cast<std::size_t>(r)]), x.row(r).begin());
  }
  if (architecture.scaled_embedding) {
    auto scale = static_cast<float>(std::sqrt(static_cast<double>(config.hidden)));
    for (float& value : x.span()) {
      value *= scale;
    }
  }
  return x;
}

Tensor head_logits(const ModelConfig& config, const Architecture& architecture, const OuterWeights& outer,
                   const Tensor& x, std::int64_t begin, std::int64_t end) {
  std::int64_t n = end - begin, hidden = config.hidden;
  Tensor normed({n, hidden}), out({n, config.vocab});
  rms_norm(architecture, config.rms_norm_eps, outer.final_norm.weight, x.row(begin).data(), n, hidden, 1, normed.data(),
           hidden);
  linalg::gemm_nt(n, config.vocab, hidden, 1, normed.data(), hidden, outer.head().data(), hidden, 0, out.data(),
                  config.vocab);
  if (config.logit_cap > 0) {
    auto cap = static_cast<float>(config.logit_cap);
    for (float& value : out.span()) {
      value = cap * std::tanh(value / cap);
    }
  }
  return out;
}

}  // namespace advisor
