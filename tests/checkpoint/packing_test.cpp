// Packings against bytes worked out by hand from the published layouts, and against each other.
#include "checkpoint/packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

namespace advisor {
namespace {

std::vector<std::int8_t> random_values(const PackedMatrix& m, std::int64_t rows) {
  std::mt19937 random(static_cast<unsigned>(m.bits * 100 + m.cols));
  std::uniform_int_distribution<int> value(0, (1 << m.bits) - 1);
  std::vector<std::int8_t> values(static_cast<std::size_t>(rows * m.cols));
  const int sign = m.packing == Packing::row_pairs ? 8 : 0;
  for (auto& v : values) v = static_cast<std::int8_t>((value(random) ^ sign) - sign - m.offset);
  return values;
}

std::int64_t stored_bytes(const PackedMatrix& m) { return element_count(m.shape()) * size_of(m.dtype); }

/// Puts the rectangle of rows [begin, begin + n) into the stored tensor.
void put(const PackedMatrix& m, std::int64_t begin, std::span<const std::int8_t> values, std::vector<std::byte>& stored,
         std::vector<int>& owners) {
  const std::int64_t n = static_cast<std::int64_t>(values.size()) / m.cols;
  const ByteRectangle place = place_of(m, begin, n);
  const std::vector<std::byte> bytes = pack_rows(m, values);
  ASSERT_EQ(static_cast<std::int64_t>(bytes.size()), place.count * place.bytes);
  for (std::int64_t i = 0; i < place.count; ++i) {
    for (std::int64_t b = 0; b < place.bytes; ++b) {
      const auto at = static_cast<std::size_t>((place.first + i) * place.stride + place.offset + b);
      ASSERT_LT(at, stored.size());
      stored[at] = bytes[static_cast<std::size_t>(i * place.bytes + b)];
      ++owners[at];
    }
  }
}

std::vector<PackedMatrix> all_packings() {
  std::vector<PackedMatrix> list{{Packing::bytes, DType::i8, 8, 0, false, 70, 13},
                                 {Packing::awq, DType::i32, 4, 8, false, 72, 13},
                                 {Packing::row_pairs, DType::u8, 4, 0, false, 70, 13},
                                 {Packing::row_streams, DType::u8, 4, 0, false, 70, 16}};
  for (const int bits : {2, 3, 4, 5, 6, 7, 8}) {
    const int middle = 1 << (bits - 1);
    for (const Packing p :
         {Packing::row_streams, Packing::row_streams_t, Packing::column_streams, Packing::column_streams_t}) {
      list.push_back({p, DType::i32, bits, middle, false, 70, 13});
      list.push_back({p, DType::i32, bits, middle, true, 70, 13});
    }
  }
  return list;
}

TEST(Packing, RowsInTilesFillTheTensorOnceAndReadBack) {
  for (const PackedMatrix& m : all_packings()) {
    SCOPED_TRACE(std::to_string(static_cast<int>(m.packing)) + " " + std::to_string(m.bits));
    const std::vector<std::int8_t> values = random_values(m, m.rows);
    const auto size = static_cast<std::size_t>(stored_bytes(m));
    std::vector<std::byte> whole(size), tiled(size);
    std::vector<int> once(size), tiles(size);
    put(m, 0, values, whole, once);
    for (const std::int64_t begin : {64, 0, 32}) {
      const std::int64_t end = std::min<std::int64_t>(begin + 32, m.rows);
      put(m, begin,
          std::span(values).subspan(static_cast<std::size_t>(begin * m.cols),
                                    static_cast<std::size_t>((end - begin) * m.cols)),
          tiled, tiles);
    }
    EXPECT_EQ(whole, tiled);
    EXPECT_THAT(once, testing::Each(1));
    EXPECT_THAT(tiles, testing::Each(1));
    const auto all = place_of(m, 0, m.rows);
    ASSERT_EQ(all.bytes, all.stride);
    EXPECT_EQ(unpack_rows(m, whole, m.rows), values);
    // a range that begins and ends at row steps reads what it wrote
    const std::int64_t begin = 32, n = 32;
    const auto part =
        std::span(values).subspan(static_cast<std::size_t>(begin * m.cols), static_cast<std::size_t>(n * m.cols));
    EXPECT_THAT(unpack_rows(m, pack_rows(m, part), n), testing::ElementsAreArray(part));
    EXPECT_EQ(begin % m.row_step(), 0);
  }
}

std::vector<std::uint32_t> words_of(const PackedMatrix& m, const std::vector<std::int8_t>& values) {
  const std::vector<std::byte> bytes = pack_rows(m, values);
  std::vector<std::uint32_t> list(bytes.size() / 4);
  std::memcpy(list.data(), bytes.data(), bytes.size());
  return list;
}

// Every row r and column c holds a value that says where it came from.
TEST(Packing, AwqNibblesAreInAutoAwqOrder) {
  const PackedMatrix m{Packing::awq, DType::i32, 4, 0, false, 8, 2};
  std::vector<std::int8_t> values;
  for (int r = 0; r < 8; ++r)
    values.insert(values.end(), {static_cast<std::int8_t>(r), static_cast<std::int8_t>(15 - r)});
  // word of column 0, lowest nibble first: rows 0 2 4 6 1 3 5 7
  EXPECT_THAT(words_of(m, values), testing::ElementsAre(0x75316420U, 0x8ace9bdfU));
}

TEST(Packing, GptqCodesRunDownTheInputs) {
  const PackedMatrix m{Packing::row_streams_t, DType::i32, 4, 8, false, 2, 16};
  std::vector<std::int8_t> values;
  for (int r = 0; r < 2; ++r)
    for (int c = 0; c < 16; ++c) values.push_back(static_cast<std::int8_t>(r == 0 ? c - 8 : 7 - c));
  EXPECT_THAT(m.shape(), testing::ElementsAre(2, 2));
  EXPECT_THAT(words_of(m, values), testing::ElementsAre(0x76543210U, 0x89abcdefU, 0xfedcba98U, 0x01234567U));
}

TEST(Packing, GptqZerosOfVersionOneAreOneLess) {
  const std::vector<std::int8_t> middle(8, 0);
  EXPECT_THAT(words_of({Packing::column_streams_t, DType::i32, 4, 8, false, 8, 1}, middle),
              testing::ElementsAre(0x88888888U));
  const PackedMatrix one{Packing::column_streams_t, DType::i32, 4, 8, true, 8, 1};
  EXPECT_THAT(words_of(one, middle), testing::ElementsAre(0x77777777U));
  // A zero point of 0 borrows from its neighbour, and adding the same word gives it back.
  std::vector<std::int8_t> low(8, 0);
  low[0] = -8;
  EXPECT_THAT(words_of(one, low), testing::ElementsAre(0x88888880U - 0x11111111U));
  EXPECT_EQ(unpack_rows(one, pack_rows(one, low), 8), low);
}

// 3 bits: value 10 is in bits 30 and 31 of the first word and bit 0 of the second.
TEST(Packing, ThreeBitsStraddleWords) {
  const PackedMatrix m{Packing::column_streams_t, DType::i32, 3, 4, false, 32, 1};
  std::vector<std::int8_t> values(32, -4);
  values[10] = 3;
  EXPECT_THAT(words_of(m, values), testing::ElementsAre(0xc0000000U, 1U, 0U));
}

TEST(Packing, ModelOptPairsRowsInTwosComplement) {
  const PackedMatrix m{Packing::row_pairs, DType::u8, 4, 0, false, 2, 3};
  const std::vector<std::byte> bytes = pack_rows(m, std::vector<std::int8_t>{-8, 7, -1, 1, -2, 0});
  EXPECT_THAT(bytes, testing::ElementsAre(std::byte{0x18}, std::byte{0xe7}, std::byte{0x0f}));
  EXPECT_THAT(unpack_rows(m, bytes, 2), testing::ElementsAre(-8, 7, -1, 1, -2, 0));
}

TEST(Packing, Fp4PutsTheEvenColumnIntoTheLowNibble) {
  const PackedMatrix m{Packing::row_streams, DType::u8, 4, 0, false, 1, 8};
  EXPECT_THAT(m.shape(), testing::ElementsAre(1, 4));
  EXPECT_THAT(pack_rows(m, std::vector<std::int8_t>{1, 2, 3, 4, 15, 0, 8, 7}),
              testing::ElementsAre(std::byte{0x21}, std::byte{0x43}, std::byte{0x0f}, std::byte{0x78}));
}

}  // namespace
}  // namespace advisor
