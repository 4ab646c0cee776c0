#include "lm/decoder.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "core/error.h"
#include "lm/weights.h"

namespace advisor {
namespace {

/// Rows of logits that are held at once: bounds scratch memory, not the result's meaning.
constexpr std::int64_t block_rows = 64;

/// Tokens that go through the decoder together.
struct Batch {
  std::vector<std::int32_t> ids;
  Rows rows;

  explicit Batch(std::span<const std::int32_t> prefix)
      : ids(prefix.begin(), prefix.end()), rows(static_cast<std::int64_t>(prefix.size())) {}
  void add_branch(std::span<const std::int32_t> tokens) {
    ids.insert(ids.end(), tokens.begin(), tokens.end());
    rows.add_branch(static_cast<std::int64_t>(tokens.size()));
  }
};

/// log softmax(logits)[target]
double log_probability(std::span<const float> logits, std::int32_t target) {
  float max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) {
    sum += static_cast<double>(std::exp(logit - max));
  }
  return static_cast<double>(logits[static_cast<std::size_t>(target)]) - static_cast<double>(max) - std::log(sum);
}

}  // namespace

struct Decoder::Impl {
  ModelConfig config;
  const Architecture& architecture;
  DecoderWeights weights;

  Impl(const Checkpoint& checkpoint, int threads)
      : config(checkpoint.config()),
        architecture(find_architecture(config.architecture)),
        weights(load_weights(checkpoint, threads)) {}
  void check(const Batch& batch) const;
  Tensor run(const Batch& batch, std::vector<Tensor>* trace) const;
  Tensor head(const Tensor& x, std::int64_t begin, std::int64_t end) const {
    return head_logits(config, architecture, weights.outer, x, begin, end);
  }
};

void Decoder::Impl::check(const Batch& batch) const {
  for (std::int32_t id : batch.ids) {
    if (id < 0 || id >= config.vocab) {
      throw Error(ErrorCode::invalid_argument, "token id " + std::to_string(id) + " is outside the vocabulary of " +
                                                   std::to_string(config.vocab) + " of \"" + config.name + "\"");
    }
  }
  for (std::int64_t position : batch.rows.position) {
    if (position >= config.max_context) {
      throw Error(ErrorCode::invalid_argument, "a sequence of " + std::to_string(position + 1) +
                                                   " tokens exceeds the context of " +
                                                   std::to_string(config.max_context) + " of \"" + config.name + "\"");
    }
  }
}

/// The residual stream [rows, hidden] after the last layer; `trace` also receives it after the embedding and after
/// each layer.
Tensor Decoder::Impl::run(const Batch& batch, std::vector<Tensor>* trace) const {
  check(batch);
  Tensor x = embed(config, architecture, weights.outer.embedding, batch.ids);
  auto record = [&] {
    if (trace != nullptr) {
      std::ranges::copy(x.span(), trace->emplace_back(x.shape()).data());
    }
  };
  record();
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    forward_block(config, architecture, static_cast<std::int64_t>(layer), weights.blocks[layer], batch.rows, x);
    record();
  }
  return x;
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
  return impl_->head(impl_->run(batch, nullptr), 0, batch.rows.count());
}

std::vector<Tensor> Decoder::hidden_states(std::span<const std::int32_t> ids) const {
  std::vector<Tensor> trace;
  impl_->run(Batch(ids), &trace);
  return trace;
}

Tensor Decoder::last_hidden(std::span<const std::int32_t> ids) const { return impl_->run(Batch(ids), nullptr); }

Tensor Decoder::logits(const Tensor& hidden, std::int64_t begin, std::int64_t end) const {
  return impl_->head(hidden, begin, end);
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
  Tensor first = impl_->head(x, batch.rows.prefix - 1, batch.rows.prefix);
  std::int64_t row = batch.rows.prefix;
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
