#include "tensor/kernels/blocks.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <vector>

#include "tensor/kernels/blocks_families.h"
#include "tensor/kernels/kernels.h"

namespace advisor::kernels {

namespace {

constexpr std::array<BlockLayout, 18> layouts{{
    {BlockType::f32, "F32", 1, 4},
    {BlockType::f16, "F16", 1, 2},
    {BlockType::q4_0, "Q4_0", 32, 18},
    {BlockType::q4_1, "Q4_1", 32, 20},
    {BlockType::q5_0, "Q5_0", 32, 22},
    {BlockType::q5_1, "Q5_1", 32, 24},
    {BlockType::q8_0, "Q8_0", 32, 34},
    {BlockType::q2_k, "Q2_K", 256, 84},
    {BlockType::q3_k, "Q3_K", 256, 110},
    {BlockType::q4_k, "Q4_K", 256, 144},
    {BlockType::q5_k, "Q5_K", 256, 176},
    {BlockType::q6_k, "Q6_K", 256, 210},
    {BlockType::iq4_nl, "IQ4_NL", 32, 18},
    {BlockType::iq4_xs, "IQ4_XS", 256, 136},
    {BlockType::bf16, "BF16", 1, 2},
    {BlockType::tq1_0, "TQ1_0", 256, 54},
    {BlockType::tq2_0, "TQ2_0", 256, 66},
    {BlockType::mxfp4, "MXFP4", 32, 17},
}};

enum class Family { dense, legacy, k, table, ternary };

Family family_of(BlockType type) {
  switch (type) {
    case BlockType::f32:
    case BlockType::f16:
    case BlockType::bf16: return Family::dense;
    case BlockType::q4_0:
    case BlockType::q4_1:
    case BlockType::q5_0:
    case BlockType::q5_1:
    case BlockType::q8_0: return Family::legacy;
    case BlockType::q2_k:
    case BlockType::q3_k:
    case BlockType::q4_k:
    case BlockType::q5_k:
    case BlockType::q6_k: return Family::k;
    case BlockType::iq4_nl:
    case BlockType::iq4_xs:
    case BlockType::mxfp4: return Family::table;
    case BlockType::tq1_0:
    case BlockType::tq2_0: return Family::ternary;
  }
  return Family::dense;
}

bool encode_dense(BlockType type, std::span<const float> in, std::uint32_t largest, std::span<std::byte> out) {
  switch (type) {
    case BlockType::f32: from_f32(DType::f32, in, out); return true;
    case BlockType::f16: from_f32(DType::f16, in, out); return fits_half(std::bit_cast<float>(largest));
    default:  // 0x7f7f8000: the first float that rounds to infinity
      from_f32(DType::bf16, in, out);
      return largest < 0x7f7f8000U;
  }
}

/// Beyond what any scale in half precision reaches (Q6_K: 65504 * 128 * 32); sums of squares stay far from infinity.
constexpr float largest_weight = 1e12F;

/// Mean 1 and never 0: a column that calibration never saw active must still be stored, and sums of weights are
/// divided by. The floor is far below what moves the fit of the others.
std::vector<float> balanced(std::span<const float> importance) {
  double sum = 0;
  for (const float w : importance) sum += static_cast<double>(w);
  const double mean = sum / static_cast<double>(importance.size());
  if (!(mean > 0)) return {};
  std::vector<float> out(importance.size());
  std::transform(importance.begin(), importance.end(), out.begin(),
                 [mean](float w) { return static_cast<float>(std::clamp(static_cast<double>(w) / mean, 1e-6, 1e6)); });
  return out;
}

bool encode_with(const BlockSearch& search, BlockType type, std::span<const float> in,
                 std::span<const float> importance, std::span<std::byte> out) {
  const std::uint32_t largest = largest_magnitude(in);
  if (largest >= 0x7f800000U) return false;
  const Family family = family_of(type);
  if (family == Family::dense) return encode_dense(type, in, largest, out);
  if (std::bit_cast<float>(largest) > largest_weight) return false;
  const std::int64_t elements = layout_of(type).elements;
  const std::vector<float> weights = importance.empty() ? std::vector<float>{} : balanced(importance);
  const BlockInput input{in.data(), weights.empty() ? nullptr : weights.data(),
                         static_cast<std::int64_t>(in.size()) / elements,
                         weights.empty() ? 1 : static_cast<std::int64_t>(weights.size()) / elements};
  auto* bytes = reinterpret_cast<std::uint8_t*>(out.data());
  switch (family) {
    case Family::legacy: return encode_legacy(type, search, input, bytes);
    case Family::k: return encode_k(type, search, input, bytes);
    case Family::table: return encode_table(type, search, input, bytes);
    default: return encode_ternary(type, search, input, bytes);
  }
}

}  // namespace

std::span<const BlockLayout> block_layouts() { return layouts; }

const BlockLayout& layout_of(BlockType type) {
  return *std::find_if(layouts.begin(), layouts.end(), [type](const BlockLayout& l) { return l.type == type; });
}

std::optional<BlockType> block_type(std::uint32_t id) {
  for (const BlockLayout& layout : layouts) {
    if (static_cast<std::uint32_t>(layout.type) == id) return layout.type;
  }
  return std::nullopt;
}

std::optional<BlockType> block_type_named(std::string_view id) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) == std::toupper(static_cast<unsigned char>(b));
  };
  for (const BlockLayout& layout : layouts) {
    if (std::equal(layout.name.begin(), layout.name.end(), id.begin(), id.end(), same)) return layout.type;
  }
  return std::nullopt;
}

std::int64_t row_bytes(BlockType type, std::int64_t columns) {
  const BlockLayout& layout = layout_of(type);
  return columns / layout.elements * layout.bytes;
}

bool encode_blocks(BlockType type, std::span<const float> in, std::span<const float> importance,
                   std::span<std::byte> out) {
  return encode_with(search(), type, in, importance, out);
}

bool reference::encode_blocks(BlockType type, std::span<const float> in, std::span<const float> importance,
                              std::span<std::byte> out) {
  return encode_with(scalar_search(), type, in, importance, out);
}

void decode_blocks(BlockType type, std::span<const std::byte> in, std::span<float> out) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(in.data());
  const std::int64_t blocks = static_cast<std::int64_t>(out.size()) / layout_of(type).elements;
  switch (family_of(type)) {
    case Family::dense:
      to_f32(type == BlockType::f32 ? DType::f32 : type == BlockType::f16 ? DType::f16 : DType::bf16, in, out);
      break;
    case Family::legacy: decode_legacy(type, bytes, blocks, out.data()); break;
    case Family::k: decode_k(type, bytes, blocks, out.data()); break;
    case Family::table: decode_table(type, bytes, blocks, out.data()); break;
    case Family::ternary: decode_ternary(type, bytes, blocks, out.data()); break;
  }
}

}  // namespace advisor::kernels
