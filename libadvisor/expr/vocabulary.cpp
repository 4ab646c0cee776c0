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

void Vocabulary::add(Symbol symbol) {
  std::string path = symbol.path;
  if (!symbols_.emplace(path, std::move(symbol)).second) {
    throw Error(ErrorCode::invalid_argument, "fact \"" + path + "\" is declared twice");
  }
}

const Symbol* Vocabulary::find(std::string_view path) const {
  const auto found = symbols_.find(path);
  return found == symbols_.end() ? nullptr : &found->second;
}

std::vector<std::string> Vocabulary::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, symbol] : symbols_) paths.push_back(path);
  return paths;
}

}  // namespace advisor
