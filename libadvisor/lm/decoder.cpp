#include "lm/decoder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "lm/weights.h"
#include "tensor/linalg.h"

namespace advisor {
namespace {

/// Rows of queries (attention) and of logits that are held at once: bounds scratch memory, not the result's meaning.
constexpr std::int64_t block_rows = 64;

/// Tokens that go through the decoder together: a common prefix, then branches that continue it. A row sees the
/// prefix and the rows of its own branch up to itself.
struct Batch {
  std::vector<std::int32_t> ids;
  std::int64_t prefix = 0;
  std::vector<std::int64_t> position;
  std::vector<std::int64_t> branch;  ///< row at which the branch of this row starts; 0 in the prefix

  explicit Batch(std::span<const std::int32_t> tokens) : prefix(static_cast<std::int64_t>(tokens.size())) {
    for (std::int32_t id : tokens) {
      ids.push_back(id);
      position.push_back(rows() - 1);
      branch.push_back(0);
    }
  }
  std::int64_t rows() const { return static_cast<std::int64_t>(ids.size()); }
  void add_branch(std::span<const std::int32_t> tokens) {
    std::int64_t start = rows();
    for (std::int32_t id : tokens) {
      position.push_back(prefix + rows() - start);
      branch.push_back(start);
      ids.push_back(id);
    }
  }
};

/// y = x / sqrt(mean(x^2) + eps) * weight, row by row (Zhang & Sennrich 2019, eq. 4).
void rms_norm(const float* x, std::int64_t rows, std::span<const float> weight, double eps, float* y) {
  std::size_t cols = weight.size();
  for (std::int64_t r = 0; r < rows; ++r, x += cols, y += cols) {
    double sum = 0;
    for (std::size_t c = 0; c < cols; ++c) {
      sum += static_cast<double>(x[c]) * static_cast<double>(x[c]);
    }
    auto scale = static_cast<float>(1.0 / std::sqrt(sum / static_cast<double>(cols) + eps));
    for (std::size_t c = 0; c < cols; ++c) {
      y[c] = x[c] * scale * weight[c];
    }
  }
}

/// log softmax(logits)[target]
double log_probability(std::span<const float> logits, std::int32_t target) {
  float max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) {
    sum += static_cast<double>(std::exp(logit - max));
  }
  return static_cast<double>(logits[static_cast<std::size_t>(target)]) - static_cast<double>(max) - std::log(sum);
}

/// Softmax over [0, head) and [tail, end) of a row of `width` scores; everything else becomes 0.
void masked_softmax(float* row, std::int64_t head, std::int64_t tail, std::int64_t end, std::int64_t width) {
  float max = row[0];
  for (std::int64_t i = 0; i < head; ++i) {
    max = std::max(max, row[i]);
  }
  for (std::int64_t i = tail; i < end; ++i) {
    max = std::max(max, row[i]);
  }
  double sum = 0;
  auto raise = [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      row[i] = std::exp(row[i] - max);
      sum += static_cast<double>(row[i]);
    }
  };
  raise(0, head);
  raise(tail, end);
  auto scale = static_cast<float>(1.0 / sum);
  for (std::int64_t i = 0; i < end; ++i) {
    row[i] *= scale;
  }
  std::fill(row + head, row + std::max(head, tail), 0.0F);
  std::fill(row + end, row + width, 0.0F);
}

}  // namespace

struct Decoder::Impl {
  ModelConfig config;
  DecoderWeights weights;
  std::vector<double> inverse_frequency;  ///< [head_dim / 2], radians per position

  Impl(const Checkpoint& checkpoint, int threads);
  void check(const Batch& batch) const;
  void rotate(const Batch& batch, Tensor& qkv) const;
  void attend(const Batch& batch, const Tensor& qkv, Tensor& out) const;
  void attend_head(const Batch& batch, const Tensor& qkv, std::int64_t head, std::vector<float>& scores,
                   Tensor& out) const;
  Tensor run(const Batch& batch, std::vector<Tensor>* trace) const;
  Tensor head(const Tensor& x, std::int64_t begin, std::int64_t end) const;
};

Decoder::Impl::Impl(const Checkpoint& checkpoint, int threads)
    : config(checkpoint.config()), weights(load_weights(checkpoint, threads)) {
  for (std::int64_t i = 0; i < config.head_dim / 2; ++i) {
    // theta^(-2i/d), Su et al. 2021 (RoFormer), section 3.2.2
    inverse_frequency.push_back(
        std::pow(config.rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim)));
  }
}

