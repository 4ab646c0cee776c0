// A parsed YAML or JSON text as a plain tree, so that profiles are read by one walk whatever they were written in.
// Holds no types beyond text: the field table says what a text means.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/profile.h"
#include "core/rule.h"

namespace advisor {

struct Document {
  enum class Kind { null, scalar, list, map };
  struct Member;

  Kind kind = Kind::null;
  std::string text;             ///< scalar
  std::vector<Document> items;  ///< list
  std::vector<Member> members;  ///< map, in the order written
  SourceLocation where;
};

struct Document::Member {
  std::string key;
  SourceLocation where;  ///< of the key
  Document value;
};

/// "file:line:column: ", or "file: " when the line is not known, or "".
std::string prefix(const SourceLocation& where);

/// Fills a profile through the field table. Throws invalid_argument or not_found with location and suggestions,
/// unsupported for another schema. Does not call validate().
Profile profile_from_document(const Document& document);

}  // namespace advisor
