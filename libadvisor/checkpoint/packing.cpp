#include "checkpoint/packing.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

constexpr std::int64_t word_bytes = 4, rows_of_whole_words = 32;
constexpr std::array<std::int64_t, 8> awq_order{0, 2, 4, 6, 1, 3, 5, 7};

bool along_columns(Packing p) {
  return p == Packing::column_streams || p == Packing::column_streams_t || p == Packing::awq;
}

/// Rows of the stored tensor are then words of all rows (or columns), so that a range of rows is a part of each.
bool transposed(Packing p) {
  return p == Packing::row_streams_t || p == Packing::column_streams_t || p == Packing::awq;
}

template <typename T>
std::vector<T> transpose(std::span<const T> in, std::int64_t rows, std::int64_t cols) {
  constexpr std::int64_t block = 32;  // a cache line of words each way
  std::vector<T> out(in.size());
  for (std::int64_t r0 = 0; r0 < rows; r0 += block) {
    for (std::int64_t c0 = 0; c0 < cols; c0 += block) {
      for (std::int64_t r = r0; r < std::min(r0 + block, rows); ++r) {
        for (std::int64_t c = c0; c < std::min(c0 + block, cols); ++c) {
          out[static_cast<std::size_t>(c * rows + r)] = in[static_cast<std::size_t>(r * cols + c)];
        }
      }
    }
  }
  return out;
}

/// values [n, cols] in the order in which AutoAWQ packs rows, or back.
std::vector<std::uint8_t> reorder(std::span<const std::uint8_t> values, std::int64_t cols, bool back) {
  std::vector<std::uint8_t> out(values.size());
  const std::int64_t rows = cols == 0 ? 0 : static_cast<std::int64_t>(values.size()) / cols;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t other = r / 8 * 8 + awq_order[static_cast<std::size_t>(r % 8)];
    const std::int64_t from = back ? r : other, to = back ? other : r;
    std::copy_n(values.begin() + from * cols, cols, out.begin() + to * cols);
  }
  return out;
}

/// Adds a stream of ones to each of `count` streams, word by word, or subtracts it.
void shift_by_one(std::vector<std::uint32_t>& stream_words, std::int64_t count, std::int64_t length, int bits,
                  bool add) {
  const std::vector<std::uint8_t> values(static_cast<std::size_t>(length), 1);
  const auto width = static_cast<std::size_t>(words(length, bits));
  std::vector<std::uint32_t> ones(width);
  kernels::pack(values, bits, ones);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count) * width; ++i) {
    stream_words[i] += add ? ones[i % width] : 0U - ones[i % width];
  }
}

struct Streams {
  std::int64_t count, length;
};

Streams streams_of(const PackedMatrix& m, std::int64_t n) {
  return along_columns(m.packing) ? Streams{m.cols, n} : Streams{n, m.cols};
}

std::vector<std::byte> pack_pairs(std::span<const std::uint8_t> values, std::int64_t cols) {
  std::vector<std::byte> out(values.size() / 2);
  const auto width = static_cast<std::size_t>(cols);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::size_t low = i / width * 2 * width + i % width;
    out[i] = static_cast<std::byte>(values[low] | values[low + width] << 4);
  }
  return out;
}

std::vector<std::uint8_t> unpack_pairs(std::span<const std::byte> bytes, std::int64_t cols) {
  std::vector<std::uint8_t> values(bytes.size() * 2);
  const auto width = static_cast<std::size_t>(cols);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t low = i / width * 2 * width + i % width;
    const auto byte = std::to_integer<unsigned>(bytes[i]);
    values[low] = static_cast<std::uint8_t>(byte & 15U);
    values[low + width] = static_cast<std::uint8_t>(byte >> 4);
  }
  return values;
}

}  // namespace

std::vector<std::int64_t> PackedMatrix::shape() const {
  const std::int64_t along = words(cols, bits) * word_bytes / size_of(dtype);
  switch (packing) {
    case Packing::bytes: return {rows, cols};
    case Packing::row_streams: return {rows, along};
    case Packing::row_streams_t: return {words(cols, bits), rows};
    case Packing::column_streams: return {words(rows, bits), cols};
    case Packing::column_streams_t:
    case Packing::awq: return {cols, words(rows, bits)};
    case Packing::row_pairs: return {rows / 2, cols};
  }
  return {};
}

std::int64_t PackedMatrix::row_step() const {
  if (packing == Packing::row_pairs) return 2;
  return along_columns(packing) ? rows_of_whole_words : 1;
}

