#include "cli/backtest_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/table.h"

namespace advisor::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
std::string percent(double share, int digits = 1) { return fixed(100 * share, digits); }

std::string csv(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

const BacktestKind* find_kind(const std::string& id) {
  const auto& kinds = backtest_kinds();
  const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const auto& kind) { return id == kind.id; });
  return found == kinds.end() ? nullptr : &*found;
}

std::string title_of(const BacktestGroup& group) {
  if (!group.value.empty()) return group.value;
  const auto* kind = find_kind(group.kind);
  return kind != nullptr ? kind->title : group.kind;
}

const std::vector<std::string> headings{"",          "n",        "predicted",   "MAE",       "median",
                                        "bias",      "50 %",     "80 %",        "90 %",      "width",
                                        "log score", "MAE base", "median base", "MAE ratio", "median ratio"};

std::vector<std::string> line_of(const BacktestGroup& group) {
  const BacktestScore& s = group.score;
  std::vector<std::string> line{title_of(group), std::to_string(s.n), std::to_string(s.predicted)};
  if (s.predicted == 0) {
    line.resize(headings.size(), "-");
    return line;
  }
  for (const double share : {s.mae, s.median_ae, s.bias}) line.push_back(percent(share, 2));
  for (const double share : {s.coverage50, s.coverage80, s.coverage90}) line.push_back(percent(share));
  line.push_back(percent(s.width90));
  line.push_back(fixed(s.log_score, 2));
  if (s.baselines.empty() || s.baselines[0].n == 0) {
    line.resize(headings.size(), "-");
    return line;
  }
  const auto& base = s.baselines[0];
  line.push_back(percent(base.mae, 2));
  line.push_back(percent(base.median_ae, 2));
  line.push_back(fixed(base.skill_mean, 2));
  line.push_back(fixed(base.skill_median, 2));
  return line;
}

/// Columns on a screen: bytes that start a character, not all bytes.
std::size_t width_of(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// The first column to the left, numbers to the right.
std::string align(const std::vector<std::vector<std::string>>& lines) {
  std::vector<std::size_t> widths(headings.size());
  for (const auto& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], width_of(line[c]));
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) {
      const std::string space(widths[c] - width_of(line[c]), ' ');
      out += c == 0 ? line[c] + space : "  " + space + line[c];
    }
    out += '\n';
  }
  return out;
}

/// A bar would end the cell.
std::string markdown_cell(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, "\\");
  return text;
}

std::string markdown_table(const std::vector<std::vector<std::string>>& lines) {
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const auto& text : lines[i]) out += "| " + markdown_cell(text) + " ";
    out += "|\n";
    if (i == 0) {
      out += "|---|";
      for (std::size_t c = 1; c < headings.size(); ++c) out += "---:|";
      out += '\n';
    }
  }
  return out;
}

using Lines = std::vector<std::vector<std::string>>;

Lines table_of(const std::vector<BacktestGroup>& groups, const std::string& first) {
  Lines lines{headings};
  lines[0][0] = first;
  for (const auto& group : groups) lines.push_back(line_of(group));
  return lines;
}

std::string summary(const BacktestReport& report) {
  const char* what = report.left_out == LeftOut::source ? "source" : "model";
  const auto known = std::count_if(report.scored.begin(), report.scored.end(), [](const auto& r) { return r.known; });
  const auto unknown = static_cast<std::ptrdiff_t>(report.scored.size()) - known;
  std::string text =
      std::to_string(report.rows) + " measurements, " + std::to_string(report.scored.size()) + " scored.";
  if (known > 0)
    text += " For " + std::to_string(known) + " of them the whole " + what + " was left out and everything refitted.";
  if (unknown > 0)
    text += " " + std::to_string(unknown) + " are of a " + what +
            " that the database does not know: predicted with everything in it.";
  return text + "\n";
}

