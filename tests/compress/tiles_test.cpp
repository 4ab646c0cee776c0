#include "compress/tiles.h"

#include <map>
#include <mutex>

#include "compress/fixture.h"

namespace advisor {
namespace {

TensorInfo tensor(std::vector<std::int64_t> shape, std::int64_t bytes) {
  return {"t", std::move(shape), "bf16", bytes};
}

TEST(Tiles, EveryRowOnceInTilesOfWholeWords) {
  const std::vector<TensorInfo> tensors{tensor({1000, 4096}, 1000 * 4096 * 2),
                                        tensor({7}, 14),
                                        tensor({}, 2),
                                        tensor({0, 5}, 0),
                                        tensor({5, 0}, 0),
                                        tensor({33, 100000}, 33 * 100000 * 2),
                                        tensor({300000}, 600001),
                                        tensor({3, 4, 5}, 120)};
  std::vector<std::size_t> finished;
  std::mutex mutex;
  std::map<std::size_t, std::map<std::int64_t, Tile>> seen;
  for_each_tile(
      tensors, 2,
      [&](const Tile& tile) {
        const std::lock_guard lock(mutex);
        EXPECT_TRUE(seen[tile.tensor].emplace(tile.begin, tile).second);
      },
      [&](std::size_t t) { finished.push_back(t); });
  EXPECT_EQ(finished, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5, 6, 7}));
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const Matrix matrix = as_matrix(tensors[t]);
    std::int64_t row = 0, bytes = 0;
    std::size_t index = 0;
    for (const auto& [begin, tile] : seen[t]) {
      EXPECT_EQ(begin, row);
      EXPECT_EQ(begin % 32, 0);
      EXPECT_EQ(tile.index, index++);
      EXPECT_EQ(tile.cols, matrix.cols);
      EXPECT_TRUE(tile.size() <= 1u << 18 || tile.end - tile.begin <= 32);
      row = tile.end;
      bytes += tile.source_bytes;
    }
    EXPECT_EQ(row, matrix.cols == 0 ? 0 : matrix.rows) << t;
    EXPECT_EQ(bytes, tensors[t].bytes) << t;
  }
}

}  // namespace
}  // namespace advisor