void Decoder::Impl::check(const Batch& batch) const {
  for (std::int32_t id : batch.ids) {
    if (id < 0 || id >= config.vocab) {
      throw Error(ErrorCode::invalid_argument, "token id " + std::to_string(id) + " is outside the vocabulary of " +
                                                   std::to_string(config.vocab) + " of \"" + config.name + "\"");
    }
  }
  for (std::int64_t position : batch.position) {
    if (position >= config.max_context) {
      throw Error(ErrorCode::invalid_argument, "a sequence of " + std::to_string(position + 1) +
                                                   " tokens exceeds the context of " +
                                                   std::to_string(config.max_context) + " of \"" + config.name + "\"");
    }
  }
}

/// Rotates queries and keys, element i with element i + head_dim/2 (the layout of Hugging Face weights).
void Decoder::Impl::rotate(const Batch& batch, Tensor& qkv) const {
  std::size_t half = inverse_frequency.size();
  std::vector<float> cosine(half), sine(half);
  for (std::int64_t r = 0; r < batch.rows(); ++r) {
    auto position = static_cast<double>(batch.position[static_cast<std::size_t>(r)]);
    for (std::size_t i = 0; i < half; ++i) {
      cosine[i] = static_cast<float>(std::cos(position * inverse_frequency[i]));
      sine[i] = static_cast<float>(std::sin(position * inverse_frequency[i]));
    }
    float* x = qkv.row(r).data();
    for (std::int64_t h = 0; h < config.heads + config.kv_heads; ++h, x += 2 * half) {
      for (std::size_t i = 0; i < half; ++i) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
      }
    }
  }
}

/// One head: softmax(Q K^T / sqrt(d)) V (Vaswani et al. 2017, eq. 1), a block of rows at a time.
void Decoder::Impl::attend_head(const Batch& batch, const Tensor& qkv, std::int64_t head, std::vector<float>& scores,
                                Tensor& out) const {
  std::int64_t dim = config.head_dim, stride = qkv.cols();
  std::int64_t kv_head = head / (config.heads / config.kv_heads);
  const float* query = qkv.data() + head * dim;
  const float* key = qkv.data() + (config.heads + kv_head) * dim;
  const float* value = key + config.kv_heads * dim;
  auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
  for (std::int64_t begin = 0; begin < batch.rows(); begin += block_rows) {
    std::int64_t end = std::min(begin + block_rows, batch.rows());
    linalg::gemm_nt(end - begin, end, dim, scale, query + begin * stride, stride, key, stride, 0, scores.data(), end);
    for (std::int64_t r = begin; r < end; ++r) {
      std::int64_t seen = std::min(r + 1, batch.prefix);
      std::int64_t tail = r < batch.prefix ? r + 1 : batch.branch[static_cast<std::size_t>(r)];
      masked_softmax(scores.data() + (r - begin) * end, seen, tail, r + 1, end);
    }
    linalg::gemm(end - begin, dim, end, 1, scores.data(), end, value, stride, 0,
                 out.data() + begin * out.cols() + head * dim, out.cols());
  }
}

void Decoder::Impl::attend(const Batch& batch, const Tensor& qkv, Tensor& out) const {
  std::vector<float> scores(static_cast<std::size_t>(std::min(block_rows, batch.rows()) * batch.rows()));
  for (std::int64_t head = 0; head < config.heads; ++head) {
    attend_head(batch, qkv, head, scores, out);
  }
}

/// The residual stream [rows, hidden] after the last layer; `trace` also receives it after the embedding and after
/// each layer.
Tensor Decoder::Impl::run(const Batch& batch, std::vector<Tensor>* trace) const {
  check(batch);
  std::int64_t n = batch.rows(), hidden = config.hidden, inner = config.intermediate;
  std::int64_t q = config.heads * config.head_dim, kv = config.kv_heads * config.head_dim;
  Tensor x({n, hidden}), normed({n, hidden}), qkv({n, q + 2 * kv}), attended({n, q}), gate_up({n, 2 * inner});
  for (std::int64_t r = 0; r < n; ++r) {
    std::ranges::copy(weights.embedding.row(batch.ids[static_cast<std::size_t>(r)]), x.row(r).begin());
  }
  auto record = [&] {
    if (trace != nullptr) {
      std::ranges::copy(x.span(), trace->emplace_back(x.shape()).data());
    }
  };
  record();
  for (const LayerWeights& layer : weights.layers) {
    rms_norm(x.data(), n, layer.attention_norm.span(), config.rms_norm_eps, normed.data());
    linalg::gemm_nt(n, qkv.cols(), hidden, 1, normed.data(), hidden, layer.qkv.data(), hidden, 0, qkv.data(),
                    qkv.cols());
    rotate(batch, qkv);
    attend(batch, qkv, attended);
    linalg::gemm_nt(n, hidden, q, 1, attended.data(), q, layer.attention_out.data(), q, 1, x.data(), hidden);

    rms_norm(x.data(), n, layer.mlp_norm.span(), config.rms_norm_eps, normed.data());
    linalg::gemm_nt(n, 2 * inner, hidden, 1, normed.data(), hidden, layer.gate_up.data(), hidden, 0, gate_up.data(),
                    2 * inner);
    for (std::int64_t r = 0; r < n; ++r) {  // silu(gate) * up, in the place of gate
      float* gate = gate_up.row(r).data();
      for (std::int64_t i = 0; i < inner; ++i) {
        gate[i] = gate[i] / (1.0F + std::exp(-gate[i])) * gate[inner + i];
      }
    }
    linalg::gemm_nt(n, hidden, inner, 1, gate_up.data(), 2 * inner, layer.down.data(), inner, 1, x.data(), hidden);
    record();
  }
  return x;
}

