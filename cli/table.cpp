#include "cli/table.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "core/units.h"

namespace advisor::cli {
namespace {

nlohmann::ordered_json json_of(const Cell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<double>(&cell)) return *number;
  if (const auto* yes = std::get_if<bool>(&cell)) return *yes;
  return nullptr;
}

/// Columns on a screen: bytes that start a character, not all bytes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string plain(const Cell& cell, const char* unknown) {
  if (const auto* text = std::get_if<std::string>(&cell)) return *text;
  if (const auto* number = std::get_if<double>(&cell)) return format_number(*number);
  if (const auto* yes = std::get_if<bool>(&cell)) return *yes ? "yes" : "no";
  return unknown;
}

void Table::keep(const std::string& filter) {
  std::erase_if(rows, [wanted = lower(filter)](const std::vector<Cell>& row) {
    return std::none_of(row.begin(), row.end(), [&](const Cell& cell) {
      const auto* text = std::get_if<std::string>(&cell);
      return text != nullptr && lower(*text).find(wanted) != std::string::npos;
    });
  });
}

std::string Table::text() const {
  std::vector<std::vector<std::string>> lines{columns};
  for (const auto& row : rows) {
    std::vector<std::string>& line = lines.emplace_back();
    for (const Cell& cell : row) line.push_back(plain(cell, "-"));
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], width(line[c]));
  }
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) {
      out += line[c];
      if (c + 1 < line.size()) out += std::string(widths[c] - width(line[c]) + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

std::string Table::json() const {
  auto list = nlohmann::ordered_json::array();
  for (const auto& row : rows) {
    auto& object = list.emplace_back(nlohmann::ordered_json::object());
    for (std::size_t c = 0; c < row.size(); ++c) object[columns[c]] = json_of(row[c]);
  }
  return list.dump(2);
}

}  // namespace advisor::cli
