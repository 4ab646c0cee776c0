// The block types of ggml: a fixed number of consecutive weights of one row share a scale (and perhaps a minimum) that
// is stored among them. Decoders give the values of ggml's decoders bit for bit, so that a file reads the same here as
// in an engine. Encoders search the scales that leave the least error (block_search.h) instead of following ggml's own
// heuristics; the same bytes come out on every SIMD target. Knows nothing of files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace advisor::kernels {

/// The enumerators are ggml's type ids, as GGUF files store them.
enum class BlockType : std::uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq4_nl = 20,
  iq4_xs = 23,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39,
};

struct BlockLayout {
  BlockType type;
  std::string_view name;  ///< ggml's: "Q4_0"; "F16"
  std::int64_t elements;  ///< per block; the columns of a row must be a multiple
  std::int64_t bytes;     ///< per block
};

std::span<const BlockLayout> block_layouts();  ///< all of them, by type id
const BlockLayout& layout_of(BlockType type);
std::optional<BlockType> block_type(std::uint32_t id);           ///< nullopt: a type this build cannot decode
std::optional<BlockType> block_type_named(std::string_view id);  ///< "Q4_0", in any letter case

/// Bytes of a row of `columns` weights, which must be a multiple of the block.
std::int64_t row_bytes(BlockType type, std::int64_t columns);

/// Encodes whole blocks of whole rows; out.size() == row_bytes(type, in.size()). `importance` has one finite,
/// non-negative number for each column of a row, and the encoder minimises the squared error weighted by it; empty:
/// all weights count alike. False, with `out` unspecified, when a weight is NaN or infinite or when it (F16) or the
/// scale of its block (Q types) exceeds the range of the stored type.
[[nodiscard]] bool encode_blocks(BlockType type, std::span<const float> in, std::span<const float> importance,
                                 std::span<std::byte> out);

/// Decodes whole blocks; in.size() == row_bytes(type, out.size()). Any bytes are valid.
void decode_blocks(BlockType type, std::span<const std::byte> in, std::span<float> out);

namespace reference {
/// The same without SIMD.
[[nodiscard]] bool encode_blocks(BlockType type, std::span<const float> in, std::span<const float> importance,
                                 std::span<std::byte> out);
}  // namespace reference

}  // namespace advisor::kernels
