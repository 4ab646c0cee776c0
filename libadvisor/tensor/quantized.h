// The one neutral form between techniques and formats: T + F files instead of T x F.
// Lives here, not in compress/, because formats (checkpoint/) write it and must not know techniques.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tensor/kernels/kernels.h"
#include "tensor/tensor.h"

namespace advisor {

/// How scales are stored.
enum class ScaleType : std::uint8_t {
  dense,  ///< in the dtype of the file's other tensors: bf16, f16, f32
  e8m0,   ///< a power of two in one byte (OCP Microscaling)
  e4m3    ///< an 8-bit float, times one float32 for the whole tensor (NVFP4)
};

/// How the weights of a linear are quantized, and what its engine does to activations.
struct QuantScheme {
  int bits = 8;
  bool symmetric = true;
  std::int64_t group = 0;                    ///< inputs that share a scale; 0 = all of a row
  int activation_bits = 16;                  ///< 16 = weight-only
  std::optional<kernels::FloatCode> code{};  ///< nullopt: integers
  std::int64_t block_rows = 1;               ///< rows that share a scale; 0 = all: with group 0 one scale per tensor
  ScaleType scale = ScaleType::dense;
  bool static_activations = false;  ///< their scale is measured in calibration and stored with the weight

  bool operator==(const QuantScheme&) const = default;
  std::int64_t groups(std::int64_t in) const { return group == 0 ? 1 : (in + group - 1) / group; }
  std::int64_t blocks(std::int64_t rows) const { return block_rows == 0 ? 1 : (rows + block_rows - 1) / block_rows; }
  int qmin() const { return -(1 << (bits - 1)); }  ///< of integers
  int qmax() const { return (1 << (bits - 1)) - 1; }
  /// "W4A16-g128", "W8A16-channel", "W4A16-g32-asym", "W8A8-int8-channel", "W8A8-fp8-channel", "W8A8-fp8-block128",
  /// "W8A8-fp8-tensor-static", "W4A4-nvfp4", "W4A16-mxfp4", "W4A16-nf4".
  std::string id() const;
};

/// Reads W<bits>A<bits> with -g<size> | -channel | -tensor | -block128, -int8 | -fp8 | -nvfp4 | -mxfp4 | -nf4, -asym
/// and -static in any order; the presets of the same name elsewhere fill in what is left out (W4A16 = g128, W8A8-fp8 =
/// channel with dynamic activations per token). Throws invalid_argument naming what is wrong, unsupported for a scheme
/// of the grammar that this build cannot execute.
QuantScheme parse_quant_scheme(const std::string& text);

/// Some rows of a quantized weight. Without blocks of rows:
///   integers  w[r][c] = (codes[r][c] - zeros[r][c/g]) * scales[r][c/g]
///   floats    w[r][c] = value_of(codes[r][c]) * (scales[r][c/g] * tensor_scale)
/// With blocks, row r has the scales of r / block_rows; the first row here then begins a block.
struct QuantizedTensor {
  std::int64_t rows = 0, cols = 0;
  QuantScheme scheme;
  std::vector<std::int8_t> codes{};  ///< [rows, cols]; integers signed in qmin..qmax, floats their bits
  std::vector<float> scales{};       ///< [blocks(rows), groups(cols)], rounded to the type in which they are stored
  std::vector<std::int8_t> zeros{};  ///< as scales, signed; empty when symmetric
  float tensor_scale = 1;            ///< of ScaleType::e4m3
  float input_scale = 0;             ///< of static activations: x is about code * input_scale; 0 = none
};

/// Codes, or back, of values that share a scale (times tensor_scale) and a zero point.
void quantize_values(const QuantScheme& scheme, std::span<const float> x, float scale, int zero,
                     std::span<std::int8_t> codes);
void dequantize_values(const QuantScheme& scheme, std::span<const std::int8_t> codes, float scale, int zero,
                       std::span<float> x);
/// Sum of squares of what quantize_values loses.
double quantization_error(const QuantScheme& scheme, std::span<const float> x, float scale, int zero);

/// All weights as float32; out has rows * cols elements.
void dequantize(const QuantizedTensor& tensor, std::span<float> out);

}  // namespace advisor
