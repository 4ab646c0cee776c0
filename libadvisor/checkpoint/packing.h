// How the integers of quantized weights lie in stored tensors: one description for every format, executed here both
// ways. Private to checkpoint/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.h"

namespace advisor {

/// A "stream" is a little-endian bit stream of `bits`-wide values in 32-bit words (kernels::pack).
enum class Packing : std::uint8_t {
  bytes,             ///< [rows, cols], a byte each
  row_streams,       ///< [rows, words(cols)]: a stream along each row
  row_streams_t,     ///< [words(cols), rows]: the same words transposed (GPTQ codes)
  column_streams,    ///< [words(rows), cols]: a stream down each column (zero points of compressed-tensors)
  column_streams_t,  ///< [cols, words(rows)]: the same words transposed (GPTQ zero points)
  awq,               ///< column_streams_t of 4 bits with the rows of every 8 in the order 0 2 4 6 1 3 5 7 (AutoAWQ)
  row_pairs          ///< [rows / 2, cols]: two rows in a byte, the even one low, 4 bits of two's complement (ModelOpt)
};

/// 32-bit words that `n` values of `bits` fill.
inline std::int64_t words(std::int64_t n, int bits) { return (n * bits + 31) / 32; }

/// A matrix of small integers [rows, cols] and its place in one stored tensor.
struct PackedMatrix {
  Packing packing = Packing::bytes;
  DType dtype = DType::i8;  ///< of the stored tensor: streams are I32, or U8 where formats count bytes
  int bits = 8;
  int offset = 0;          ///< stored = (value + offset) mod 2^bits
  bool minus_one = false;  ///< words hold their stream minus a stream of ones (GPTQ v1): subtracted word by word
  std::int64_t rows = 0, cols = 0;

  std::vector<std::int64_t> shape() const;
  /// Row ranges must begin and, unless they reach the end, finish at a multiple of this.
  std::int64_t row_step() const;
};

/// Part of a stored tensor seen as bytes: `count` stored rows from `first`, of each `bytes` from `offset`.
struct ByteRectangle {
  std::int64_t first = 0, count = 0, offset = 0, bytes = 0;
  std::int64_t stride = 0;  ///< bytes of a whole stored row
};

/// The bytes that rows [begin, begin + n) occupy: no two ranges share a byte.
ByteRectangle place_of(const PackedMatrix& matrix, std::int64_t begin, std::int64_t n);

/// values [n, cols] of some rows -> the bytes of their rectangle, row by row; and back. Any bytes are valid.
std::vector<std::byte> pack_rows(const PackedMatrix& matrix, std::span<const std::int8_t> values);
std::vector<std::int8_t> unpack_rows(const PackedMatrix& matrix, std::span<const std::byte> bytes, std::int64_t n);

}  // namespace advisor
