#include "core/items.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/suggest.h"

namespace advisor {

namespace {

template <auto list>
ItemList item_list(std::string_view name, std::span<const Field> (*rows)(), std::size_t most, std::string_view example,
                   std::string_view whole, std::string_view item) {
  return {name,
          rows,
          most,
          example,
          whole,
          item,
          name == "tasks" ? "tasks" : "variants",
          [](const Profile& profile) { return (profile.*list).size(); },
          [](const Profile& from, std::ptrdiff_t source, Profile& to, std::size_t target) {
            auto& entries = to.*list;
            if (target == entries.size()) entries.emplace_back();
            if (source >= 0) entries[target] = (from.*list)[static_cast<std::size_t>(source)];
          }};
}

}  // namespace

const std::array<ItemList, 2>& item_lists() {
  static const std::array all{
      item_list<&Profile::tasks>("tasks", task_fields, max_tasks, "accuracy.min", "a portfolio has", "task"),
      item_list<&Profile::consider>("consider", wish_fields, max_wishes, "scheme", "a profile considers", "variant")};
  return all;
}

const ItemList* list_of(std::string_view path) {
  for (const auto& list : item_lists())
    if (path == list.name || path.starts_with(std::string(list.name) + ".")) return &list;
  return nullptr;
}

namespace {

/// The end of the index in `rest`, which stands behind "tasks."; 0 where there is none.
std::size_t take_index(std::string_view rest, std::size_t& index) {
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), index);
  return error == std::errc() ? static_cast<std::size_t>(end - rest.data()) : 0;
}

}  // namespace

ItemPath item_path(std::string_view path) {
  const std::string whole(path);
  ItemPath result;
  result.list = list_of(path);
  const auto& list = *result.list;
  path.remove_prefix(std::min(path.size(), list.name.size() + 1));
  const auto digits = take_index(path, result.index);
  const bool is_short = digits > 0 && digits == path.size() && list.name == "consider";
  if (digits == 0 || ((digits >= path.size() || path[digits] != '.') && !is_short)) {
    throw Error(ErrorCode::invalid_argument, whole + ": `" + std::string(list.name) + "` is a list; a field of one " +
                                                 std::string(list.item) + " is named by its place, as in " +
                                                 std::string(list.name) + ".0." + std::string(list.example));
  }
  if (result.index >= list.most) {
    throw Error(ErrorCode::invalid_argument, whole + ": " + std::string(list.whole) + " at most " +
                                                 std::to_string(list.most) + " " + std::string(list.items) +
                                                 ", counted from 0");
  }
  if (is_short) return result;
  path.remove_prefix(digits + 1);
  if (path == "task" && list.name == "tasks") path = "task.type";
  std::vector<std::string> known;
  for (const Field& field : list.rows()) {
    if (field.path == path) result.field = &field;
    known.emplace_back(field.path);
  }
  if (result.field == nullptr) {
    const std::string hint = did_you_mean(path, known);
    throw Error(ErrorCode::not_found,
                "unknown field \"" + whole + "\"" +
                    (hint.empty() ? "; known of a " + std::string(list.item) + ": " + join(known) : hint));
  }
  return result;
}

Profile only_item(const Profile& profile, const ItemPath& at) {
  const std::size_t count = at.list->size(profile);
  if (at.index >= count) {
    const std::string name(at.list->name);
    throw Error(ErrorCode::not_found,
                at.path() + ": the profile has " +
                    (count == 0 ? "no `" + name + "`"
                                : std::to_string(count) + " " + std::string(at.list->items) + ", from 0"));
  }
  Profile one;
  at.list->copy(profile, static_cast<std::ptrdiff_t>(at.index), one, 0);
  return one;
}

}  // namespace advisor