const char* const explanations[] = {
    "All in %. Errors: accuracy in points of recovery above chance, (value - chance) / (baseline - chance); perplexity "
    "as ln(value / baseline); speed as |predicted / measured - 1|.",
    "n: rows that are a question; predicted: those that were answered; MAE, median: mean and median absolute error.",
    "bias: mean of predicted less measured; above 0 = too optimistic about accuracies, rates, and times too long.",
    "50 %, 80 %, 90 %: share of measured values inside the interval of that level; right when they agree.",
    "width: mean width of the 90 % interval in the same space (speed: of the logarithm); narrow is worth something "
    "only "
    "where coverage holds.",
    "log score: mean log density at the measured value; higher is better, comparable only within a line's rows.",
    "base: the baseline fitted to the same rows (quality: mean of the same format, pruning: of the same technique and "
    "pattern; speed: roofline with one factor per engine and kind of hardware); ratio: ours / its, below 1 is better.",
};

std::vector<std::pair<std::string, std::int64_t>> reasons(const BacktestReport& report) {
  std::vector<std::pair<std::string, std::int64_t>> list(report.unscored.begin(), report.unscored.end());
  std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return list;
}

std::string sentence(const ErrorShare& share) {
  const auto* kind = find_kind(share.kind);
  return std::string(kind != nullptr ? kind->title : share.kind) + ": " + percent(share.share_of_error, 0) +
         " % of the error in " + percent(share.share_of_rows, 1) + " % of the rows (" + std::to_string(share.rows) +
         "), " + share.by + " " + share.value;
}

template <typename Render, typename Heading>
std::string sections(const BacktestReport& report, const std::vector<std::string>& properties, Render render,
                     Heading heading) {
  std::string out;
  for (const auto& property : properties) {
    std::map<std::string, std::vector<BacktestGroup>> by_kind;
    for (auto& group : score_by(report, property)) by_kind[group.kind].push_back(std::move(group));
    for (const auto& kind : backtest_kinds())
      if (by_kind.contains(kind.id))
        out += heading(std::string(kind.title) + ", by " + property) + render(table_of(by_kind[kind.id], property));
  }
  return out;
}

Json json_of(const BacktestScore& s) {
  const bool some = s.predicted > 0;
  const bool base = some && !s.baselines.empty() && s.baselines[0].n > 0;
  const auto number = [](bool known, double value) { return known ? Json(value) : Json(nullptr); };
  Json json{
      {"n", s.n},
      {"predicted", s.predicted},
      {"mae", number(some, s.mae)},
      {"median_ae", number(some, s.median_ae)},
      {"bias", number(some, s.bias)},
      {"coverage",
       {{"50", number(some, s.coverage50)}, {"80", number(some, s.coverage80)}, {"90", number(some, s.coverage90)}}},
      {"baseline_mae", number(base, base ? s.baselines[0].mae : 0)},
      {"baseline_median_ae", number(base, base ? s.baselines[0].median_ae : 0)},
      {"skill_mean", number(base, base ? s.baselines[0].skill_mean : 0)},
      {"skill_median", number(base, base ? s.baselines[0].skill_median : 0)},
      {"width_90", number(some, s.width90)},
      {"log_score", number(some, s.log_score)}};
  Json& list = json["baselines"] = Json::array();
  for (const auto& b : s.baselines)
    list.push_back(
        {{"name", b.name}, {"n", b.n}, {"mae", number(b.n > 0, b.mae)}, {"median_ae", number(b.n > 0, b.median_ae)}});
  return json;
}

const char* unit_name(ErrorUnit unit) {
  switch (unit) {
    case ErrorUnit::recovery: return "recovery";
    case ErrorUnit::log_ratio: return "log_ratio";
    case ErrorUnit::relative: return "relative";
  }
  return "relative";
}

}  // namespace

std::string backtest_text(const BacktestReport& report, const std::vector<std::string>& properties) {
  std::string out = summary(report) + "\n" + align(table_of(score_kinds(report), "kind"));
  out += sections(report, properties, align, [](const std::string& title) { return "\n" + title + "\n"; });
  out += '\n';
  for (const char* line : explanations) out += std::string(line) + '\n';
  const auto shares = error_shares(report);
  if (!shares.empty()) out += "\nwhere the error is:\n";
  for (const auto& share : shares) out += "  " + sentence(share) + '\n';
  const auto list = reasons(report);
  if (!list.empty()) out += "\nnot scored:\n";
  for (const auto& [why, rows] : list) {
    const std::string count = std::to_string(rows);
    out += std::string(count.size() < 7 ? 7 - count.size() : 0, ' ') + count + "  " + why + '\n';
  }
  return out;
}

