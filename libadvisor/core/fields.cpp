#include "core/fields.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/items.h"
#include "core/suggest.h"

namespace advisor {
namespace {

std::vector<std::string> all_paths() {
  std::vector<std::string> paths;
  for (const Field& field : fields()) paths.emplace_back(field.path);
  return paths;
}

[[noreturn]] void refuse(const Field& field, std::string_view value, const std::string& why) {
  throw Error(ErrorCode::invalid_argument, std::string(field.path) + ": \"" + std::string(value) + "\" " + why);
}

std::string with_unit(double value, const Field& field) {
  return format_number(value) + (field.unit.empty() ? "" : " " + std::string(field.unit));
}

double check_bounds(const Field& field, double value, std::string_view text) {
  if (!std::isfinite(value)) refuse(field, text, "is not a finite number");
  if (value < field.min) refuse(field, text, "is below the least allowed value, " + with_unit(field.min, field));
  if (value > field.max) refuse(field, text, "is above the largest allowed value, " + with_unit(field.max, field));
  return value;
}

std::int64_t to_integer(const Field& field, double value, std::string_view text) {
  check_bounds(field, value, text);
  if (value != std::floor(value)) refuse(field, text, "is not a whole number");
  return static_cast<std::int64_t>(value);
}

double unit_factor(const Field& field) {
  const Unit* unit = field.unit.empty() ? nullptr : find_unit(field.unit);
  return unit == nullptr ? 1 : unit->factor;
}

/// Text to a number in the field's own unit.
double to_number(const Field& field, std::string_view text) {
  try {
    if (field.dimension == Dimension::none) return parse_quantity(text, field.dimension);
    const Quantity quantity = parse_quantity(text);
    if (quantity.dimension == Dimension::none) return quantity.value;  // counts in the field's unit
    const double si = parse_quantity(text, field.dimension);
    const double factor = unit_factor(field);
    return factor < 1 ? si * std::round(1 / factor) : si / factor;
  } catch (const Error& error) {
    throw Error(error.code(), std::string(field.path) + ": " + error.what());
  }
}

std::string to_word(const Field& field, std::string_view text) {
  const std::string word(text);
  if (field.check != nullptr && !text.empty()) {
    try {
      field.check(text);
    } catch (const Error& error) {
      throw Error(error.code(), std::string(field.path) + ": " + error.what());
    }
  }
  if (word.size() > 4096) refuse(field, word.substr(0, 40) + "...", "is longer than 4096 bytes");
  if (word.find('\0') != std::string::npos) refuse(field, word.c_str(), "contains a NUL byte");
  if (word.empty() && !field.unset.empty()) return word;
  if (field.values.empty() || std::find(field.values.begin(), field.values.end(), text) != field.values.end()) {
    return word;
  }
  const std::vector<std::string> known(field.values.begin(), field.values.end());
  refuse(field, word, "is not one of " + join(known) + did_you_mean(word, known));
}

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') text = trim(text.substr(1, text.size() - 2));
  std::vector<std::string> items;
  if (text.empty()) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    items.emplace_back(trim(text.substr(0, comma)));
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::vector<std::string> to_words(const Field& field, const std::vector<std::string>& items) {
  std::vector<std::string> words;
  for (const std::string& item : items) {
    if (item.empty()) refuse(field, item, "is an empty entry of a list");
    if (item.find_first_of(",[]") != std::string::npos) refuse(field, item, "holds a comma or bracket");
    if (std::find(words.begin(), words.end(), item) != words.end()) refuse(field, item, "is listed twice");
    words.push_back(to_word(field, item));
  }
  if (words.empty() && field.min > 0) refuse(field, "[]", "needs at least one entry");
  return words;
}

bool to_boolean(const Field& field, std::string_view text) {
  if (text == "true" || text == "yes") return true;
  if (text == "false" || text == "no") return false;
  refuse(field, text, "is not true or false");
}

// One overload per kind of member.
void assign(const Field& field, bool& member, std::string_view text) { member = to_boolean(field, text); }
void assign(const Field& field, std::int64_t& member, std::string_view text) {
  member = to_integer(field, to_number(field, text), text);
}
void assign(const Field& field, double& member, std::string_view text) {
  member = check_bounds(field, to_number(field, text), text);
}
void assign(const Field& field, std::optional<double>& member, std::string_view text) {
  if (text.empty() || text == "null") {
    member.reset();
  } else {
    member = check_bounds(field, to_number(field, text), text);
  }
}
void assign(const Field& field, std::string& member, std::string_view text) { member = to_word(field, text); }
void assign(const Field& field, std::vector<std::string>& member, std::string_view text) {
  member = to_words(field, split_list(text));
}

void assign(const Field& field, bool& member, double number) {
  if (number != 0 && number != 1) refuse(field, format_number(number), "is not true (1) or false (0)");
  member = number == 1;
}
void assign(const Field& field, std::int64_t& member, double number) {
  member = to_integer(field, number, format_number(number));
}
void assign(const Field& field, double& member, double number) {
  member = check_bounds(field, number, format_number(number));
}
void assign(const Field& field, std::optional<double>& member, double number) {
  member = check_bounds(field, number, format_number(number));
}
void assign(const Field& field, std::string&, double number) {
  refuse(field, format_number(number), "is a number; this field takes text");
}
void assign(const Field& field, std::vector<std::string>&, double number) {
  refuse(field, format_number(number), "is a number; this field takes a list of words");
}

void assign(const Field& field, std::vector<std::string>& member, const std::vector<std::string>& items) {
  member = to_words(field, items);
}
template <class Member>
void assign(const Field& field, Member&, const std::vector<std::string>& items) {
  refuse(field, "[" + join(items) + "]", "is a list; this field takes one value");
}

/// "hardware: auto" is short for "hardware: {id: auto}".
std::string_view resolve(std::string_view path) { return path == "hardware" ? "hardware.id" : path; }

template <class Input>
void set_item(Profile& profile, const ItemPath& at, const Input& input) {
  const bool added = at.index == at.list->size(profile);
  Profile one;
  if (added) at.list->copy(profile, -1, one, 0);
  if (!added) one = only_item(profile, at);
  try {
    std::visit([&](auto access) { assign(*at.field, access(one), input); }, at.field->member);
  } catch (const Error& error) {  // names the row
    throw Error(error.code(), at.item() + "." + error.what());
  }
  at.list->copy(one, 0, profile, at.index);
  profile.given.insert(at.path());
}

/// "consider.0": a variant in short, in place of what stands there.
void set_wish(Profile& profile, const ItemPath& at, std::string_view text) {
  Profile changed = profile;
  try {
    if (at.index < changed.consider.size()) changed.consider[at.index] = {};
    std::erase_if(changed.given, [&](const std::string& path) { return path.starts_with(at.item() + "."); });
    for (const auto& [field, value] : split_wish(text)) set_field(changed, at.item() + "." + field, value);
  } catch (const Error& error) {
    const std::string_view what = error.what();
    throw Error(error.code(), (what.starts_with(at.item()) ? "" : at.item() + ": ") + std::string(what));
  }
  profile = std::move(changed);
}
template <class Input>
void set_wish(Profile&, const ItemPath& at, const Input&) {
  throw Error(ErrorCode::invalid_argument, at.item() + ": takes a variant, as in \"magnitude sparsity=50%\"");
}

template <class Input>
void set_any(Profile& profile, std::string_view path, const Input& input) {
  if (list_of(path) != nullptr) {
    const ItemPath at = item_path(path);
    return at.field == nullptr ? set_wish(profile, at, input) : set_item(profile, at, input);
  }
  const Field& field = find_field(resolve(path));
  std::visit([&](auto access) { assign(field, access(profile), input); }, field.member);
  profile.given.insert(std::string(field.path));
}

std::string number_text(const Field& field, double value) {
  const double factor = unit_factor(field);
  const double si = factor < 1 ? value / std::round(1 / factor) : value * factor;
  if (field.dimension == Dimension::none) return format_number(value);
  const std::string text = format_exact(si, field.dimension);
  // scaling to SI and back may round; then the plain number is the exact text
  return to_number(field, text) == value ? text : format_number(value);
}

std::string text_of(const Field&, bool value) { return value ? "true" : "false"; }
std::string text_of(const Field& field, std::int64_t value) { return number_text(field, static_cast<double>(value)); }
std::string text_of(const Field& field, double value) { return number_text(field, value); }
std::string text_of(const Field& field, const std::optional<double>& value) {
  return value ? number_text(field, *value) : "";
}
std::string text_of(const Field&, const std::string& value) { return value; }
std::string text_of(const Field&, const std::vector<std::string>& value) { return "[" + join(value) + "]"; }

bool is_empty(const std::string& text) { return text.empty() || text == "[]"; }

}  // namespace

std::string_view name(FieldKind kind) {
  switch (kind) {
    case FieldKind::boolean: return "boolean";
    case FieldKind::integer: return "integer";
    case FieldKind::number: return "number";
    case FieldKind::text: return "text";
    case FieldKind::list: return "list";
  }
  return "text";
}

FieldKind Field::kind() const {
  // in the order of the alternatives of Field::Member
  constexpr std::array kinds{FieldKind::boolean, FieldKind::integer, FieldKind::number,
                             FieldKind::number,  FieldKind::text,    FieldKind::list};
  return kinds[member.index()];
}

bool Field::optional() const { return std::holds_alternative<std::optional<double>& (*)(Profile&)>(member); }

const Field& find_field(std::string_view path) {
  for (const Field& field : fields()) {
    if (field.path == path) return field;
  }
  if (list_of(path) != nullptr)
    if (const Field* field = item_path(path).field; field != nullptr) return *field;
  throw Error(ErrorCode::not_found, "unknown field \"" + std::string(path) + "\"" + did_you_mean(path, all_paths()));
}

void set_field(Profile& profile, std::string_view path, std::string_view text) { set_any(profile, path, text); }
void set_field(Profile& profile, std::string_view path, double number) { set_any(profile, path, number); }
void set_field(Profile& profile, std::string_view path, const std::vector<std::string>& items) {
  set_any(profile, path, items);
}

namespace {

/// `read(field, value)` of what stands at `path`.
template <class Read>
auto read_any(const Profile& profile, std::string_view path, const Read& read) {
  const auto visit = [&](const Field& field, Profile& holder) {
    return std::visit([&](auto access) { return read(field, access(holder)); }, field.member);
  };
  if (list_of(path) != nullptr) {
    const ItemPath at = item_path(path);
    if (at.field == nullptr) throw Error(ErrorCode::not_found, std::string(path) + ": name a field of it");
    Profile one = only_item(profile, at);
    return visit(*at.field, one);
  }
  // the accessors give mutable references for the setters; here they are only read
  return visit(find_field(resolve(path)), const_cast<Profile&>(profile));
}

}  // namespace

std::string get_field(const Profile& profile, std::string_view path) {
  return read_any(profile, path, [](const Field& field, const auto& value) { return text_of(field, value); });
}

std::optional<double> get_number(const Profile& profile, std::string_view path) {
  return read_any(profile, path, [](const Field&, const auto& value) -> std::optional<double> {
    using Member = std::remove_cvref_t<decltype(value)>;
    if constexpr (std::is_same_v<Member, std::optional<double>>) {
      return value;
    } else if constexpr (std::is_arithmetic_v<Member>) {
      return static_cast<double>(value);
    } else {
      return std::nullopt;
    }
  });
}
std::map<std::string, std::string> applied_defaults(const Profile& profile) {
  std::map<std::string, std::string> applied;
  const auto add = [&](const Field& field, const std::string& path, const std::string& value,
                       const std::string& untouched) {
    if (profile.given.contains(path) || value != untouched) return;  // set by a user, or by code
    if (!is_empty(value)) {
      applied[path] = value;
    } else if (!field.unset.empty()) {
      applied[path] = field.unset;
    }
  };
  const Profile defaults;
  for (const Field& field : fields()) {
    if (!profile.tasks.empty() && field.path.starts_with("task.")) continue;  // each of `tasks` has its own
    add(field, std::string(field.path), get_field(profile, field.path), get_field(defaults, field.path));
  }
  Profile one;
  one.tasks = {TaskGoal{}};
  for (std::size_t i = 0; i < profile.tasks.size(); ++i) {
    for (const Field& field : task_fields()) {
      const ItemPath at{&item_lists().front(), i, &field};
      add(field, at.path(), get_field(profile, at.path()), get_field(one, ItemPath{at.list, 0, &field}.path()));
    }
  }
  return applied;
}

}  // namespace advisor
