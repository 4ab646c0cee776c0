// How techniques choose the grid (scale and zero point) of each group, with the parameters that say so, and rounding
// to grids. Shared by all techniques that write codes.
#pragma once

#include <cstdint>
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
  bool output = false;               ///< weigh errors by the group's block of the Gram matrix, where it is known
};

/// `params` complete (complete_params). Throws invalid_argument naming the parameter.
GridOptions read_grid_options(const TechniqueParams& params);
double read_number(const TechniqueParams& params, const std::string& key, double low, double high);
int read_integer(const TechniqueParams& params, const std::string& key, int low, int high);

/// What no technique of this build can do with a scheme: throws unsupported or invalid_argument.
void check_grid_scheme(std::string_view technique, const QuantScheme& scheme, const GridOptions& options);

/// Inputs per group; throws invalid_argument when the groups of the scheme do not divide `in`.
std::int64_t group_size(std::int64_t in, const QuantScheme& scheme);

/// Grids of some rows: scales and zero points as in QuantizedTensor.
struct Grids {
  std::vector<float> scales;
  std::vector<int> zeros;  ///< all 0 when symmetric
  float tensor_scale = 1;
};

/// Chooses the grid of every group. What the squared errors of a group count by: 1; `importance` [in]; or, with
/// clip=output and a Gram matrix [in, in], tr(E G E^T) of the group's columns. Keeps references to all but the scheme.
class GridChooser {
 public:
  GridChooser(const QuantScheme& scheme, const GridOptions& options, DType scale_dtype,
              std::span<const float> importance = {}, const Tensor* gram = nullptr)
      : scheme_(scheme), options_(options), scale_dtype_(scale_dtype), importance_(importance), gram_(gram) {}

  /// Must be told the whole matrix where one scale lies on top of all others (ScaleType::e4m3).
  void set_tensor_scale(std::span<const float> matrix);

  /// Of rows [n, in] that begin a block of rows. Throws invalid_argument when a scale overflows its type.
  Grids choose(std::span<const float> rows, std::int64_t in) const;
  /// The same for a whole matrix, after set_tensor_scale, on up to `threads` threads.
  Grids choose_all(std::span<const float> matrix, std::int64_t in, int threads);

 private:
  std::vector<float> stored(std::span<const double> ideal) const;
  void add_errors(std::span<const float> rows, std::int64_t in, const Grids& grids, std::span<double> errors) const;
  void add_output_errors(std::span<const float> rows, std::int64_t in, const Grids& grids,
                         std::span<double> errors) const;

  QuantScheme scheme_;
  const GridOptions& options_;
  DType scale_dtype_;
  std::span<const float> importance_;
  const Tensor* gram_;
  float tensor_scale_ = 1;
};

/// Rows [n, in] rounded to given grids.
QuantizedTensor encode(std::span<const float> rows, std::int64_t in, const QuantScheme& scheme, Grids grids);
/// Both for a whole matrix, block of rows by block of rows, on up to `threads` threads.
QuantizedTensor round_to_nearest(std::span<const float> matrix, std::int64_t in, const QuantScheme& scheme,
                                 GridChooser& chooser, int threads);

}  // namespace advisor
