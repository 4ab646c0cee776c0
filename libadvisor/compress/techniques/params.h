// Tables of parameters of techniques that are made of others.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "compress/technique.h"

namespace advisor {

template <std::size_t A, std::size_t B>
constexpr std::array<TechniqueParam, A + B> concatenate(const std::array<TechniqueParam, A>& a,
                                                        const std::array<TechniqueParam, B>& b) {
  std::array<TechniqueParam, A + B> all{};
  std::ranges::copy(b, std::ranges::copy(a, all.begin()).out);
  return all;
}

/// Parameters of every technique that chooses grids, with its defaults.
constexpr std::array<TechniqueParam, 4> grid_params(std::string_view clip, std::string_view floor = "0.80",
                                                    std::string_view points = "20") {
  return {
      TechniqueParam{"range", "full|restricted", "full",
                     "symmetric scale: absmax / ((2^b - 1) / 2) (compressed-tensors) or absmax / (2^(b-1) - 1)"},
      TechniqueParam{"clip", "none|mse|output", clip,
                     "search the clipping of each group with the least squared error of weights (mse; counted by the "
                     "mean square of the inputs where it is known) or of what the group adds to the output (output)"},
      TechniqueParam{"clip_floor", "<number in [0.05, 1)>", floor,
                     "smallest fraction of the range that the search tries"},
      TechniqueParam{"clip_points", "<integer in [1, 1000]>", points, "steps of the search from 1 to clip_floor"},
  };
}

constexpr std::array gptq_own_params{
    TechniqueParam{"actorder", "static|group_aware|none", "static",
                   "order of the columns: by decreasing mean square of the input, groups as they are stored (static); "
                   "the same within groups and of groups as wholes (group_aware); as stored (none)"},
    TechniqueParam{"scales", "static|updated", "static",
                   "grids of groups are chosen from the weights as given, or as compensated when their group begins"},
    TechniqueParam{"damp", "<number in [0, 1]>", "0.01",
                   "part of the mean diagonal that is added to the diagonal of the Gram matrix"},
};
constexpr auto gptq_params = concatenate(gptq_own_params, grid_params("mse"));

/// Of `given`, completed for `technique`, those parameters that `inner` has.
TechniqueParams shared_params(const TechniqueImpl& inner, const TechniqueImpl& technique, const TechniqueParams& given);

}  // namespace advisor
