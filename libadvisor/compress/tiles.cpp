#include "compress/tiles.h"

#include <algorithm>
#include <vector>

#include "tensor/parallel.h"

namespace advisor {
namespace {

constexpr std::int64_t kTileWeights = std::int64_t{1} << 18;  // 1 MiB of float32: stays in the L2 cache of a core
constexpr std::int64_t kRowStep = 32;
constexpr std::size_t kBatchTiles = 512;  // joins threads rarely enough not to be felt, bounds what waits for the join

void append_tiles(const TensorInfo& tensor, std::size_t index, std::vector<Tile>& tiles) {
  const Matrix matrix = as_matrix(tensor);
  if (matrix.rows == 0 || matrix.cols == 0) return;
  const std::int64_t step = tile_rows(matrix);
  const auto bytes_until = [&](std::int64_t row) {  // in double steps, so that rows * bytes cannot overflow
    return row == matrix.rows ? tensor.bytes : tensor.bytes / matrix.rows * row;
  };
  std::size_t number = 0;
  for (std::int64_t begin = 0; begin < matrix.rows; begin += step) {
    const std::int64_t end = std::min(begin + step, matrix.rows);
    tiles.push_back({index, begin, end, matrix.cols, bytes_until(end) - bytes_until(begin), number++});
  }
}

}  // namespace

Matrix as_matrix(const TensorInfo& tensor) {
  if (tensor.shape.empty()) return {1, 1};
  const std::int64_t count = element_count(tensor.shape);
  return count == 0 ? Matrix{} : Matrix{tensor.shape[0], count / tensor.shape[0]};
}

std::int64_t tile_rows(const Matrix& matrix) {
  if (matrix.cols <= 0) return kRowStep;
  return std::max(kRowStep, kTileWeights / matrix.cols / kRowStep * kRowStep);
}

void for_each_tile(std::span<const TensorInfo> tensors, int threads, const std::function<void(const Tile&)>& work,
                   const std::function<void(std::size_t)>& finished) {
  std::vector<Tile> tiles;
  for (std::size_t first = 0; first < tensors.size();) {
    tiles.clear();
    std::size_t next = first;
    while (next < tensors.size() && (next == first || tiles.size() < kBatchTiles)) {
      append_tiles(tensors[next], next, tiles);
      ++next;
    }
    parallel_for(static_cast<std::int64_t>(tiles.size()), threads,
                 [&](std::int64_t i) { work(tiles[static_cast<std::size_t>(i)]); });
    for (; first < next; ++first) finished(first);
  }
}

}  // namespace advisor
