#include "lm/mlp.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "tensor/linalg.h"

namespace advisor {
namespace {

constexpr const char* gelu_tanh = "gelu_pytorch_tanh";

/// Hendrycks & Gimpel 2016, section 2, the approximation by tanh.
float gelu(float x) {
  constexpr auto slope = static_cast<float>(std::numbers::sqrt2 * std::numbers::inv_sqrtpi);  // sqrt(2 / pi)
  return 0.5F * x * (1.0F + std::tanh(slope * (x + 0.044715F * x * x * x)));
}

/// act(gate) * up in the place of gate; gate_up is [n, 2 * inner].
void activate(const std::string& activation, std::int64_t n, std::int64_t inner, float* gate_up) {
  bool is_gelu = activation == gelu_tanh;
  for (std::int64_t r = 0; r < n; ++r) {
    float* gate = gate_up + r * 2 * inner;
    if (is_gelu) {
      for (std::int64_t i = 0; i < inner; ++i) {
        gate[i] = gelu(gate[i]) * gate[inner + i];
      }
    } else {
      for (std::int64_t i = 0; i < inner; ++i) {
        gate[i] = gate[i] / (1.0F + std::exp(-gate[i])) * gate[inner + i];
      }
    }
  }
}

struct Choice {
  std::int64_t row;
  float weight;
};

/// For each expert the rows that are sent to it: those of which it is among the experts_per_token most probable
/// (Shazeer et al. 2017, as Mixtral has it: softmax over all, then the largest).
std::vector<std::vector<Choice>> route(const ModelConfig& config, const Linear& router, const Tensor& x) {
  std::int64_t n = x.rows();
  auto experts = static_cast<std::size_t>(config.experts), top = static_cast<std::size_t>(config.experts_per_token);
  Tensor scores({n, config.experts});
  apply(router, n, x.data(), x.cols(), false, scores.data(), config.experts);
  std::vector<std::vector<Choice>> out(experts);
  std::vector<std::size_t> order(experts);
  for (std::int64_t r = 0; r < n; ++r) {
    std::span<float> p = scores.row(r);
    float max = *std::max_element(p.begin(), p.end());
    for (float& value : p) {
      value = std::exp(value - max);
    }
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::partial_sort(order.begin(), order.begin() + config.experts_per_token, order.end(),
                      [&](std::size_t a, std::size_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b); });
    float sum = 0;
    if (config.normalize_experts) {
      for (std::size_t i = 0; i < top; ++i) {
        sum += p[order[i]];
      }
    } else {
      sum = std::accumulate(p.begin(), p.end(), 0.0F);
    }
    for (std::size_t i = 0; i < top; ++i) {
      out[order[i]].push_back({r, p[order[i]] / sum});
    }
  }
  return out;
}

void add_experts(const ModelConfig& config, const BlockWeights& weights, const Tensor& x, const Observe& observe,
                 std::optional<SiteKind> until, Tensor& out) {
  std::int64_t hidden = config.hidden, inner = config.expert_intermediate;
  std::vector<std::vector<Choice>> routed = route(config, weights.router, x);
  for (std::size_t e = 0; e < routed.size(); ++e) {
    auto n = static_cast<std::int64_t>(routed[e].size());
    if (n == 0) {
      continue;
    }
    auto id = static_cast<int>(e);
    const Expert& expert = weights.experts[e];
    Tensor own({n, hidden}), gate_up({n, 2 * inner});
    for (std::int64_t i = 0; i < n; ++i) {
      std::ranges::copy(x.row(routed[e][static_cast<std::size_t>(i)].row), own.row(i).begin());
    }
    if (observe) {
      observe({SiteKind::expert_in, id}, own.data(), n, hidden, hidden);
    }
    if (until == SiteKind::expert_in) {
      continue;
    }
    apply(expert.gate_up, n, own.data(), hidden, false, gate_up.data(), 2 * inner);
    activate(config.activation, n, inner, gate_up.data());
    if (observe) {
      observe({SiteKind::expert_down_in, id}, gate_up.data(), n, inner, 2 * inner);
    }
    if (until == SiteKind::expert_down_in) {
      continue;
    }
    apply(expert.down, n, gate_up.data(), 2 * inner, false, own.data(), hidden);
    for (std::int64_t i = 0; i < n; ++i) {
      Choice choice = routed[e][static_cast<std::size_t>(i)];
      std::ranges::transform(own.row(i), out.row(choice.row), out.row(choice.row).begin(),
                             [&](float add, float sum) { return sum + choice.weight * add; });
    }
  }
}

}  // namespace

void apply(const Linear& linear, std::int64_t n, const float* x, std::int64_t ld, bool accumulate, float* out,
           std::int64_t ld_out) {
  std::int64_t rows = linear.weight.rows(), cols = linear.weight.cols();
  bool biased = linear.bias.size() != 0;
  if (biased) {
    std::span<const float> bias = linear.bias.span();
    for (std::int64_t r = 0; r < n; ++r) {
      for (std::int64_t i = 0; i < rows; ++i) {
        float& y = out[r * ld_out + i];
        y = (accumulate ? y : 0.0F) + bias[static_cast<std::size_t>(i)];
      }
    }
  }
  linalg::gemm_nt(n, rows, cols, 1, x, ld, linear.weight.data(), cols, biased || accumulate ? 1.0F : 0.0F, out, ld_out);
}

void add_mlp(const ModelConfig& config, const BlockWeights& weights, const Tensor& x, const Observe& observe,
             std::optional<SiteKind> until, Tensor& out) {
  if (weights.router.weight.size() != 0) {
    return add_experts(config, weights, x, observe, until, out);
  }
  std::int64_t n = x.rows(), inner = config.intermediate;
  Tensor gate_up({n, 2 * inner});
  apply(weights.gate_up, n, x.data(), config.hidden, false, gate_up.data(), 2 * inner);
  activate(config.activation, n, inner, gate_up.data());
  if (observe) {
    observe({SiteKind::down_in}, gate_up.data(), n, inner, 2 * inner);
  }
  if (until != SiteKind::down_in) {
    apply(weights.down, n, gate_up.data(), 2 * inner, true, out.data(), config.hidden);
  }
}

bool knows_activation(const std::string& activation) { return activation == "silu" || activation == gelu_tanh; }

}  // namespace advisor
