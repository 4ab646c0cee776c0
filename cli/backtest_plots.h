// Charts of a backtest: whether intervals hold, and predicted against measured.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "facade.h"

namespace advisor::cli {

/// File names (<kind>_calibration.svg, <kind>_scatter.svg) and their text, for every kind with predicted rows.
std::vector<std::pair<std::string, std::string>> backtest_plots(const BacktestReport& report);

}  // namespace advisor::cli