/// Logits [end - begin, vocab] of rows [begin, end) of the residual stream.
Tensor Decoder::Impl::head(const Tensor& x, std::int64_t begin, std::int64_t end) const {
  Tensor normed({end - begin, config.hidden}), out({end - begin, config.vocab});
  rms_norm(x.row(begin).data(), end - begin, weights.final_norm.span(), config.rms_norm_eps, normed.data());
  linalg::gemm_nt(end - begin, config.vocab, config.hidden, 1, normed.data(), config.hidden, weights.head().data(),
                  config.hidden, 0, out.data(), config.vocab);
  return out;
}

Decoder::Decoder(const Checkpoint& checkpoint, int threads) : impl_(std::make_unique<Impl>(checkpoint, threads)) {}
Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;

const ModelConfig& Decoder::config() const { return impl_->config; }

Tensor Decoder::logits(std::span<const std::int32_t> ids) const {
  if (ids.empty()) {
    return Tensor({0, impl_->config.vocab});
  }
  Batch batch(ids);
  return impl_->head(impl_->run(batch, nullptr), 0, batch.rows());
}

std::vector<Tensor> Decoder::hidden_states(std::span<const std::int32_t> ids) const {
  std::vector<Tensor> trace;
  impl_->run(Batch(ids), &trace);
  return trace;
}

std::vector<double> Decoder::log_probabilities(std::span<const std::int32_t> ids, std::int64_t first) const {
  auto n = static_cast<std::int64_t>(ids.size());
  if (first < 1) {
    throw Error(ErrorCode::invalid_argument, "the first token of a sequence has no probability: nothing precedes it");
  }
  std::vector<double> out;
  if (first >= n) {
    return out;
  }
  Batch batch(ids.first(ids.size() - 1));  // the last token is predicted, it predicts nothing
  Tensor x = impl_->run(batch, nullptr);
  for (std::int64_t begin = first - 1; begin < n - 1; begin += block_rows) {
    std::int64_t end = std::min(begin + block_rows, n - 1);
    Tensor logits = impl_->head(x, begin, end);
    for (std::int64_t r = begin; r < end; ++r) {
      out.push_back(log_probability(logits.row(r - begin), ids[static_cast<std::size_t>(r + 1)]));
    }
  }
  return out;
}

std::vector<double> Decoder::score_options(std::span<const std::int32_t> prefix,
                                           std::span<const std::vector<std::int32_t>> options) const {
  if (prefix.empty() || std::ranges::any_of(options, [](const auto& option) { return option.empty(); })) {
    throw Error(ErrorCode::invalid_argument, "options cannot be scored when they or the prefix have no tokens");
  }
  Batch batch(prefix);
  for (const auto& option : options) {
    batch.add_branch(std::span(option).first(option.size() - 1));
  }
  Tensor x = impl_->run(batch, nullptr);
  std::vector<double> scores;
  Tensor first = impl_->head(x, batch.prefix - 1, batch.prefix);
  std::int64_t row = batch.prefix;
  for (const auto& option : options) {
    double score = log_probability(first.row(0), option[0]);
    auto rest = static_cast<std::int64_t>(option.size()) - 1;
    for (std::int64_t begin = 0; begin < rest; begin += block_rows) {
      std::int64_t end = std::min(begin + block_rows, rest);
      Tensor logits = impl_->head(x, row + begin, row + end);
      for (std::int64_t i = begin; i < end; ++i) {
        score += log_probability(logits.row(i - begin), option[static_cast<std::size_t>(i + 1)]);
      }
    }
    row += rest;
    scores.push_back(score);
  }
  return scores;
}

}  // namespace advisor
