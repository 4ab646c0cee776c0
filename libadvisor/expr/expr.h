// The condition language of the rules: typed expressions over named facts, checked when they are compiled so that they
// cannot fail when they run. Three-valued: what is not known stays unknown. Knows nothing of rules or YAML.
//
//   literals   true  42  16 GiB  400 ms  3.5 %  "text"  ["a", "b"]
//   operators  -x   * /   + -   == != < <= > >= in   not   and   or     (tightest first)
//   functions  min(a, b...)  max(a, b...)  abs(x)  known(fact)
//
// `in` asks whether a text or number is in a list, a text in a set, or all of a set in another. A number literal 0
// compares with any dimension. Division by zero is unknown.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/rule.h"
#include "core/units.h"

namespace advisor {

enum class TypeKind { boolean, number, text, set };

struct Type {
  TypeKind kind = TypeKind::boolean;
  Dimension dimension;  ///< of a number
  bool operator==(const Type&) const = default;
};
std::string name(const Type& type);  ///< "text", "number of bytes", ...

using Value = std::variant<bool, double, std::string, std::vector<std::string>>;  ///< alternatives as in TypeKind

/// For reasons and messages: numbers by dimension ("16 GiB"), sets as "a, b".
std::string format_value(const Value& value, const Type& type);

struct Symbol {
  std::string path;  ///< "hardware.fp8_rate"
  Type type;
  std::string doc;
};

/// The names an expression may read.
class Vocabulary {
 public:
  Vocabulary() = default;
  explicit Vocabulary(std::vector<Symbol> symbols);
  void add(Symbol symbol);  ///< throws invalid_argument when the path is taken
  const Symbol* find(std::string_view path) const;
  std::vector<std::string> paths() const;  ///< sorted
  std::size_t size() const { return symbols_.size(); }

 private:
  std::map<std::string, Symbol, std::less<>> symbols_;
};

/// Where values come from at evaluation.
class Values {
 public:
  virtual ~Values() = default;
  virtual const Value* find(std::string_view path) const = 0;  ///< nullptr = unknown
};

namespace detail {
struct ExprNode;
}

class Expression {
 public:
  /// Throws parse_error "file:line:column: ..." (column inside `text`, offset by `where`).
  static Expression compile(const std::string& text, const Vocabulary& vocabulary, const SourceLocation& where = {});

  const Type& type() const { return type_; }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& reads() const { return reads_; }  ///< facts it reads, sorted

  std::optional<Value> evaluate(const Values& values) const;
  std::optional<bool> evaluate_condition(const Values& values) const;  ///< only for boolean expressions
  std::vector<std::string> missing(const Values& values) const;        ///< facts it reads that are unknown

 private:
  std::string text_;
  Type type_;
  std::vector<std::string> reads_;
  std::shared_ptr<const detail::ExprNode> root_;
};

/// Fact names that a text mentions, in order, without any check of types; to order definitions before compiling them.
std::vector<std::string> names_in(const std::string& text, const SourceLocation& where = {});

}  // namespace advisor
