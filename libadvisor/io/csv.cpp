#include "io/csv.h"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <set>

#include "core/error.h"

namespace advisor {
namespace {

/// Splits text into rows of fields; one object per parse.
class Reader {
 public:
  Reader(std::string_view text, const std::string& file) : text_(text), file_(file) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  bool at_end() const { return at_ == text_.size(); }

  CsvRow row() {
    CsvRow row;
    row.line = line_;
    do {
      row.fields.push_back(peek() == '"' ? quoted() : bare());
    } while (take(','));
    end_line();
    ++line_;
    return row;
  }

 private:
  char peek() const { return at_end() ? '\0' : text_[at_]; }

  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void end_line() {
    if (at_end() || take('\n')) return;
    if (!take('\r')) fail("text after a closing quote; quote the whole field");
    if (!at_end() && !take('\n')) fail("a carriage return inside a line; lines end in LF or CRLF");
  }

  std::string bare() {
    const std::size_t start = at_;
    while (!at_end() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '\r') {
      if (text_[at_] == '"') fail("a quote inside a field that is not quoted; quote the field and double the quote");
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  std::string quoted() {
    const int opened = line_;
    std::string field;
    for (++at_;; ++at_) {
      if (at_end()) {
        line_ = opened;
        fail("a quote opens here and is never closed");
      }
      if (text_[at_] == '"') {
        ++at_;
        if (peek() != '"') return field;
      }
      if (text_[at_] == '\n') ++line_;
      field += text_[at_];
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::parse_error, file_ + ":" + std::to_string(line_) + ": " + what);
  }

  std::string_view text_;
  const std::string& file_;
  std::size_t at_ = 0;
  int line_ = 1;
};

/// Offset of the first byte that is not well-formed UTF-8 (RFC 3629), or npos.
std::size_t bad_utf8(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(i + k < s.size() ? s[i + k] : 0); };
    const unsigned char first = byte(0);
    std::size_t more = 0;
    unsigned char low = 0x80, high = 0xBF;  // bounds of the second byte: no overlong forms, surrogates, > U+10FFFF
    if (first < 0x80) {
      ++i;
      continue;
    }
    if (first >= 0xC2 && first <= 0xDF) more = 1;
    if (first >= 0xE0 && first <= 0xEF) more = 2, low = first == 0xE0 ? 0xA0 : 0x80, high = first == 0xED ? 0x9F : 0xBF;
    if (first >= 0xF0 && first <= 0xF4) more = 3, low = first == 0xF0 ? 0x90 : 0x80, high = first == 0xF4 ? 0x8F : 0xBF;
    if (more == 0 || byte(1) < low || byte(1) > high) return i;
    for (std::size_t k = 2; k <= more; ++k) {
      if (byte(k) < 0x80 || byte(k) > 0xBF) return i;
    }
    i += more + 1;
  }
  return std::string_view::npos;
}

void check_header(const CsvTable& table) {
  std::set<std::string> seen;
  for (const auto& name : table.columns) {
    if (name.empty()) throw Error(ErrorCode::parse_error, table.file + ":1: a column has no name");
    if (!seen.insert(name).second) {
      throw Error(ErrorCode::parse_error, table.file + ":1: column " + name + " appears twice");
    }
  }
}

}  // namespace

std::string CsvTable::where(const CsvRow& row) const { return file + ":" + std::to_string(row.line); }

CsvTable parse_csv(std::string_view text, const std::string& file) {
  if (const std::size_t bad = bad_utf8(text); bad != std::string_view::npos) {
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
    throw Error(ErrorCode::parse_error, file + ":" + std::to_string(line) + ": not UTF-8");
  }
  CsvTable table;
  table.file = file;
  Reader reader(text, file);
  if (reader.at_end()) throw Error(ErrorCode::parse_error, file + ":1: empty; the first line names the columns");
  table.columns = reader.row().fields;
  check_header(table);
  while (!reader.at_end()) {
    CsvRow row = reader.row();
    if (row.fields.size() == 1 && row.fields[0].empty()) continue;
    if (row.fields.size() != table.columns.size()) {
      throw Error(ErrorCode::parse_error, table.where(row) + ": " + std::to_string(row.fields.size()) +
                                              " fields, the header has " + std::to_string(table.columns.size()));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

CsvTable read_csv(const std::filesystem::path& path, const std::string& name) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::not_found, name + ": cannot be opened");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (file.bad()) throw Error(ErrorCode::io_error, name + ": cannot be read");
  return parse_csv(text, name);
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace advisor
