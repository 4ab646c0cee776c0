// Techniques: each is one file in techniques/ and one line in registry.cpp.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/quantized.h"
#include "tensor/tensor.h"

namespace advisor {

using TechniqueParams = std::map<std::string, std::string>;

struct TechniqueParam {
  std::string_view id, values, default_value, doc;  ///< values: "none|mse"
};

struct TechniqueImpl {
  std::string_view id;  ///< "rtn"
  bool needs_calibration;
  std::span<const TechniqueParam> params;  ///< closed: any other key is an error
  /// Pure. `rows` is [n, in] float32; scales are rounded to `scale_dtype` before codes are chosen.
  QuantizedTensor (*quantize)(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme,
                              const TechniqueParams& params, DType scale_dtype);
};

std::span<const TechniqueImpl* const> techniques();
const TechniqueImpl& find_technique(std::string_view id);  ///< throws not_found with the list

}  // namespace advisor
