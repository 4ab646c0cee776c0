// Lists of a profile whose entries have fields of their own: tasks of a portfolio, variants to consider. Private to
// core/.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "core/fields.h"

namespace advisor {

/// A list of the profile whose entries have fields of their own.
struct ItemList {
  std::string_view name;  ///< "tasks"
  std::span<const Field> (*rows)();
  std::size_t most;
  std::string_view example, whole, item, items;  ///< for messages
  std::size_t (*size)(const Profile&);
  /// An entry of `from` to another of `to`; -1 of `from`: a new one. One behind the last of `to` is added.
  void (*copy)(const Profile& from, std::ptrdiff_t, Profile& to, std::size_t);
};

const std::array<ItemList, 2>& item_lists();     ///< tasks, consider
const ItemList* list_of(std::string_view path);  ///< of "tasks.1.share" and "tasks"; nullptr: none

/// "tasks.1.accuracy.min": a field of one entry of a list.
struct ItemPath {
  const ItemList* list = nullptr;
  std::size_t index = 0;
  const Field* field = nullptr;  ///< nullptr: the entry itself
  std::string item() const { return std::string(list->name) + "." + std::to_string(index); }
  std::string path() const { return item() + "." + std::string(field->path); }
};

/// Throws invalid_argument or not_found with suggestions.
ItemPath item_path(std::string_view path);

/// A profile with that entry only: where the rows of its fields look. Throws not_found.
Profile only_item(const Profile& profile, const ItemPath& at);

}  // namespace advisor
