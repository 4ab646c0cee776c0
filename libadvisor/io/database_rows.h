// How the rows of advisor.db become values; shared by the database_*.cpp files and by nobody else.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "core/knowledge.h"
#include "io/database.h"
#include "io/sqlite.h"

namespace advisor {

inline constexpr double billion = 1e9, giga = 1e9, tera = 1e12;
/// Memory sizes are binary: an "80 GB" A100 reports 81920 MiB, a "141 GB" H200 143771 MiB, a "24 GB" 4090 24564 MiB.
inline constexpr double gigabyte_of_memory = 1024.0 * 1024 * 1024;

inline std::optional<double> times(std::optional<double> number, double factor) {
  return number ? std::optional(*number * factor) : std::nullopt;
}

/// "text;image" -> {"text", "image"}
inline std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> items;
  if (list.empty()) return items;
  items.reserve(static_cast<std::size_t>(std::count(list.begin(), list.end(), ';')) + 1);
  for (std::size_t start = 0; start < list.size();) {
    const std::size_t end = std::min(list.find(';', start), list.size());
    if (end > start) items.emplace_back(list.substr(start, end - start));
    start = end + 1;
  }
  return items;
}

/// A count where the text is one: "512", not "ShareGPT" or "10 req/s".
inline std::optional<std::int64_t> whole_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// Reads the columns of one row from left to right, so that a query and its reader stand side by side.
class Row {
 public:
  explicit Row(const Statement& statement) : statement_(statement) {}
  std::string text() { return std::string(view()); }
  std::string_view view() { return statement_.view(next_++); }  ///< until the next step
  double number() { return statement_.number(next_++); }
  std::int64_t integer() { return statement_.integer(next_++); }
  bool yes() { return statement_.yes(next_++); }
  std::optional<double> maybe_number() { return statement_.maybe_number(next_++); }
  std::optional<std::int64_t> maybe_integer() { return statement_.maybe_integer(next_++); }
  std::optional<bool> maybe_yes() { return statement_.maybe_yes(next_++); }

 private:
  const Statement& statement_;
  int next_ = 0;
};

/// `ids` are bound to ?1, ?2, ... of `sql`; empty ones stand for all and are not in it.
template <typename Value, typename Read>
std::vector<Value> read_all(const Sqlite& database, const std::string& sql, Read read,
                            std::initializer_list<std::string_view> ids = {}) {
  std::vector<Value> values;
  Statement statement = database.prepare(sql);
  int parameter = 0;
  for (const std::string_view id : ids) {
    ++parameter;
    if (!id.empty()) statement.bind(parameter, id);
  }
  while (statement.step()) {
    Row row(statement);
    read(row, values.emplace_back());
  }
  return values;
}

/// " WHERE column = ?1" when something is chosen.
inline std::string where_is(const char* column, const std::string& chosen) {
  return chosen.empty() ? "" : std::string(" WHERE ") + column + " = ?1";
}

/// Catalogs and vocabularies into `knowledge`.
void read_catalogs(const Sqlite& database, const Selection& only, Knowledge& knowledge);
void read_vocabularies(const Sqlite& database, Knowledge& knowledge);
/// Measurements, scores and fitted terms.
void read_measurements(const Sqlite& database, const Selection& only, Knowledge& knowledge);

}  // namespace advisor
