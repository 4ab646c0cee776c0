// Gauss-Newton for the hierarchical speed model; internal to speed_fit.cpp.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "estimate/speed_fit.h"

namespace advisor {

/// One unknown: an effect at a level, or a source's offset.
struct SpeedColumn {
  std::size_t block = 0, effect = 0;
  std::string key;
  double sd = 0;
};

struct SpeedSolution {
  std::vector<SpeedColumn> columns;
  std::vector<double> value;
  std::vector<double> covariance;  ///< row-major, columns x columns
  std::vector<double> held_out;    ///< per row: residual with its publisher left out
  std::vector<double> held_out_variance;
  double at(std::size_t i, std::size_t j) const { return covariance[i * columns.size() + j]; }
};

/// Rows in any order give the same result when they are sorted; the caller sorts.
SpeedSolution solve_speed(const std::vector<SpeedRow>& rows);

/// Key of an effect at the levels of a row; false when the block does not apply.
bool speed_effect_key(const SpeedBlock& block, const SpeedEffect& effect, const SpeedLevels& levels, std::string& key);

}  // namespace advisor
