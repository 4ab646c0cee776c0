// How techniques choose the grid (scale and zero point) of each group, with the parameters that say so, and rounding
// to grids. Shared by all techniques that write codes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compress/scheme.h"
#include "compress/technique.h"
#include "compress/techniques/params.h"

namespace advisor {

struct GridOptions {
  ScaleRange range = ScaleRange::full;
  std::vector<double> shrinks{1.0};  ///< fractions of the range to try, 1 first
};

/// `params` complete (complete_params). Throws invalid_argument naming the parameter.
GridOptions read_grid_options(const TechniqueParams& params);
double read_number(const TechniqueParams& params, const std::string& key, double low, double high);
int read_integer(const TechniqueParams& params, const std::string& key, int low, int high);

/// What no technique of this build can do with a scheme: throws unsupported or invalid_argument.
void check_grid_scheme(std::string_view technique, const QuantScheme& scheme, const GridOptions& options);

/// Inputs per group; throws invalid_argument when the groups of the scheme do not divide `in`.
std::int64_t group_size(std::int64_t in, const QuantScheme& scheme);

/// Grids of consecutive groups.
struct Grids {
  std::vector<float> scales;  ///< rounded to the dtype in which they are stored
  std::vector<int> zeros;
};

/// The grid of each consecutive `group` of `values` (rows [n, in] when group divides in). `importance` is empty, or one
/// weight of the squared error per input, [in], repeated row after row.
Grids choose_grids(std::span<const float> values, std::size_t group, const QuantScheme& scheme,
                   const GridOptions& options, std::span<const float> importance, DType scale_dtype);

/// Rows [n, in] rounded to given grids.
QuantizedTensor encode(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme, Grids grids);
/// What the codes stand for, [rows, cols].
void decode(const QuantizedTensor& tensor, std::span<float> rows);

/// Quantizes rows [n, in] block by block on up to `threads` threads; `rows_of` makes the codes of some whole rows.
QuantizedTensor by_row_blocks(std::span<const float> rows, std::int64_t in, int threads,
                              const std::function<QuantizedTensor(std::span<const float>)>& rows_of);

}  // namespace advisor
