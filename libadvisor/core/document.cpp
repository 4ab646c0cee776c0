#include "core/document.h"

#include <algorithm>

#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"

namespace advisor {
namespace {

[[noreturn]] void fail(ErrorCode code, const SourceLocation& where, const std::string& message) {
  throw Error(code, prefix(where) + message);
}

bool is_section(const std::string& path) {
  return std::any_of(fields().begin(), fields().end(), [&](const Field& field) {
    return field.path.size() > path.size() && field.path.substr(0, path.size()) == path &&
           field.path[path.size()] == '.';
  });
}

bool is_field(const std::string& path) {
  return std::any_of(fields().begin(), fields().end(), [&](const Field& field) { return field.path == path; });
}

/// Names that may stand at `path`'s place, for suggestions: the full paths and the names inside its section.
std::vector<std::string> candidates(const std::string& section) {
  std::vector<std::string> names;
  for (const Field& field : fields()) {
    const std::string path(field.path);
    if (section.empty()) {
      names.push_back(path.substr(0, path.find('.')));
    } else if (path.substr(0, section.size() + 1) == section + ".") {
      names.push_back(path.substr(section.size() + 1));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

void unknown(const std::string& section, const Document::Member& member) {
  const std::string path = section.empty() ? member.key : section + "." + member.key;
  std::string hint = did_you_mean(member.key, candidates(section));
  if (hint.empty()) {
    // perhaps the right name in the wrong section
    std::vector<std::string> all;
    for (const Field& field : fields()) all.emplace_back(field.path);
    hint = did_you_mean(member.key, all);
  }
  if (hint.empty()) hint = "; known here: " + join(candidates(section));
  fail(ErrorCode::not_found, member.where, "unknown field \"" + path + "\"" + hint);
}

void assign(Profile& profile, const std::string& path, const Document::Member& member) {
  const Document& value = member.value;
  try {
    switch (value.kind) {
      case Document::Kind::scalar: set_field(profile, path, value.text); return;
      case Document::Kind::null: set_field(profile, path, ""); return;
      case Document::Kind::list: {
        std::vector<std::string> items;
        for (const Document& item : value.items) {
          if (item.kind != Document::Kind::scalar) {
            throw Error(ErrorCode::invalid_argument, path + ": entries of the list must be words");
          }
          items.push_back(item.text);
        }
        set_field(profile, path, items);
        return;
      }
      case Document::Kind::map: throw Error(ErrorCode::invalid_argument, path + ": takes a value, not a map of names");
    }
  } catch (const Error& error) {
    fail(error.code(), value.where, error.what());
  }
}

void walk(Profile& profile, const std::string& section, const std::vector<Document::Member>& members) {
  for (const Document::Member& member : members) {
    const std::string path = section.empty() ? member.key : section + "." + member.key;
    const bool inside = member.value.kind == Document::Kind::map;
    if (path == "schema") {
      if (member.value.text != "advisor.profile/1") {
        fail(ErrorCode::unsupported, member.value.where, "schema: only \"advisor.profile/1\" can be read");
      }
    } else if (inside && is_section(path)) {
      walk(profile, path, member.value.members);
    } else if (is_field(path) || (path == "hardware" && member.value.kind == Document::Kind::scalar)) {
      assign(profile, path, member);
    } else if (is_section(path)) {
      if (member.value.kind == Document::Kind::null) continue;  // "slo:" with nothing below
      fail(ErrorCode::invalid_argument, member.value.where,
           path + ": takes a map of " + join(candidates(path)) + ", not a single value");
    } else if (path == "tasks") {
      try {
        find_field(path);
      } catch (const Error& error) {
        fail(error.code(), member.where, error.what());
      }
    } else {
      unknown(section, member);
    }
  }
}

}  // namespace

std::string prefix(const SourceLocation& where) {
  if (where.file.empty() && where.line == 0) return "";
  std::string text = where.file.empty() ? "line " : where.file;
  if (where.line > 0) {
    text += (where.file.empty() ? "" : ":") + std::to_string(where.line);
    if (where.column > 0) text += ":" + std::to_string(where.column);
  }
  return text + ": ";
}

Profile profile_from_document(const Document& document) {
  if (document.kind != Document::Kind::map) {
    fail(ErrorCode::parse_error, document.where, "a profile is a map of fields, as in \"model: ...\"");
  }
  Profile profile;
  walk(profile, "", document.members);
  return profile;
}

}  // namespace advisor
