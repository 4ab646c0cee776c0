#include "io/yaml_places.h"

#include <algorithm>

namespace advisor {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

}  // namespace

SourceLines::SourceLines(std::string_view text) : text_(text), starts_{0} {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n') starts_.push_back(at + 1);
  }
}

std::vector<SourceLocation::Part> SourceLines::parts(int line, int column, const std::string& value) const {
  if (line < 1 || column < 1 || static_cast<std::size_t>(line) > starts_.size()) return {};
  std::size_t at = starts_[static_cast<std::size_t>(line) - 1] + static_cast<std::size_t>(column) - 1;
  if (at >= text_.size()) return {};
  if (text_[at] == '>' || text_[at] == '|') {  // the block begins on the next line
    at = std::min(text_.find('\n', at), text_.size());
  } else if (text_[at] == '"' || text_[at] == '\'') {
    ++at;
  }
  std::vector<SourceLocation::Part> parts;
  std::size_t shift = 0;  // at - offset of the part that is being read
  for (std::size_t offset = 0; offset < value.size(); ++offset) {
    if (is_space(value[offset])) {
      if (at < text_.size() && text_[at] == value[offset]) ++at;
      continue;
    }
    while (at < text_.size() && is_space(text_[at])) ++at;
    if (at >= text_.size() || text_[at] != value[offset]) return {};
    if (parts.empty() || at - offset != shift) {
      const auto next = std::upper_bound(starts_.begin(), starts_.end(), at);
      const auto start = *(next - 1);
      parts.push_back({offset, static_cast<int>(next - starts_.begin()), static_cast<int>(at - start) + 1});
      shift = at - offset;
    }
    ++at;
  }
  return parts;
}

}  // namespace advisor
