#include "cli/backtest_plots.h"

#include <algorithm>
#include <cmath>

#include "cli/svg.h"

namespace advisor::cli {
namespace {

using Points = std::vector<std::pair<double, double>>;
using Rows = std::vector<const BacktestRow*>;

const std::string blue = "#1f6fb2", grey = "#8a8a8a", red = "#b03030";

std::string left_out_text(const BacktestReport& report, const Rows& rows) {
  const auto known = std::count_if(rows.begin(), rows.end(), [](const auto* row) { return row->known; });
  const std::string n = "n = " + std::to_string(rows.size());
  if (known == 0) return n;
  return n + ", whole " + (report.left_out == LeftOut::source ? "sources" : "models") + " left out";
}

/// Nominal against observed coverage of central intervals.
Chart coverage_chart(const BacktestKind& kind, const std::string& note, const Rows& rows) {
  Chart chart(kind.title, "Do intervals hold? " + note, {"level of the interval, %", 0, 100},
              {"measured values inside it, %", 0, 100});
  chart.line({{0, 0}, {100, 100}}, grey, true);
  std::vector<double> needed;  // the level at which an interval just reaches the measured value
  for (const auto* row : rows) needed.push_back(200 * std::abs(row->probability - 0.5));
  std::sort(needed.begin(), needed.end());
  const auto inside = [&](double level) {
    const auto count = std::upper_bound(needed.begin(), needed.end(), level) - needed.begin();
    return 100 * static_cast<double>(count) / static_cast<double>(needed.size());
  };
  Points curve, levels;
  for (int level = 0; level <= 100; level += 2) curve.emplace_back(level, inside(level));
  for (const double level : {50.0, 80.0, 90.0}) levels.emplace_back(level, inside(level));
  chart.line(curve, blue);
  chart.points(levels, blue, 4, 1);
  std::string observed = "observed inside:";
  for (const auto& [level, share] : levels) {
    char text[48];
    std::snprintf(text, sizeof text, "%s %.1f of %.0f %%", level > 50 ? "," : "", share, level);
    observed += text;
  }
  chart.legend(blue, observed);
  chart.legend(grey, "ideal");
  return chart;
}

/// Probability integral transform: flat when the whole distribution is right, a hump when intervals are too wide, horns
/// when they are too narrow.
Chart pit_chart(const std::string& note, const Rows& rows) {
  constexpr int bins = 20;
  std::vector<double> counts(bins);
  for (const auto* row : rows) {
    const int bin = std::clamp(static_cast<int>(row->probability * bins), 0, bins - 1);
    counts[static_cast<std::size_t>(bin)] += 100.0 / static_cast<double>(rows.size());
  }
  const double highest = std::max(12.0, 1.1 * *std::max_element(counts.begin(), counts.end()));
  Chart chart("", "Where measured values fall, " + note, {"predicted probability of a lower value, %", 0, 100},
              {"measured values, %", 0, highest});
  for (int i = 0; i < bins; ++i)
    chart.bar(100.0 * i / bins, 100.0 * (i + 1) / bins, counts[static_cast<std::size_t>(i)], "#7fb0d8");
  chart.line({{0, 100.0 / bins}, {100, 100.0 / bins}}, grey, true);
  chart.legend(grey, "flat = right; hump = too wide; horns = too narrow");
  return chart;
}

const char* unit_of(const BacktestKind& kind) {
  if (kind.unit == ErrorUnit::recovery) return "recovery above chance, %";
  if (kind.unit == ErrorUnit::log_ratio) return "perplexity / uncompressed";
  const std::string id = kind.id;
  if (id == "ttft" || id == "tpot") return "s";
  return "tokens/s";
}

/// From the inner 99 % of all values, so that a few wild ones do not squeeze the rest.
Axis scatter_axis(const std::string& title, std::vector<double> values, bool logarithmic) {
  std::sort(values.begin(), values.end());
  const auto at = [&](double p) {
    return values[static_cast<std::size_t>(p * static_cast<double>(values.size() - 1))];
  };
  double low = at(0.005), high = at(0.995);
  if (logarithmic) return {title, low / 1.15, high * 1.15, true};
  const double margin = std::max(0.04 * (high - low), 0.5);
  return {title, low - margin, high + margin, false};
}

Chart scatter_chart(const BacktestKind& kind, const std::string& note, const Rows& rows) {
  const bool logarithmic = kind.unit != ErrorUnit::recovery;
  Points inside, outside;
  std::vector<double> all;
  for (const auto* row : rows) {
    const auto shown = [&](double value) { return logarithmic ? std::exp(value) : 100 * value; };
    const std::pair point{shown(row->observed), shown(row->prediction.mean)};
    (std::abs(row->probability - 0.5) <= 0.45 ? inside : outside).push_back(point);
    for (const double value : {point.first, point.second})
      if (std::isfinite(value)) all.push_back(value);
  }
  const std::string unit = unit_of(kind);
  const Axis x = scatter_axis("measured, " + unit, all, logarithmic);
  Axis y = x;
  y.title = "predicted, " + unit;
  Chart chart(kind.title, "Predicted against measured, " + note, x, y);
  chart.line({{x.low, x.low}, {x.high, x.high}}, grey, true);
  chart.points(inside, blue);
  chart.points(outside, red, 2, 0.5);
  chart.legend(blue, "measured value inside the 90 % interval (" + std::to_string(inside.size()) + ")");
  chart.legend(red, "outside (" + std::to_string(outside.size()) + ")");
  return chart;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> backtest_plots(const BacktestReport& report) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& kind : backtest_kinds()) {
    Rows rows;
    for (const auto& row : report.scored)
      if (row.kind == &kind && row.predicted) rows.push_back(&row);
    if (rows.empty()) continue;
    const std::string note = left_out_text(report, rows);
    files.emplace_back(std::string(kind.id) + "_calibration.svg",
                       svg({coverage_chart(kind, note, rows), pit_chart(note, rows)}));
    files.emplace_back(std::string(kind.id) + "_scatter.svg", svg({scatter_chart(kind, note, rows)}));
  }
  return files;
}

}  // namespace advisor::cli
