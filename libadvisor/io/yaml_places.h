// Where the characters of a YAML text stand in its file. A folded block (">-") and quotes change what is between the
// characters that matter, so that the column of an error inside a long condition cannot be counted from its start.
// Private to io/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/rule.h"

namespace advisor {

class SourceLines {
 public:
  explicit SourceLines(std::string_view text);  ///< must outlive this

  /// For a scalar with the value `value` whose mark is at line:column (from 1). Empty where counting from the start
  /// is right, or where the two texts do not agree (escapes).
  std::vector<SourceLocation::Part> parts(int line, int column, const std::string& value) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;  ///< of the lines
};

}  // namespace advisor