ByteRectangle place_of(const PackedMatrix& m, std::int64_t begin, std::int64_t n) {
  const std::int64_t row_width = words(m.cols, m.bits) * word_bytes;
  switch (m.packing) {
    case Packing::bytes: return {begin, n, 0, m.cols, m.cols};
    case Packing::row_streams: return {begin, n, 0, row_width, row_width};
    case Packing::row_streams_t:
      return {0, words(m.cols, m.bits), begin * word_bytes, n * word_bytes, m.rows * word_bytes};
    case Packing::column_streams:
      return {begin * m.bits / 32, words(n, m.bits), 0, m.cols * word_bytes, m.cols * word_bytes};
    case Packing::column_streams_t:
    case Packing::awq:
      return {0, m.cols, begin * m.bits / 8, words(n, m.bits) * word_bytes, words(m.rows, m.bits) * word_bytes};
    case Packing::row_pairs: return {begin / 2, n / 2, 0, m.cols, m.cols};
  }
  return {};
}

std::vector<std::byte> pack_rows(const PackedMatrix& m, std::span<const std::int8_t> values) {
  const auto mask = static_cast<std::uint8_t>((1U << m.bits) - 1U);
  std::vector<std::uint8_t> stored(values.size());
  std::transform(values.begin(), values.end(), stored.begin(),
                 [&](std::int8_t v) { return static_cast<std::uint8_t>((v + m.offset) & mask); });
  if (m.packing == Packing::row_pairs) return pack_pairs(stored, m.cols);
  if (m.packing == Packing::bytes) {
    const auto bytes = std::as_bytes(std::span(stored));
    return {bytes.begin(), bytes.end()};
  }
  const std::int64_t n = m.cols == 0 ? 0 : static_cast<std::int64_t>(values.size()) / m.cols;
  if (m.packing == Packing::awq) stored = reorder(stored, m.cols, false);
  if (along_columns(m.packing)) stored = transpose<std::uint8_t>(stored, n, m.cols);
  const auto [count, length] = streams_of(m, n);
  const std::int64_t width = words(length, m.bits);
  std::vector<std::uint32_t> packed(static_cast<std::size_t>(count * width));
  for (std::int64_t s = 0; s < count; ++s) {
    kernels::pack(std::span(stored).subspan(static_cast<std::size_t>(s * length), static_cast<std::size_t>(length)),
                  m.bits,
                  std::span(packed).subspan(static_cast<std::size_t>(s * width), static_cast<std::size_t>(width)));
  }
  if (m.minus_one) shift_by_one(packed, count, length, m.bits, false);
  // Streams of columns lie side by side in column_streams_t already, streams of rows in row_streams.
  if (along_columns(m.packing) != transposed(m.packing)) packed = transpose<std::uint32_t>(packed, count, width);
  const auto bytes = std::as_bytes(std::span(packed));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::int8_t> unpack_rows(const PackedMatrix& m, std::span<const std::byte> bytes, std::int64_t n) {
  std::vector<std::uint8_t> stored;
  if (m.packing == Packing::row_pairs) {
    stored = unpack_pairs(bytes, m.cols);
  } else if (m.packing == Packing::bytes) {
    stored.resize(bytes.size());
    if (!bytes.empty()) std::memcpy(stored.data(), bytes.data(), bytes.size());
  } else {
    const auto [count, length] = streams_of(m, n);
    const std::int64_t width = words(length, m.bits);
    std::vector<std::uint32_t> packed(bytes.size() / word_bytes);
    if (!bytes.empty()) std::memcpy(packed.data(), bytes.data(), bytes.size());
    if (along_columns(m.packing) != transposed(m.packing)) packed = transpose<std::uint32_t>(packed, width, count);
    if (m.minus_one) shift_by_one(packed, count, length, m.bits, true);
    stored.resize(static_cast<std::size_t>(count * length));
    for (std::int64_t s = 0; s < count; ++s) {
      kernels::unpack(
          std::span(packed).subspan(static_cast<std::size_t>(s * width), static_cast<std::size_t>(width)), m.bits,
          std::span(stored).subspan(static_cast<std::size_t>(s * length), static_cast<std::size_t>(length)));
    }
    if (along_columns(m.packing)) stored = transpose<std::uint8_t>(stored, m.cols, n);
    if (m.packing == Packing::awq) stored = reorder(stored, m.cols, true);
  }
  std::vector<std::int8_t> values(stored.size());
  const int sign = m.packing == Packing::row_pairs ? 8 : 0;  // two's complement of 4 bits: the sign bit counts -8
  std::transform(stored.begin(), stored.end(), values.begin(),
                 [&](std::uint8_t u) { return static_cast<std::int8_t>((u ^ sign) - sign - m.offset); });
  return values;
}

}  // namespace advisor
