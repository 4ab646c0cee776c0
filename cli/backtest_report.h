// A backtest as text for people, Markdown for docs/estimation.md, JSON (advisor.backtest/1) and rows as CSV.
#pragma once

#include <string>
#include <vector>

#include "facade.h"

namespace advisor::cli {

/// `properties`: what to group by besides the kind of question.
std::string backtest_text(const BacktestReport& report, const std::vector<std::string>& properties);
std::string backtest_markdown(const BacktestReport& report, const std::vector<std::string>& properties);
/// Has the groups of all properties.
std::string backtest_json(const BacktestReport& report);
/// One line per scored row: what was measured, what was predicted.
std::string backtest_csv(const BacktestReport& report);

}  // namespace advisor::cli
