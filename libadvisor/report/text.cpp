#include <algorithm>

#include "report/blocks.h"

namespace advisor {

namespace {

constexpr std::size_t width = 108;

/// Characters, not bytes: continuation bytes of UTF-8 take no column.
std::size_t columns(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Breaks at spaces; the first line starts at column `start`, the others at `indent`.
std::string wrapped(const std::string& text, std::size_t start, std::size_t indent) {
  std::string out;
  std::size_t column = start;
  bool first = true;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, end - at);
    if (!first && column + 1 + columns(word) > width) {
      out += "\n" + std::string(indent, ' ') + word;
      column = indent + columns(word);
    } else {
      out += (first ? "" : " ") + word;
      column += columns(word) + (first ? 0 : 1);
    }
    first = false;
    at = end + 1;
  }
  return out;
}

std::string padded(const std::string& text, std::size_t size) {
  const auto have = columns(text);
  return text + std::string(have < size ? size - have : 1, ' ');
}

std::string pairs_text(const Block& block) {
  std::size_t label = 9;
  for (const auto& row : block.rows) label = std::max(label, columns(row[0]));
  std::string out, before;
  for (const auto& row : block.rows) {
    // a label that repeats is said once
    out += "  " + padded(row[0] == before ? "" : row[0], label + 2) + wrapped(row[1], label + 4, label + 4) + "\n";
    before = row[0];
  }
  return out;
}

std::string table_text(const Block& block) {
  std::vector<std::size_t> sizes;
  for (const auto& row : block.rows) {
    sizes.resize(std::max(sizes.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) sizes[i] = std::max(sizes[i], columns(row[i]));
  }
  std::string out;
  for (const auto& row : block.rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) line += i + 1 < row.size() ? padded(row[i], sizes[i] + 2) : row[i];
    while (line.ends_with(' ')) line.pop_back();
    out += line + "\n";
  }
  return out;
}

std::string block_text(const Block& block) {
  switch (block.kind) {
    case Block::Kind::heading: return block.text + "\n";
    case Block::Kind::paragraph: return wrapped(block.text, 0, 2) + "\n";
    case Block::Kind::pairs: return pairs_text(block);
    case Block::Kind::table: return table_text(block);
    case Block::Kind::list: {
      std::string out;
      for (const auto& row : block.rows) out += "  " + wrapped(row[0], 2, 4) + "\n";
      return out;
    }
    case Block::Kind::code: {
      std::string out;
      for (std::size_t at = 0; at < block.text.size();) {
        const auto end = std::min(block.text.find('\n', at), block.text.size());
        out += "  " + block.text.substr(at, end - at) + "\n";
        at = end + 1;
      }
      return out;
    }
  }
  return "";
}

}  // namespace

std::string as_text(const Page& page) {
  std::string out;
  for (const auto& block : page) {
    if (block.kind == Block::Kind::heading && !out.empty()) out += "\n";
    out += block_text(block);
  }
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

}  // namespace advisor
