#include "core/fields.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
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
  if (word.size() > 4096) refuse(field, word.substr(0, 40) + "...", "is longer than 4096 bytes");
  if (word.find('\0') != std::string::npos) refuse(field, word.c_str(), "contains a NUL byte");
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
void set_any(Profile& profile, std::string_view path, const Input& input) {
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
  if (path == "tasks" || path.substr(0, 6) == "tasks.") {
    throw Error(ErrorCode::unsupported,
                "tasks: a portfolio of several tasks is not supported yet; give one `task` per profile");
  }
  throw Error(ErrorCode::not_found, "unknown field \"" + std::string(path) + "\"" + did_you_mean(path, all_paths()));
}

void set_field(Profile& profile, std::string_view path, std::string_view text) { set_any(profile, path, text); }
void set_field(Profile& profile, std::string_view path, double number) { set_any(profile, path, number); }
void set_field(Profile& profile, std::string_view path, const std::vector<std::string>& items) {
  set_any(profile, path, items);
}

std::string get_field(const Profile& profile, std::string_view path) {
  const Field& field = find_field(resolve(path));
  // the accessors give mutable references for the setters; here they are only read
  auto& readable = const_cast<Profile&>(profile);
  return std::visit([&](auto access) { return text_of(field, access(readable)); }, field.member);
}

std::optional<double> get_number(const Profile& profile, std::string_view path) {
  const Field& field = find_field(resolve(path));
  auto& readable = const_cast<Profile&>(profile);
  return std::visit(
      [&](auto access) -> std::optional<double> {
        auto& value = access(readable);
        using Member = std::remove_reference_t<decltype(value)>;
        if constexpr (std::is_same_v<Member, std::optional<double>>) {
          return value;
        } else if constexpr (std::is_arithmetic_v<Member>) {
          return static_cast<double>(value);
        } else {
          return std::nullopt;
        }
      },
      field.member);
}

std::map<std::string, std::string> applied_defaults(const Profile& profile) {
  const Profile defaults;
  std::map<std::string, std::string> applied;
  for (const Field& field : fields()) {
    const std::string path(field.path);
    if (profile.given.count(path) > 0) continue;
    const std::string value = get_field(profile, path);
    if (value != get_field(defaults, path)) continue;  // set by code rather than by a user
    if (!is_empty(value)) {
      applied[path] = value;
    } else if (!field.unset.empty()) {
      applied[path] = field.unset;
    }
  }
  return applied;
}

void validate(const Profile& profile) {
  const auto refuse_profile = [](const std::string& why) { throw Error(ErrorCode::invalid_argument, why); };
  if (profile.model.empty()) refuse_profile("model: missing; name a catalog id or a checkpoint folder");
  if (profile.hardware.id.empty() && !profile.hardware.memory) {
    refuse_profile("hardware: missing; give a catalog id, `auto`, or at least {memory: 24 GiB, bandwidth: 936 GB/s}");
  }
  if (profile.task.type.empty() && profile.task.benchmark.empty()) {
    refuse_profile("task: missing; give task.type (chat, closed_book_qa, ...) or task.benchmark (mmlu, ...)");
  }
  if (profile.accuracy.min && profile.accuracy.retain) {
    refuse_profile("accuracy: give either accuracy.min (absolute) or accuracy.retain (relative), not both");
  }
  const std::int64_t tokens = profile.workload.input_tokens + profile.workload.output_tokens;
  if (tokens > profile.workload.context) {
    refuse_profile("workload.context: " + std::to_string(profile.workload.context) +
                   " is less than workload.input_tokens + workload.output_tokens = " + std::to_string(tokens));
  }
}

}  // namespace advisor
