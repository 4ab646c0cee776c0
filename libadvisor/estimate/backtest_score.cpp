#include "estimate/backtest_score.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/suggest.h"
#include "estimate/backtest_baselines.h"

namespace advisor {

namespace {

double mean_of(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double log_density(const Distribution& d, double x) {
  const double z = (x - d.mean) / d.sd;
  // ln of the density directly: in the far tail the density itself is 0 in floating point.
  const double half = (d.df + 1) / 2;
  return std::lgamma(half) - std::lgamma(d.df / 2) - 0.5 * std::log(d.df * M_PI) - std::log(d.sd) -
         half * std::log1p(z * z / d.df);
}

double ratio(double ours, double theirs) { return theirs > 0 ? ours / theirs : 0; }

BacktestScore::Baseline compare(const std::vector<const BacktestRow*>& rows, std::size_t which, std::string name) {
  std::vector<double> ours, theirs;
  for (const auto* row : rows) {
    if (!row->predicted || which >= row->baselines.size() || !row->baselines[which]) continue;
    ours.push_back(absolute_error(*row->kind, row->prediction.mean, row->observed));
    theirs.push_back(absolute_error(*row->kind, *row->baselines[which], row->observed));
  }
  BacktestScore::Baseline result;
  result.name = std::move(name);
  result.n = static_cast<std::int64_t>(theirs.size());
  if (theirs.empty()) return result;
  result.mae = mean_of(theirs), result.median_ae = median_of(theirs);
  result.skill_mean = ratio(mean_of(ours), result.mae);
  result.skill_median = ratio(median_of(ours), result.median_ae);
  return result;
}

std::string property_of(const BacktestRow& row, const std::string& property) {
  if (property == "task_family") return row.family;
  if (property == "task") return row.task;
  if (property == "technique") return row.technique;
  if (property == "format") return row.format;
  if (property == "engine") return row.engine;
  if (property == "hardware") return row.hardware;
  if (property == "quantity") return row.quantity;
  if (property == "basis") return row.predicted ? std::string(name(row.basis)) : "none";
  if (property == "source") return row.source;
  return row.model;
}

using Rows = std::vector<const BacktestRow*>;

Rows rows_where(const BacktestReport& report, const std::function<bool(const BacktestRow&)>& wanted) {
  Rows rows;
  for (const auto& row : report.scored)
    if (wanted(row)) rows.push_back(&row);
  return rows;
}

}  // namespace

double absolute_error(const BacktestKind& kind, double predicted, double observed) {
  if (kind.unit == ErrorUnit::relative) return std::abs(std::expm1(predicted - observed));
  return std::abs(predicted - observed);
}

BacktestScore score(const std::vector<const BacktestRow*>& rows) {
  BacktestScore result;
  result.n = static_cast<std::int64_t>(rows.size());
  std::vector<double> errors, differences, widths, densities;
  std::map<int, double> covered;
  for (const auto* row : rows) {
    if (!row->predicted) continue;
    errors.push_back(absolute_error(*row->kind, row->prediction.mean, row->observed));
    differences.push_back(row->prediction.mean - row->observed);
    widths.push_back(row->prediction.quantile(0.95) - row->prediction.quantile(0.05));
    densities.push_back(log_density(row->prediction, row->observed));
    for (const int level : {50, 80, 90})
      if (std::abs(row->probability - 0.5) <= level / 200.0) ++covered[level];
  }
  if (rows.empty()) return result;
  const auto names = baseline_names(*rows.front()->kind);
  for (std::size_t i = 0; i < names.size(); ++i) result.baselines.push_back(compare(rows, i, names[i]));
  result.predicted = static_cast<std::int64_t>(errors.size());
  if (errors.empty()) return result;
  const auto predicted = static_cast<double>(errors.size());
  result.mae = mean_of(errors), result.median_ae = median_of(errors);
  result.bias = mean_of(differences);
  if (rows.front()->kind->unit == ErrorUnit::relative) result.bias = std::expm1(result.bias);
  result.coverage50 = covered[50] / predicted;
  result.coverage80 = covered[80] / predicted;
  result.coverage90 = covered[90] / predicted;
  result.width90 = mean_of(widths);
  result.log_score = mean_of(densities);
  return result;
}

std::vector<BacktestGroup> score_kinds(const BacktestReport& report) {
  std::vector<BacktestGroup> groups;
  for (const auto& kind : backtest_kinds()) {
    const auto rows = rows_where(report, [&](const BacktestRow& row) { return row.kind == &kind; });
    if (!rows.empty()) groups.push_back({kind.id, "", "", score(rows)});
  }
  return groups;
}

const std::vector<std::string>& backtest_properties() {
  static const std::vector<std::string> properties{"task_family", "task",     "technique", "format", "engine",
                                                   "hardware",    "quantity", "basis",     "source", "model"};
  return properties;
}

std::vector<BacktestGroup> score_by(const BacktestReport& report, const std::string& property) {
  const auto& known = backtest_properties();
  if (std::find(known.begin(), known.end(), property) == known.end()) {
    throw Error(ErrorCode::invalid_argument, "rows cannot be grouped by \"" + property + '"' +
                                                 did_you_mean(property, known) + "; known: " + join(known));
  }
  std::vector<BacktestGroup> groups;
  for (const auto& kind : backtest_kinds()) {
    std::map<std::string, Rows> values;
    for (const auto& row : report.scored)
      if (const auto value = property_of(row, property); row.kind == &kind && !value.empty())
        values[value].push_back(&row);
    for (const auto& [value, rows] : values) groups.push_back({kind.id, property, value, score(rows)});
  }
  return groups;
}

std::vector<ErrorShare> error_shares(const BacktestReport& report, std::size_t most) {
  constexpr std::int64_t enough = 5;
  constexpr double notable = 2;
  std::vector<ErrorShare> all;
  for (const auto& whole : score_kinds(report)) {
    const auto rows = static_cast<double>(whole.score.predicted);
    const double error = whole.score.mae * rows;
    if (error <= 0) continue;
    std::vector<ErrorShare> shares;
    for (const char* property : {"task_family", "technique", "format", "engine", "hardware", "source"}) {
      for (const auto& group : score_by(report, property)) {
        const auto some = static_cast<double>(group.score.predicted);
        const ErrorShare share{
            group.kind, property, group.value, group.score.predicted, some / rows, group.score.mae * some / error};
        if (group.kind == whole.kind && share.rows >= enough && share.share_of_error >= notable * share.share_of_rows)
          shares.push_back(share);
      }
    }
    std::stable_sort(shares.begin(), shares.end(), [](const ErrorShare& a, const ErrorShare& b) {
      return a.share_of_error - a.share_of_rows > b.share_of_error - b.share_of_rows;
    });
    shares.resize(std::min(shares.size(), most));
    all.insert(all.end(), shares.begin(), shares.end());
  }
  return all;
}

BacktestGroup score_overall(const BacktestReport& report) {
  for (const std::string measure : {"accuracy", "perplexity", "speed"}) {
    const auto rows = rows_where(report, [&](const BacktestRow& row) { return row.kind->measure == measure; });
    if (!rows.empty()) return {measure, "", "", score(rows)};
  }
  return {"none", "", "", {}};
}

}  // namespace advisor
