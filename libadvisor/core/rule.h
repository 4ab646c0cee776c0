// A rule as written, not compiled: the contract between io/yaml and rules/.
#pragma once

#include <string>
#include <vector>

namespace advisor {

/// Where a text came from, for messages "file:line:column".
struct SourceLocation {
  std::string file;
  int line = 0, column = 0;
};

struct RuleSource {
  std::string id;
  std::string kind;         ///< derive | forbid | warn
  std::string applies_to;   ///< variant | step | profile
  std::string when;         ///< condition (forbid, warn)
  std::string fact, value;  ///< derive: fact name and expression
  std::string because;      ///< reason; {field} is replaced by its value
  std::vector<std::string> sources;
  std::string code;  ///< rejection code: memory|rule|quality|latency|budget|licence|engine|modality
  SourceLocation where, when_where, value_where;
};

}  // namespace advisor
