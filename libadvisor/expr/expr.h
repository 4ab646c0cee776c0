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

class Expression;

struct Symbol {
  std::string path;  ///< "hardware.fp8_rate"
  Type type;
  std::string doc;
  int layer = 0;                                   ///< as the owner of the vocabulary counts; see Expression::layer()
  std::shared_ptr<const Expression> definition{};  ///< of a derived fact, which stands for it wherever it is read
};

/// The names an expression may read. Each has a slot, a number from 0 upwards in the order of adding, by which
/// compiled expressions ask for values.
class Vocabulary {
 public:
  Vocabulary() = default;
  explicit Vocabulary(std::vector<Symbol> symbols);
  int add(Symbol symbol);                 ///< the slot; throws invalid_argument when the path is taken
  int slot(std::string_view path) const;  ///< -1: no such name
  const Symbol& at(int slot) const { return symbols_[static_cast<std::size_t>(slot)]; }
  const Symbol* find(std::string_view path) const;
  std::vector<std::string> paths() const;  ///< sorted
  std::size_t size() const { return symbols_.size(); }

 private:
  std::vector<Symbol> symbols_;
  std::map<std::string, int, std::less<>> slots_;
};

/// Where values come from at evaluation. Never asked for a slot that has a definition.
class Values {
 public:
  virtual ~Values() = default;
  virtual const Value* at(int slot) const = 0;  ///< nullptr (or a number that is NaN) = unknown
  /// False: it is not time yet to say that the fact is unknown, so even known() of it is undecided.
  virtual bool is_asked(int) const { return true; }
};

namespace detail {
struct ExprNode;
class Parser;
}  // namespace detail

class Expression {
 public:
  /// Throws parse_error "file:line:column: ..." (column inside `text`, offset by `where`).
  static Expression compile(const std::string& text, const Vocabulary& vocabulary, const SourceLocation& where = {});

  const Type& type() const { return type_; }
  const std::string& text() const { return text_; }
  const std::vector<std::string>& reads() const { return reads_; }  ///< facts as they are written, sorted
  const std::vector<int>& slots() const { return slots_; }  ///< read in the end, definitions written out; sorted
  int layer() const { return layer_; }                      ///< the greatest layer of its slots; 0 without any

  std::optional<Value> evaluate(const Values& values) const;
  /// Only for boolean expressions; makes no strings and allocates nothing.
  std::optional<bool> evaluate_condition(const Values& values) const;
  /// The unknown facts that leave the expression undecided, sorted; those it is derived from instead of a derived one.
  /// When all are known and it is still undecided (a division by zero): everything it reads. Empty when decided.
  std::vector<std::string> missing(const Values& values) const;

 private:
  std::string text_;
  Type type_;
  std::vector<std::string> reads_;
  std::vector<int> slots_;
  int layer_ = 0;
  std::size_t size_ = 0;  ///< nodes, definitions written out
  std::shared_ptr<const detail::ExprNode> root_;

  friend class detail::Parser;
};

/// The place of the character at `offset` of a text that stands at `where`.
SourceLocation place_in(const std::string& text, const SourceLocation& where, std::size_t offset);

/// A name that a text mentions and where it stands in it.
struct NameInText {
  std::string name;
  SourceLocation where;
};
/// All of them in order, without any check of types; to order definitions before compiling them.
std::vector<NameInText> names_in(const std::string& text, const SourceLocation& where = {});

}  // namespace advisor
