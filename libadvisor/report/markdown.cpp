#include <algorithm>

#include "report/blocks.h"

namespace advisor {

namespace {

/// A cell is one line, and a bar would end it.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string row_text(const std::vector<std::string>& row, std::size_t size) {
  std::string out = "|";
  for (std::size_t i = 0; i < size; ++i) out += " " + (i < row.size() ? cell(row[i]) : "") + " |";
  return out + "\n";
}

std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::string out = row_text(header, header.size()) + "|";
  for (std::size_t i = 0; i < header.size(); ++i) out += " --- |";
  out += "\n";
  for (const auto& row : rows) out += row_text(row, header.size());
  return out;
}

std::string block_text(const Block& block, bool first) {
  switch (block.kind) {
    case Block::Kind::heading: return "## " + block.text + "\n";
    case Block::Kind::paragraph: return (first ? "# " : "") + block.text + "\n";
    case Block::Kind::pairs: return table({"", ""}, block.rows);
    case Block::Kind::table:
      return block.rows.empty() ? "" : table(block.rows.front(), {block.rows.begin() + 1, block.rows.end()});
    case Block::Kind::list: {
      std::string out;
      for (const auto& row : block.rows) out += "- " + row[0] + "\n";
      return out;
    }
    case Block::Kind::code: return "```\n" + block.text + (block.text.ends_with('\n') ? "" : "\n") + "```\n";
  }
  return "";
}

}  // namespace

std::string as_markdown(const Page& page) {
  std::string out;
  for (std::size_t i = 0; i < page.size(); ++i) out += (i == 0 ? "" : "\n") + block_text(page[i], i == 0);
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace advisor
