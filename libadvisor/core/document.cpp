#include "core/document.h"

#include <algorithm>
#include <span>

#include "core/error.h"
#include "core/fields.h"
#include "core/items.h"
#include "core/suggest.h"

namespace advisor {
namespace {

[[noreturn]] void fail(ErrorCode code, const SourceLocation& where, const std::string& message) {
  throw Error(code, prefix(where) + message);
}

/// Where names are looked up: the profile itself, or one task of a portfolio.
struct Scope {
  std::span<const Field> fields;
  std::string prefix;  ///< "" or "tasks.0."

  bool is_section(const std::string& path) const {
    return std::any_of(fields.begin(), fields.end(),
                       [&](const Field& field) { return field.path.starts_with(path + "."); });
  }
  bool is_field(const std::string& path) const {
    return std::any_of(fields.begin(), fields.end(), [&](const Field& field) { return field.path == path; });
  }
  /// Sections that may be given by a plain word.
  bool is_short(const std::string& path) const { return path == (prefix.empty() ? "hardware" : "task"); }

  /// Names that may stand at `path`'s place, for suggestions: the names inside its section.
  std::vector<std::string> candidates(const std::string& section) const {
    std::vector<std::string> names;
    for (const Field& field : fields) {
      const std::string path(field.path);
      if (section.empty()) {
        names.push_back(path.substr(0, path.find('.')));
      } else if (path.starts_with(section + ".")) {
        names.push_back(path.substr(section.size() + 1));
      }
    }
    if (section.empty() && prefix.empty()) names.insert(names.end(), {"consider", "tasks"});
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }
};

void unknown(const Scope& scope, const std::string& section, const Document::Member& member) {
  const std::string path = section.empty() ? member.key : section + "." + member.key;
  std::string hint = did_you_mean(member.key, scope.candidates(section));
  if (hint.empty()) {
    // perhaps the right name in the wrong section
    std::vector<std::string> all;
    for (const Field& field : scope.fields) all.emplace_back(field.path);
    hint = did_you_mean(member.key, all);
  }
  if (hint.empty()) hint = "; known here: " + join(scope.candidates(section));
  fail(ErrorCode::not_found, member.where, "unknown field \"" + scope.prefix + path + "\"" + hint);
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

void walk(Profile& profile, const Scope& scope, const std::string& section,
          const std::vector<Document::Member>& members);

/// How entries of a list are written. A plain word stands for the field `whole` of an entry, or for all of it.
struct Spelling {
  const char *whole, *example, *item;
};
const Spelling tasks_spelling{"task", "[{task: chat, share: 3}, {task: medical_qa, accuracy: {min: 0.8}}]",
                              "task type"};
const Spelling wishes_spelling{"", "[Q2_K, {technique: magnitude, sparsity: 50 %, engine: sglang}]",
                               "variant in short"};

void walk_list(Profile& profile, const ItemList& list, const Document& value) {
  if (value.kind == Document::Kind::null) return;
  const std::string name(list.name);
  const bool wishes = name == "consider";
  const Spelling& spelling = wishes ? wishes_spelling : tasks_spelling;
  if (value.kind != Document::Kind::list)
    fail(ErrorCode::invalid_argument, value.where, name + ": takes a list, as in " + spelling.example);
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const Document& item = value.items[i];
    const std::string entry = name + "." + std::to_string(i);
    const Scope scope{list.rows(), entry + "."};
    if (i == list.most)
      fail(ErrorCode::invalid_argument, item.where,
           name + ": " + std::string(list.whole) + " at most " + std::to_string(list.most) + " " +
               std::string(list.items));
    list.copy({}, -1, profile, i);
    if (item.kind == Document::Kind::map) {
      walk(profile, scope, "", item.members);
    } else if (item.kind == Document::Kind::scalar) {
      assign(profile, wishes ? entry : scope.prefix + spelling.whole, {spelling.whole, item.where, item});
    } else if (item.kind == Document::Kind::list) {
      fail(ErrorCode::invalid_argument, item.where,
           entry + ": takes a " + spelling.item + " or a map of " + join(scope.candidates("")));
    }
    if (wishes) profile.consider[i].where = item.where;
  }
}

void walk(Profile& profile, const Scope& scope, const std::string& section,
          const std::vector<Document::Member>& members) {
  for (const Document::Member& member : members) {
    const std::string path = section.empty() ? member.key : section + "." + member.key;
    const bool inside = member.value.kind == Document::Kind::map;
    if (path == "schema" && scope.prefix.empty()) {
      if (member.value.text != "advisor.profile/1") {
        fail(ErrorCode::unsupported, member.value.where, "schema: only \"advisor.profile/1\" can be read");
      }
    } else if (const ItemList* list = list_of(path); list != nullptr && path == list->name && scope.prefix.empty()) {
      walk_list(profile, *list, member.value);
    } else if (inside && scope.is_section(path)) {
      walk(profile, scope, path, member.value.members);
    } else if (scope.is_field(path) || (scope.is_short(path) && member.value.kind == Document::Kind::scalar)) {
      assign(profile, scope.prefix + path, member);
    } else if (scope.is_section(path)) {
      if (member.value.kind == Document::Kind::null) continue;  // "slo:" with nothing below
      fail(ErrorCode::invalid_argument, member.value.where,
           scope.prefix + path + ": takes a map of " + join(scope.candidates(path)) + ", not a single value");
    } else {
      unknown(scope, section, member);
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
  walk(profile, {fields(), ""}, "", document.members);
  return profile;
}

}  // namespace advisor
