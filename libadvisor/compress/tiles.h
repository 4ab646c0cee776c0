// The walk over a model: every tensor is cut into tiles of whole rows that fit into a core's cache, and tiles are
// worked on in parallel. The cut does not depend on the number of threads, so neither does anything computed per tile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "checkpoint/checkpoint.h"

namespace advisor {

/// A tensor as rows: dimension 0 and all the others together. A scalar is one row of one column.
struct Matrix {
  std::int64_t rows = 0, cols = 0;
};
Matrix as_matrix(const TensorInfo& tensor);

/// Rows per tile: about a MiB of float32, a multiple of 32 (formats pack zero points of 32 rows into whole words).
std::int64_t tile_rows(const Matrix& matrix);

struct Tile {
  std::size_t tensor = 0;           ///< index into the tensors walked over
  std::int64_t begin = 0, end = 0;  ///< rows
  std::int64_t cols = 0;
  std::int64_t source_bytes = 0;  ///< this tile's part of the tensor's stored bytes; parts add up exactly
  std::size_t index = 0;          ///< of the tile within its tensor, from 0
  std::size_t size() const { return static_cast<std::size_t>((end - begin) * cols); }
};

/// Room for the weights of a tile, not initialised: clearing it first would be one more pass over memory.
class TileBuffer {
 public:
  explicit TileBuffer(std::size_t size) : data_(std::make_unique_for_overwrite<float[]>(size)), size_(size) {}
  std::span<float> span() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<float[]> data_;
  std::size_t size_;
};

/// Calls work(tile) for every tile on up to `threads` threads. Tensors go through in batches; when all tiles of a
/// tensor are done, finished(tensor) is called on this thread, in order. Memory does not grow with the model.
void for_each_tile(std::span<const TensorInfo> tensors, int threads, const std::function<void(const Tile&)>& work,
                   const std::function<void(std::size_t)>& finished);

}  // namespace advisor
