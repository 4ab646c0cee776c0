// One pair of functions per family of block types; blocks.cpp chooses. Private to the blocks.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "tensor/kernels/block_search.h"
#include "tensor/kernels/blocks.h"
#include "tensor/kernels/reference.h"

namespace advisor::kernels {

static_assert(std::endian::native == std::endian::little, "blocks are copied in host order");

/// What an encoder reads: `blocks` blocks of finite weights, one after the other. importance: of the columns of a row,
/// which has `blocks_per_row` blocks; nullptr: all weights count alike.
struct BlockInput {
  const float* weights = nullptr;
  const float* importance = nullptr;
  std::int64_t blocks = 0, blocks_per_row = 1;
};

// False when a scale does not fit into half precision.
[[nodiscard]] bool encode_legacy(BlockType, const BlockSearch&, const BlockInput&, std::uint8_t* out);  ///< Q4_0..Q8_0
[[nodiscard]] bool encode_k(BlockType, const BlockSearch&, const BlockInput&, std::uint8_t* out);       ///< Q2_K..Q6_K
/// IQ4_NL, IQ4_XS, MXFP4
[[nodiscard]] bool encode_table(BlockType, const BlockSearch&, const BlockInput&, std::uint8_t* out);
[[nodiscard]] bool encode_ternary(BlockType, const BlockSearch&, const BlockInput&,
                                  std::uint8_t* out);  ///< TQ1_0, TQ2_0

// Any bytes decode.
void decode_legacy(BlockType, const std::uint8_t* in, std::int64_t blocks, float* out);
void decode_k(BlockType, const std::uint8_t* in, std::int64_t blocks, float* out);
void decode_table(BlockType, const std::uint8_t* in, std::int64_t blocks, float* out);
void decode_ternary(BlockType, const std::uint8_t* in, std::int64_t blocks, float* out);

// --- shared by the families ---------------------------------------------------------------------------------------

inline float get_half(const std::uint8_t* from) {
  std::uint16_t half;
  std::memcpy(&half, from, sizeof half);
  return reference::f16_to_f32(half);
}

inline float to_half(float value) { return reference::f16_to_f32(reference::f32_to_f16(value)); }

/// Stores a value of half precision; minus zero as zero, so that the sign of nothing cannot show.
inline void put_half(std::uint8_t* to, float value) {
  const std::uint16_t half = reference::f32_to_f16(value + 0.0F);
  std::memcpy(to, &half, sizeof half);
}

inline bool fits_half(float value) { return value < 65520.0F && value > -65520.0F; }  // where rounding meets infinity

/// The nearest half-precision value that is no smaller in magnitude: what it multiplies must not have to reach further.
float half_away_from_zero(float value);

/// out[i] = (in[i] >> shift) & mask. A shift known to the compiler is what it makes vector code of.
template <int shift, int mask>
inline void unpack_bits(const std::uint8_t* in, int n, std::uint8_t* out) {
  for (int i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>((in[i] >> shift) & mask);
}
/// The same, or-ed to what is there, `left` bits up.
template <int shift, int mask, int left>
inline void add_bits(const std::uint8_t* in, int n, std::uint8_t* out) {
  for (int i = 0; i < n; ++i) out[i] = static_cast<std::uint8_t>(out[i] | (((in[i] >> shift) & mask) << left));
}
/// 32 bytes of four two-bit codes: those of bits 0..1 first, 32 of each.
inline void unpack_two_bits(const std::uint8_t* in, std::uint8_t* out) {
  unpack_bits<0, 3>(in, 32, out);
  unpack_bits<2, 3>(in, 32, out + 32);
  unpack_bits<4, 3>(in, 32, out + 64);
  unpack_bits<6, 3>(in, 32, out + 96);
}

/// Sixteen groups, as they follow each other and side by side.
class Batch {
 public:
  Batch(const BlockSearch& search, const BlockInput& input, int block_weights, int group_weights);
  /// Takes blocks from `first` on, filled up with zeros after the last; returns how many.
  std::int64_t load(std::int64_t first);
  const Groups& groups();                             ///< side by side; made when first asked for
  const float* weights() const { return in_order_; }  ///< of lane 0, lane 1, ...

 private:
  const BlockSearch& search_;
  const BlockInput& input_;
  int block_weights_, group_weights_;
  Groups groups_;
  const float* in_order_ = nullptr;
  std::int64_t first_ = 0;
  bool interleaved_ = false;
  alignas(64) float padded_[lanes * most_weights];
  alignas(64) float weights_[lanes * most_weights];
  alignas(64) float importance_in_order_[lanes * most_weights];
  alignas(64) float importance_[lanes * most_weights];
};

/// Scales of a batch in two parts: one half-precision unit for each super-block, a whole multiple of it for each group.
struct Symmetric {
  Levels levels;
  Trials trials;
  bool both;  ///< trials for both ends of the levels
  Multiples multiples;
  int super_lanes;  ///< groups of a super-block
};
struct SymmetricFit {
  Lanes unit, multiple, scale;
};
/// False when a unit does not fit into half precision.
[[nodiscard]] bool fit_symmetric(const BlockSearch& search, Batch& batch, const Symmetric& type, SymmetricFit& out);

/// Steps and minima of a batch: two half-precision units for each super-block, whole multiples of them for each group.
struct Affine {
  int top;  ///< largest code
  Trials trials;
  Multiples multiples;
  int super_lanes;
};
struct AffineGroupFit {
  Lanes step_unit, minimum_unit, step_multiple, minimum_multiple, step, minimum;
};
[[nodiscard]] bool fit_affine_groups(const BlockSearch& search, Batch& batch, const Affine& type, AffineGroupFit& out);

}  // namespace advisor::kernels
