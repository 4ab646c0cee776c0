// Rows for people (aligned columns) or for programs (a JSON list of objects with the column names as keys).
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace advisor::cli {

/// Text, a number, or nothing known (printed as "-", null in JSON).
using Cell = std::variant<std::monostate, std::string, double, bool>;

template <typename T>
Cell cell(const std::optional<T>& value) {
  if (!value) return {};
  if constexpr (std::is_same_v<T, bool>) return *value;
  return static_cast<double>(*value);
}
inline Cell cell(const std::string& value) { return value.empty() ? Cell{} : Cell{value}; }

/// ASCII letters in lower case, for comparisons whatever the case.
std::string lower(std::string text);
/// As people read it; `unknown` for nothing known.
std::string plain(const Cell& cell, const char* unknown = "");

struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;

  /// Keeps rows in which some text contains `filter`, whatever the case.
  void keep(const std::string& filter);
  std::string text() const;
  std::string json() const;
};

}  // namespace advisor::cli
