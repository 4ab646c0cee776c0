// Techniques: each is one file in techniques/ and one line in registry.cpp.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compress/stats.h"
#include "lm/block.h"
#include "tensor/quantized.h"
#include "tensor/tensor.h"

namespace advisor {

using TechniqueParams = std::map<std::string, std::string>;

struct TechniqueParam {
  std::string_view id, values, default_value, doc;  ///< values: "none|mse"
};

/// A quantized matrix and what had to be done to get it: damping that was raised, columns without input. Empty as a
/// rule; the job reports every note with the name of the matrix.
struct Solution {
  QuantizedTensor tensor;
  std::vector<std::string> notes;
};

/// A decoder block before its matrices are solved.
struct BlockTask {
  const ModelConfig& config;
  const Architecture& architecture;
  BlockWeights& weights;
  BlockStats& stats;
  /// Scheme of a stored tensor by its name; nothing when it stays dense.
  std::function<std::optional<QuantScheme>(const std::string& tensor)> scheme_of;
  DType scale_dtype = DType::bf16;
  DType dense_dtype = DType::bf16;  ///< in which norms will be stored
  int threads = 1;
};

struct TechniqueImpl {
  std::string_view id;  ///< "rtn"
  Needs needs;
  std::span<const TechniqueParam> params;  ///< closed: any other key is an error
  /// Throws invalid_argument for a scheme or a parameter value that the technique cannot run, before any data.
  void (*check)(const QuantScheme& scheme, const TechniqueParams& params);
  /// Pure; null where Needs is not nothing. `rows` is [n, in] float32, any whole rows of a matrix; scales are rounded
  /// to `scale_dtype` before codes are chosen. Throws invalid_argument for NaN and infinity, naming row and column.
  QuantizedTensor (*quantize)(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme,
                              const TechniqueParams& params, DType scale_dtype);
  /// Upper bound of ||rows - dequantize(quantize(rows))||_F^2, derived from the weights and the scheme alone (no
  /// codes): what verification admits. Same arguments as quantize; null where quantize is.
  double (*error_bound)(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme,
                        const TechniqueParams& params, DType scale_dtype);
  /// Pure. Whole matrix, or several with the same input one below the other, [out, in]; `stats` may be null only where
  /// Needs is nothing. The same bytes for any number of threads. Throws invalid_argument for weights or statistics that
  /// are not finite or do not fit, and when no solution was found, saying what was tried.
  Solution (*solve)(std::span<const float> weights, std::int64_t in, const LayerStats* stats, const QuantScheme& scheme,
                    const TechniqueParams& params, DType scale_dtype, int threads);
  /// Changes the weights of a block so that its matrices lose less when they are solved, and the statistics with
  /// them; what the block computes stays the same. Norms hold values of `dense_dtype` afterwards. Returns notes, each
  /// with its place. Null for techniques that solve matrices only.
  std::vector<std::string> (*transform)(const BlockTask& task, const TechniqueParams& params) = nullptr;
  /// Bytes that solve and transform take at most for layers [rows, in] of one input, besides weights, statistics and
  /// the solution. Null: no more than a few rows.
  std::int64_t (*memory)(std::int64_t rows, std::int64_t in, const TechniqueParams& params, int threads) = nullptr;
};

std::span<const TechniqueImpl* const> techniques();
const TechniqueImpl& find_technique(std::string_view id);  ///< throws not_found with the list

/// `given` with every default filled in; throws invalid_argument for a key or a value that is not in the table.
TechniqueParams complete_params(const TechniqueImpl& technique, const TechniqueParams& given);

/// One extern per file in techniques/; registry.cpp lists them.
extern const TechniqueImpl awq_gptq_technique, awq_technique, gptq_technique, rtn_technique, smoothquant_technique;

}  // namespace advisor
