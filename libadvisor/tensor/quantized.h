// The one neutral form between techniques and formats: T + F files instead of T x F.
// Lives here, not in compress/, because formats (checkpoint/) write it and must not know techniques.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace advisor {

/// Integer weight quantization. Group sizes run along the input dimension.
struct QuantScheme {
  int bits = 8;
  bool symmetric = true;
  std::int64_t group = 0;    ///< 0 = per output channel, else inputs per group
  int activation_bits = 16;  ///< 16 = weight-only; 8 = dynamic per-token int8 at run time (nothing stored)

  std::int64_t groups(std::int64_t in) const { return group == 0 ? 1 : (in + group - 1) / group; }
  int qmin() const { return -(1 << (bits - 1)); }
  int qmax() const { return (1 << (bits - 1)) - 1; }
  std::string id() const;  ///< "W4A16-g128", "W8A16-channel", "W4A16-g32-asym"
};

/// Reads W<bits>A<bits>[-int8][-g<size>|-channel|-tensor][-asym]; throws invalid_argument naming what is wrong,
/// unsupported for a scheme of the grammar that this build cannot execute (fp8, nvfp4 ...).
QuantScheme parse_quant_scheme(const std::string& text);

/// Some rows of a quantized weight. w[r][c] = (codes[r][c] - zeros[r][c/g]) * scales[r][c/g].
struct QuantizedTensor {
  std::int64_t rows = 0, cols = 0;
  QuantScheme scheme;
  std::vector<std::int8_t> codes;  ///< [rows, cols], signed, in qmin..qmax
  std::vector<float> scales;       ///< [rows, groups], already rounded to the dtype in which they are stored
  std::vector<std::int8_t> zeros;  ///< [rows, groups], signed; empty when symmetric
};

}  // namespace advisor
