// A rule as written, not compiled: the contract between io/yaml and rules/.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace advisor {

/// Where a text came from, for messages "file:line:column".
struct SourceLocation {
  std::string file;
  int line = 0, column = 0;
  /// Of a text that was folded from several lines or quoted: from `offset` on it stands at line:column.
  struct Part {
    std::size_t offset = 0;
    int line = 0, column = 0;
  };
  std::vector<Part> parts{};
};

struct RuleSource {
  std::string id;
  std::string kind;         ///< derive | forbid | warn
  std::string applies_to;   ///< variant | step | profile
  std::string when;         ///< condition (forbid, warn)
  std::string fact, value;  ///< derive: fact name and expression
  std::string because;      ///< reason; {field} is replaced by its value
  std::vector<std::string> sources;
  std::string code;      ///< rejection code: memory|rule|quality|latency|budget|licence|engine|modality
  SourceLocation where;  ///< of the entry
  std::map<std::string, SourceLocation> places;  ///< of the value of each key that was written
  /// Where a key's value stands; the entry where the key is not there.
  const SourceLocation& place(const std::string& key) const {
    const auto found = places.find(key);
    return found == places.end() ? where : found->second;
  }
};

/// A fact as rules know it.
struct FactInfo {
  std::string path, type, doc;
  std::string layer;       ///< query | model | treatment | candidate | estimate: from when on it can be known
  std::string derived_by;  ///< id of the derive rule that writes it, or empty
};

/// A rule that was compiled, as it is shown.
struct RuleInfo {
  RuleSource source;
  std::string layer;            ///< the deepest of what it reads: from when on it can be decided
  std::vector<FactInfo> reads;  ///< as written, sorted
};

}  // namespace advisor