std::string backtest_markdown(const BacktestReport& report, const std::vector<std::string>& properties) {
  std::string out = summary(report) + "\n" + markdown_table(table_of(score_kinds(report), "kind"));
  out +=
      sections(report, properties, markdown_table, [](const std::string& title) { return "\n**" + title + "**\n\n"; });
  out += '\n';
  for (const char* line : explanations) out += std::string("- ") + line + '\n';
  const auto shares = error_shares(report);
  if (!shares.empty()) out += "\nWhere the error is:\n\n";
  for (const auto& share : shares) out += "- " + sentence(share) + '\n';
  const auto list = reasons(report);
  if (!list.empty()) out += "\n| not scored because | rows |\n|---|---:|\n";
  for (const auto& [why, rows] : list) out += "| " + markdown_cell(why) + " | " + std::to_string(rows) + " |\n";
  return out;
}

std::string backtest_json(const BacktestReport& report) {
  Json json{{"schema", "advisor.backtest/1"},
            {"left_out", report.left_out == LeftOut::source ? "source" : "model"},
            {"rows", report.rows},
            {"scored", report.scored.size()},
            {"folds", report.folds}};
  const BacktestGroup overall = score_overall(report);
  json["overall"] = Json{{"measure", overall.kind}};
  json["overall"].update(json_of(overall.score));
  Json& kinds = json["kinds"] = Json::array();
  for (const auto& group : score_kinds(report)) {
    const auto* kind = find_kind(group.kind);
    kinds.push_back(Json{{"kind", group.kind}, {"measure", kind->measure}, {"unit", unit_name(kind->unit)}});
    kinds.back().update(json_of(group.score));
  }
  Json& groups = json["groups"] = Json::array();
  for (const auto& property : backtest_properties()) {
    for (const auto& group : score_by(report, property)) {
      groups.push_back(Json{{"by", group.by}, {"value", group.value}, {"kind", group.kind}});
      groups.back().update(json_of(group.score));
    }
  }
  Json& shares = json["error_shares"] = Json::array();
  for (const auto& share : error_shares(report))
    shares.push_back({{"kind", share.kind},
                      {"by", share.by},
                      {"value", share.value},
                      {"rows", share.rows},
                      {"share_of_rows", share.share_of_rows},
                      {"share_of_error", share.share_of_error}});
  Json& unscored = json["not_scored"] = Json::array();
  for (const auto& [why, rows] : reasons(report)) unscored.push_back({{"reason", why}, {"rows", rows}});
  return json.dump(2);
}

std::string backtest_csv(const BacktestReport& report) {
  std::string out =
      "kind,source,model,task_family,task,technique,format,engine,hardware,observed,predicted,sd,df,low_90,high_90,"
      "probability,basis,baseline,where\n";
  for (const auto& row : report.scored) {
    std::string line;
    for (const auto& text : {std::string(row.kind->id), row.source, row.model, row.family, row.task, row.technique,
                             row.format, row.engine, row.hardware})
      line += csv(text) + ',';
    line += fixed(row.observed, 6) + ',';
    if (row.predicted) {
      const Distribution& d = row.prediction;
      for (const double x : {d.mean, d.sd, d.df, d.quantile(0.05), d.quantile(0.95), row.probability})
        line += fixed(x, 6) + ',';
      line += std::string(name(row.basis)) + ',';
    } else {
      line += ",,,,,,none,";
    }
    const bool base = !row.baselines.empty() && row.baselines[0];
    out += line + (base ? fixed(*row.baselines[0], 6) : "") + ',' + csv(row.where) + '\n';
  }
  return out;
}

}  // namespace advisor::cli
