#include "core/error.h"
#include "core/suggest.h"
#include "expr/expr.h"

namespace advisor {

std::string name(const Type& type) {
  switch (type.kind) {
    case TypeKind::boolean: return "a condition";
    case TypeKind::number:
      return type.dimension == Dimension::none ? "a number" : "a number of " + name(type.dimension);
    case TypeKind::text: return "a text";
    case TypeKind::set: return "a set of texts";
  }
  return "a condition";
}

std::string format_value(const Value& value, const Type& type) {
  switch (static_cast<TypeKind>(value.index())) {
    case TypeKind::boolean: return std::get<bool>(value) ? "true" : "false";
    case TypeKind::number: return format_quantity(std::get<double>(value), type.dimension);
    case TypeKind::text: return std::get<std::string>(value);
    case TypeKind::set: {
      const auto& items = std::get<std::vector<std::string>>(value);
      return items.empty() ? "none" : join(items);
    }
  }
  return "";
}

Vocabulary::Vocabulary(std::vector<Symbol> symbols) {
  for (Symbol& symbol : symbols) add(std::move(symbol));
}

int Vocabulary::add(Symbol symbol) {
  const int slot = static_cast<int>(symbols_.size());
  if (!slots_.emplace(symbol.path, slot).second) {
    throw Error(ErrorCode::invalid_argument, "fact \"" + symbol.path + "\" is declared twice");
  }
  symbols_.push_back(std::move(symbol));
  return slot;
}

int Vocabulary::slot(std::string_view path) const {
  const auto found = slots_.find(path);
  return found == slots_.end() ? -1 : found->second;
}

const Symbol* Vocabulary::find(std::string_view path) const {
  const int found = slot(path);
  return found < 0 ? nullptr : &at(found);
}

std::vector<std::string> Vocabulary::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, slot] : slots_) paths.push_back(path);
  return paths;
}

}  // namespace advisor
