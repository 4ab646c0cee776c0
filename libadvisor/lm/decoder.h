// Forward pass of the decoders in architecture.cpp, in float32 on CBLAS.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "tensor/tensor.h"

namespace advisor {

class Decoder {
 public:
  /// Loads and dequantizes all weights. Throws unsupported for an architecture without a table in architecture.cpp.
  explicit Decoder(const Checkpoint& checkpoint, int threads = 0);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  const ModelConfig& config() const;

  /// Logits [n, vocab] at every position of one sequence. Thread-safe: single-threaded inside, so callers
  /// parallelise over sequences and results do not depend on the thread count.
  Tensor logits(std::span<const std::int32_t> ids) const;
  /// Hidden states [n, hidden] after the embedding (0) and after each layer (1..layers); for parity tests and
  /// calibration.
  std::vector<Tensor> hidden_states(std::span<const std::int32_t> ids) const;
  /// The residual stream [n, hidden] after the last layer, and logits [end - begin, vocab] of rows of it: whole
  /// distributions without holding [n, vocab].
  Tensor last_hidden(std::span<const std::int32_t> ids) const;
  Tensor logits(const Tensor& hidden, std::int64_t begin, std::int64_t end) const;
  /// log p(ids[i] | ids[<i]) for i in [first, n), natural log, without keeping [n, vocab] for the whole sequence.
  std::vector<double> log_probabilities(std::span<const std::int32_t> ids, std::int64_t first) const;
  /// For each option: log p(option | prefix), the sum over its tokens. One pass for all: the prefix is computed once
  /// and every option continues it without seeing the others. Neither prefix nor options may be empty.
  std::vector<double> score_options(std::span<const std::int32_t> prefix,
                                    std::span<const std::vector<std::int32_t>> options) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace advisor
