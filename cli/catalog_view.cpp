#include <algorithm>
#include <cctype>

#include "cli/catalog.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"

namespace advisor::cli {
namespace {

std::size_t find_column(const Table& table, const std::string& column, const std::string& option) {
  const auto found = std::find(table.columns.begin(), table.columns.end(), column);
  if (found == table.columns.end()) {
    throw Error(ErrorCode::invalid_argument, option + ": there is no column \"" + column + '"' +
                                                 did_you_mean(column, table.columns) +
                                                 "; columns: " + join(table.columns));
  }
  return static_cast<std::size_t>(found - table.columns.begin());
}

void keep_matching(Table& table, std::size_t column, const std::string& wanted) {
  const auto same = [&](const std::vector<Cell>& row) { return lower(plain(row[column])) == lower(wanted); };
  const auto contains = [&](const std::vector<Cell>& row) {
    return lower(plain(row[column])).find(lower(wanted)) != std::string::npos;
  };
  const bool exact = std::any_of(table.rows.begin(), table.rows.end(), same);
  std::erase_if(table.rows, [&](const auto& row) { return exact ? !same(row) : !contains(row); });
}

void keep_sizes(Table& table, const View& view) {
  if (!view.min_params && !view.max_params) return;
  const auto column = find_column(table, "params_b", view.min_params ? "--min-params" : "--max-params");
  std::erase_if(table.rows, [&](const std::vector<Cell>& row) {
    const auto* billions = std::get_if<double>(&row[column]);
    return billions == nullptr || *billions * 1e9 < view.min_params.value_or(0) ||
           *billions * 1e9 > view.max_params.value_or(1e300);
  });
}

void sort_by(Table& table, const std::string& order) {
  if (order.empty()) return;
  const bool descending = order.front() == '-';
  const auto column = find_column(table, order.substr(descending ? 1 : 0), "--sort");
  const auto unknown = [&](const std::vector<Cell>& row) {
    return std::holds_alternative<std::monostate>(row[column]);
  };
  std::stable_sort(table.rows.begin(), table.rows.end(), [&](const auto& a, const auto& b) {
    if (unknown(a) || unknown(b)) return !unknown(a) && unknown(b);  // what is not known comes last either way
    return descending ? b[column] < a[column] : a[column] < b[column];
  });
}

void select(Table& table, const std::vector<std::string>& columns) {
  std::vector<std::size_t> chosen;
  for (const auto& column : columns) chosen.push_back(find_column(table, column, "--columns"));
  for (auto& row : table.rows) {
    std::vector<Cell> cells;
    for (const auto column : chosen) cells.push_back(row[column]);
    row = std::move(cells);
  }
  table.columns = columns;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

}  // namespace

std::size_t apply(const View& view, Listing& listing, bool all_columns) {
  Table& table = listing.table;
  for (const auto& [column, wanted] : view.filters)
    keep_matching(table, find_column(table, column, "--" + column), wanted);
  keep_sizes(table, view);
  if (!view.text.empty()) table.keep(view.text);
  sort_by(table, view.sort);
  const auto found = table.rows.size();
  if (view.limit > 0 && view.limit < found) table.rows.resize(view.limit);
  if (!view.columns.empty()) {
    select(table, view.columns);
  } else if (!all_columns && !listing.shown.empty()) {
    select(table, listing.shown);
  }
  return found;
}

std::string csv(const Table& table) {
  std::string out;
  const auto line = [&](const auto& cells, const auto& text) {
    for (std::size_t c = 0; c < cells.size(); ++c) out += (c == 0 ? "" : ",") + quoted(text(cells[c]));
    out += "\r\n";
  };
  line(table.columns, [](const std::string& column) { return column; });
  for (const auto& row : table.rows) line(row, [](const Cell& value) { return plain(value); });
  return out;
}

}  // namespace advisor::cli
