// THE field table: every setting of a profile, declared once. From it come YAML, JSON, the C setters, the CLI's
// --set, Python attributes, the names and types of rule expressions, and the manual. A new field is one row.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/profile.h"
#include "core/units.h"

namespace advisor {

enum class FieldKind { boolean, integer, number, text, list };
std::string_view name(FieldKind kind);

struct Field {
  /// Where the value lives. Optional numbers may be unset.
  using Member = std::variant<bool& (*)(Profile&), std::int64_t& (*)(Profile&), double& (*)(Profile&),
                              std::optional<double>& (*)(Profile&), std::string& (*)(Profile&),
                              std::vector<std::string>& (*)(Profile&)>;

  std::string_view path;  ///< "workload.context"
  Member member;
  Dimension dimension;
  std::string_view unit;                     ///< what a plain number counts: "B", "s", "h", "USD/h"; "" = a number
  double min = 0, max = 0;                   ///< bounds in that unit, inclusive
  std::span<const std::string_view> values;  ///< closed set of words; empty = any text
  std::string_view unset;                    ///< what it means when nothing is given: "no limit"; "" = says nothing
  std::string_view doc;
  void (*check)(std::string_view text) = nullptr;  ///< of a text that somebody set: throws what is wrong with it

  FieldKind kind() const;
  bool optional() const;  ///< an unset number is possible
};

/// All fields, in the order of the manual.
std::span<const Field> fields();
/// What each task of a portfolio sets, as "share" for "tasks.0.share"; `member` reaches into the first task of a
/// profile. Bounds and words are those of the field of the same name.
std::span<const Field> task_fields();
inline constexpr std::size_t max_tasks = 8;  ///< of a portfolio: which serves which is searched exactly

/// What each variant that the user asks about sets, as "scheme" for "consider.0.scheme"; the same way.
std::span<const Field> wish_fields();
inline constexpr std::size_t max_wishes = 32;

/// The row of a field; of "tasks.<n>.<field>" the row of task_fields(), of "consider.<n>.<field>" that of
/// wish_fields(). Throws not_found with suggestions.
const Field& find_field(std::string_view path);

/// Text as in YAML: "true", "8192", "24 GiB", "[text, image]" or "text, image". "" or "null" unsets an optional
/// number. Errors name field, value and bound. "hardware" stands for "hardware.id", "tasks.0.task" for
/// "tasks.0.task.type"; "consider.0" takes a variant in short, see split_wish(). Setting a field of the task after the
/// last adds one.
void set_field(Profile& profile, std::string_view path, std::string_view text);
/// A number in the field's unit; 0 and 1 for booleans.
void set_field(Profile& profile, std::string_view path, double number);
void set_field(Profile& profile, std::string_view path, const std::vector<std::string>& items);

/// Text that set_field() reads back to the same value; empty when unset.
std::string get_field(const Profile& profile, std::string_view path);
/// The number in the field's unit; nullopt when unset or not a number.
std::optional<double> get_number(const Profile& profile, std::string_view path);

/// "magnitude sparsity=50% engine=sglang" -> field of wish_fields() and value. Words without a name are recognised:
/// engines, file formats, patterns, schemes, models (with a '/'), else techniques. Throws invalid_argument.
std::vector<std::pair<std::string, std::string>> split_wish(std::string_view text);
/// The same in short, as split_wish() reads it.
std::string wish_text(const Wish& wish);

/// Field -> value for each field that nobody set ("no limit" and the like where absence has a meaning).
std::map<std::string, std::string> applied_defaults(const Profile& profile);

/// What single fields cannot check: model, hardware and task are there, tokens fit the context, no contradiction.
/// Throws invalid_argument.
void validate(const Profile& profile);

}  // namespace advisor
