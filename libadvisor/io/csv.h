// Comma-separated values as in RFC 4180: quoted fields, doubled quotes, line breaks inside quotes, LF or CRLF, an
// optional byte order mark. No library: none in Debian 12 both reports the line of a mistake and refuses what is not
// RFC 4180 (a quote inside a bare field, text after a closing quote), and the reader is shorter than the glue would be.
// It knows nothing of columns and types; that is what data/schema.sql is for.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace advisor {

struct CsvRow {
  std::vector<std::string> fields;
  int line = 0;  ///< of the row's first character, counted from 1
};

struct CsvTable {
  std::string file;  ///< as it is named in messages
  std::vector<std::string> columns;
  std::vector<CsvRow> rows;  ///< each has columns.size() fields

  /// "data/models.csv:17"
  std::string where(const CsvRow& row) const;
};

/// Throws parse_error with file and line for a header without names or with a name twice, a ragged row, a stray or
/// unterminated quote, bytes that are not UTF-8. Blank lines are skipped.
CsvTable parse_csv(std::string_view text, const std::string& file);

/// As parse_csv; `file` in messages is `name`. Throws not_found or io_error when the file cannot be read.
CsvTable read_csv(const std::filesystem::path& path, const std::string& name);

/// One field, quoted where RFC 4180 asks for it.
std::string csv_field(std::string_view text);

}  // namespace advisor
