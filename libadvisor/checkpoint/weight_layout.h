// The stored tensors that make up one quantized weight. Each format says in one function which they are; writer
// (formats/quantized_writer) and reader (quantized_reader) follow the same description. Private to checkpoint/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/packing.h"
#include "checkpoint/safetensors_writer.h"
#include "tensor/quantized.h"

namespace advisor {

/// A part without a name is not stored.
struct WeightLayout {
  struct Integers {
    std::string name{};
    PackedMatrix matrix{};
  };
  /// Scales [blocks, groups], or [groups, blocks] when transposed; `shape` may leave out dimensions of 1.
  struct Scales {
    std::string name{};
    DType dtype = DType::f32;  ///< floats as they are, F8_E4M3, or U8 = E8M0
    bool transposed = false;
    std::vector<std::int64_t> shape{};
  };
  struct Scalar {
    std::string name{};
    std::vector<std::int64_t> shape{};  ///< [] or [1], float32
    bool reciprocal = false;            ///< 1 / value is stored
  };

  std::string weight{};  ///< "model.layers.0.mlp.up_proj.weight"
  QuantScheme scheme{};
  std::int64_t rows = 0, cols = 0;
  Integers codes{}, zeros{};  ///< symmetric schemes may store zero points too; they stand in the middle then
  Scales scales{};
  Scalar tensor_scale{}, input_scale{};
  std::string shape_name{};   ///< I64 [2] = rows, cols
  std::string column_name{};  ///< I32 [cols]: the group of each column

  std::int64_t blocks() const { return scheme.blocks(rows); }
  std::int64_t groups() const { return scheme.groups(cols); }
  /// Calls for rows must begin (and end, short of the last row) at a multiple of this.
  std::int64_t row_step() const;
  /// All parts, in the order in which they are stored.
  std::vector<StoredTensor> parts() const;
};

/// Where a layer keeps its KvScales: "model.layers.0." + name, float32 of `shape`.
struct KvScaleNames {
  std::string_view key, value;
  std::vector<std::int64_t> shape{};
};
std::string kv_scale_name(std::int64_t layer, std::string_view name);

/// "model.layers.0.mlp.up_proj" of "model.layers.0.mlp.up_proj.weight".
std::string module_of(std::string_view weight);

/// Scales of whole blocks [n, groups] -> stored bytes, transposed if need be; and back.
std::vector<std::byte> pack_scales(const WeightLayout& layout, std::span<const float> scales);
std::vector<float> unpack_scales(const WeightLayout& layout, DType dtype, std::span<const std::byte> bytes);
/// Where scales of blocks [begin, begin + n) lie.
ByteRectangle place_of_scales(const WeightLayout& layout, DType dtype, std::int64_t begin, std::int64_t n);

/// Why the rows and columns of this weight do not fit its scheme or packing ("has 40 inputs, ..."), or "".
std::string misfit(const QuantScheme& scheme, std::int64_t in);

}  // namespace advisor
