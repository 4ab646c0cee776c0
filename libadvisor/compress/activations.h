// The residual stream of every calibration sequence between two blocks: in memory, or in an unnamed file where it would
// take more than its share of the budget.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "tensor/tensor.h"

namespace advisor {

class Activations {
 public:
  /// Sequences of `lengths` rows of `width` floats, all in memory when they take at most `budget` bytes, else in a file
  /// of `folder` that nobody sees and that disappears with the process. Throws io_error when it cannot be made.
  Activations(std::vector<std::int64_t> lengths, std::int64_t width, std::int64_t budget,
              const std::filesystem::path& folder);
  ~Activations();
  Activations(const Activations&) = delete;
  Activations& operator=(const Activations&) = delete;

  std::int64_t size() const { return static_cast<std::int64_t>(lengths_.size()); }
  std::int64_t bytes() const;
  bool on_disk() const { return descriptor_ >= 0; }
  /// Rows [lengths[i], width] of sequence i. Distinct sequences may be read and written from several threads.
  Tensor read(std::int64_t i) const;
  void write(std::int64_t i, Tensor x);

 private:
  std::vector<std::int64_t> lengths_, offsets_;  ///< offsets in bytes
  std::int64_t width_;
  std::vector<Tensor> memory_;
  int descriptor_ = -1;
};

}  // namespace advisor
