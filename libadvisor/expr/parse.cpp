// Pratt parser: each operator has a binding power, operands are parsed with the power of the operator to their left.
// Names, types and dimensions are checked while the tree is built, so a tree that exists is correct.
#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "core/suggest.h"
#include "expr/node.h"

namespace advisor {
namespace detail {
namespace {

constexpr int max_nesting = 64;
constexpr std::size_t max_nodes = 512;
constexpr std::size_t max_written_out = 4096;  // with derived facts; bounds the time and the depth of evaluation

struct Infix {
  Op op;
  int power;
};
const std::map<std::string, Infix, std::less<>> infix_operators{
    {"or", {Op::logical_or, 1}}, {"and", {Op::logical_and, 2}},  {"==", {Op::equal, 4}},
    {"!=", {Op::not_equal, 4}},  {"<", {Op::less, 4}},           {"<=", {Op::less_equal, 4}},
    {">", {Op::greater, 4}},     {">=", {Op::greater_equal, 4}}, {"in", {Op::in, 4}},
    {"+", {Op::add, 5}},         {"-", {Op::subtract, 5}},       {"*", {Op::multiply, 6}},
    {"/", {Op::divide, 6}},
};
constexpr int not_power = 3, comparison_power = 4, negate_power = 7;

const Type boolean_type{TypeKind::boolean, {}};

/// For a plain number beside a quantity: "; write the unit, as "16 GiB"".
std::string unit_hint(const ExprNode& plain, const ExprNode& quantity) {
  static const std::vector<std::pair<Dimension, std::string>> usual{
      {Dimension::bytes, "GiB"}, {Dimension::bytes_per_second, "GB/s"}, {Dimension::ops_per_second, "TFLOPS"},
      {Dimension::seconds, "s"}, {Dimension::usd_per_second, "USD/h"},  {Dimension::usd_only, "USD"}};
  if (plain.op != Op::literal || plain.type.dimension != Dimension::none) return "";
  for (const auto& [dimension, unit] : usual) {
    if (dimension != quantity.type.dimension) continue;
    return "; write the unit, as \"" + format_number(std::get<double>(plain.value)) + " " + unit + "\"";
  }
  return "";
}

bool is_zero_literal(const ExprNode& node) {
  return node.op == Op::literal && node.type.kind == TypeKind::number && std::get<double>(node.value) == 0;
}

}  // namespace

class Parser {
 public:
  Parser(const std::string& text, const Vocabulary& vocabulary, const SourceLocation& where)
      : text_(text), vocabulary_(vocabulary), where_(where), tokens_(tokenize(text, where)) {}

  Expression run() {
    Expression result;
    result.root_ = expression(0);
    if (peek().kind != TokenKind::end) fail(peek(), "unexpected \"" + peek().text + "\"");
    if (result.root_->op == Op::list) fail(tokens_[0], "a list of numbers can only stand behind `in`");
    result.text_ = text_;
    result.type_ = result.root_->type;
    result.reads_.assign(reads_.begin(), reads_.end());
    result.slots_.assign(slots_.begin(), slots_.end());
    for (const int slot : slots_) result.layer_ = std::max(result.layer_, vocabulary_.at(slot).layer);
    result.size_ = nodes_ + defined_;
    return result;
  }

 private:
  const Token& peek() const { return tokens_[at_]; }
  const Token& take() { return tokens_[tokens_[at_].kind == TokenKind::end ? at_ : at_++]; }
  bool is_symbol(std::string_view symbol) const { return peek().kind == TokenKind::symbol && peek().text == symbol; }

  [[noreturn]] void fail(const Token& token, const std::string& message) const {
    fail_at(text_, where_, token.offset, message);
  }

  void expect(std::string_view symbol) {
    if (!is_symbol(symbol)) {
      fail(peek(), "expected \"" + std::string(symbol) + "\"" +
                       (peek().kind == TokenKind::end ? " before the end" : " instead of \"" + peek().text + "\""));
    }
    take();
  }

  NodePtr make(ExprNode node, const Token& token) {
    if (++nodes_ > max_nodes) fail(token, "the expression is too long");
    return std::make_shared<const ExprNode>(std::move(node));
  }

  NodePtr make(Op op, Type type, std::vector<NodePtr> args, const Token& token) {
    ExprNode node;
    node.op = op;
    node.type = type;
    node.args = std::move(args);
    return make(std::move(node), token);
  }

  NodePtr expression(int power) {
    if (++nesting_ > max_nesting) fail(peek(), "nested deeper than 64 levels");
    NodePtr left = operand();
    while (true) {
      const Token token = peek();
      const bool can_be = token.kind == TokenKind::symbol || token.kind == TokenKind::name;
      const auto found = can_be ? infix_operators.find(token.text) : infix_operators.end();
      if (found == infix_operators.end() || found->second.power <= power) break;
      take();
      NodePtr right = expression(found->second.power);
      left = binary(found->second.op, std::move(left), std::move(right), token);
      if (found->second.power == comparison_power) refuse_chain();
    }
    --nesting_;
    return left;
  }

  /// a < b < c would compare a boolean; say so.
  void refuse_chain() const {
    const Token& next = peek();
    const auto found = infix_operators.find(next.text);
    const bool operates = next.kind == TokenKind::symbol || next.kind == TokenKind::name;
    if (operates && found != infix_operators.end() && found->second.power == comparison_power) {
      fail(next, "comparisons do not chain; join them with `and`");
    }
  }

  NodePtr operand() {
    const Token token = take();
    switch (token.kind) {
      case TokenKind::number: return literal(token.quantity.value, {TypeKind::number, token.quantity.dimension}, token);
      case TokenKind::text: return literal(token.text, {TypeKind::text, {}}, token);
      case TokenKind::name: return named(token);
      case TokenKind::symbol: return prefixed(token);
      case TokenKind::end: break;
    }
    fail(token, text_.empty() ? "the expression is empty" : "the expression ends too early");
  }

  NodePtr literal(Value value, Type type, const Token& token) {
    ExprNode node;
    node.type = type;
    node.value = std::move(value);
    return make(std::move(node), token);
  }

  NodePtr prefixed(const Token& token) {
    if (token.text == "(") {
      NodePtr inside = expression(0);
      expect(")");
      return inside;
    }
    if (token.text == "[") return list(token);
    if (token.text == "-") {
      NodePtr arg = expression(negate_power);
      require(*arg, TypeKind::number, token, "\"-\"");
      const Type type = arg->type;
      return make(Op::negate, type, one(std::move(arg)), token);
    }
    fail(token, "unexpected \"" + token.text + "\"");
  }

  NodePtr named(const Token& token) {
    if (token.text == "true" || token.text == "false") return literal(token.text == "true", boolean_type, token);
    if (token.text == "not") {
      NodePtr arg = expression(not_power);
      require(*arg, TypeKind::boolean, token, "`not`");
      return make(Op::logical_not, boolean_type, one(std::move(arg)), token);
    }
    if (is_keyword(token.text)) fail(token, "unexpected \"" + token.text + "\"");
    if (is_symbol("(")) return call(token);
    return fact(token);
  }

  /// The value of a fact, or the tree that defines it.
  NodePtr fact(const Token& token) {
    const int slot = vocabulary_.slot(token.text);
    if (slot < 0) fail(token, "unknown fact \"" + token.text + "\"" + did_you_mean(token.text, vocabulary_.paths()));
    const Symbol& symbol = vocabulary_.at(slot);
    reads_.insert(token.text);
    if (symbol.definition) {
      const Expression& definition = *symbol.definition;
      slots_.insert(definition.slots_.begin(), definition.slots_.end());
      defined_ += definition.size_;
      if (defined_ > max_written_out) fail(token, "the expression is too long with its derived facts written out");
      return definition.root_;
    }
    slots_.insert(slot);
    ExprNode node;
    node.op = Op::fact;
    node.path = token.text;
    node.slot = slot;
    node.type = symbol.type;
    return make(std::move(node), token);
  }

  NodePtr call(const Token& token) {
    take();
    if (token.text == "known") {
      const Token argument = take();
      if (argument.kind != TokenKind::name || is_keyword(argument.text))
        fail(argument, "known() takes the name of a fact");
      NodePtr known = fact(argument);
      expect(")");
      return make(Op::known, boolean_type, one(std::move(known)), token);
    }
    const bool several = token.text == "min" || token.text == "max";
    if (!several && token.text != "abs")
      fail(token, "unknown function \"" + token.text + "\"; known are min, max, abs, known");
    std::vector<NodePtr> args;
    do {
      args.push_back(expression(0));
      require(*args.back(), TypeKind::number, token, token.text + "()");
    } while (is_symbol(",") && (take(), true));
    expect(")");
    if (several ? args.size() < 2 : args.size() != 1) {
      fail(token, token.text + (several ? "() takes at least two values" : "() takes one value"));
    }
    for (std::size_t i = 1; i < args.size(); ++i) same_dimension(*args[0], *args[i], token);
    const Type type = args[0]->type;
    const Op op = token.text == "min" ? Op::minimum : token.text == "max" ? Op::maximum : Op::absolute;
    return make(op, type, std::move(args), token);
  }

  /// Literals only, all of one type. As texts it is a set that can be compared with a set.
  NodePtr list(const Token& token) {
    std::vector<NodePtr> items;
    while (!is_symbol("]")) {
      if (!items.empty()) expect(",");
      const Token item = peek();
      items.push_back(expression(comparison_power));
      const ExprNode& node = *items.back();
      const bool simple = node.op == Op::literal || (node.op == Op::negate && node.args[0]->op == Op::literal);
      if (!simple || node.type.kind == TypeKind::boolean) fail(item, "a list holds literal texts or numbers");
      if (node.type != items.front()->type) fail(item, "a list holds values of one type");
    }
    take();
    const bool texts = items.empty() || items.front()->type.kind == TypeKind::text;
    if (!texts) {
      const Type type = items.front()->type;
      return make(Op::list, type, std::move(items), token);
    }
    std::vector<std::string> words;
    for (const NodePtr& item : items) words.push_back(std::get<std::string>(item->value));
    return literal(std::move(words), {TypeKind::set, {}}, token);
  }

  static std::vector<NodePtr> one(NodePtr arg) {
    std::vector<NodePtr> args;
    args.push_back(std::move(arg));
    return args;
  }

  void require(const ExprNode& node, TypeKind kind, const Token& token, const std::string& what) const {
    if (node.op == Op::list) fail(token, "a list of numbers can only stand behind `in`");
    if (node.type.kind != kind) {
      const std::string wanted = kind == TypeKind::boolean ? "a condition" : "a number";
      fail(token, what + " needs " + wanted + ", not " + name(node.type));
    }
  }

  void same_dimension(const ExprNode& left, const ExprNode& right, const Token& token) const {
    if (left.type.dimension == right.type.dimension || is_zero_literal(left) || is_zero_literal(right)) return;
    fail(token, "\"" + token.text + "\" mixes " + name(left.type.dimension) + " and " + name(right.type.dimension) +
                    unit_hint(left, right) + unit_hint(right, left));
  }

  NodePtr binary(Op op, NodePtr left, NodePtr right, const Token& token) {
    Type type = boolean_type;
    switch (op) {
      case Op::logical_and:
      case Op::logical_or:
        require(*left, TypeKind::boolean, token, "`" + token.text + "`");
        require(*right, TypeKind::boolean, token, "`" + token.text + "`");
        break;
      case Op::in: check_in(*left, *right, token); break;
      case Op::equal:
      case Op::not_equal: check_equal(*left, *right, token); break;
      default: type = check_numbers(op, *left, *right, token); break;
    }
    std::vector<NodePtr> args;
    args.push_back(std::move(left));
    args.push_back(std::move(right));
    return make(op, type, std::move(args), token);
  }

  void check_in(const ExprNode& left, const ExprNode& right, const Token& token) const {
    if (left.op == Op::list) fail(token, "a list of numbers can only stand behind `in`");
    if (right.op == Op::list) {
      require(left, TypeKind::number, token, "`in` with a list of numbers");
      same_dimension(left, right, token);
      return;
    }
    const bool member = left.type.kind == TypeKind::text || left.type.kind == TypeKind::set;
    if (!member || right.type.kind != TypeKind::set) {
      fail(token, "`in` cannot look for " + name(left.type) + " in " + name(right.type));
    }
  }

  void check_equal(const ExprNode& left, const ExprNode& right, const Token& token) const {
    if (left.op == Op::list || right.op == Op::list) fail(token, "a list of numbers can only stand behind `in`");
    if (left.type.kind != right.type.kind) {
      fail(token, "\"" + token.text + "\" cannot compare " + name(left.type) + " with " + name(right.type));
    }
    if (left.type.kind == TypeKind::number) same_dimension(left, right, token);
  }

  Type check_numbers(Op op, const ExprNode& left, const ExprNode& right, const Token& token) const {
    require(left, TypeKind::number, token, "\"" + token.text + "\"");
    require(right, TypeKind::number, token, "\"" + token.text + "\"");
    if (op == Op::multiply) return {TypeKind::number, left.type.dimension * right.type.dimension};
    if (op == Op::divide) return {TypeKind::number, left.type.dimension / right.type.dimension};
    same_dimension(left, right, token);
    if (op != Op::add && op != Op::subtract) return boolean_type;
    return is_zero_literal(left) ? right.type : left.type;
  }

  const std::string& text_;
  const Vocabulary& vocabulary_;
  const SourceLocation& where_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0, nodes_ = 0, defined_ = 0;  ///< defined_: nodes of the definitions that are read
  int nesting_ = 0;
  std::set<std::string> reads_;
  std::set<int> slots_;
};

}  // namespace detail

Expression Expression::compile(const std::string& text, const Vocabulary& vocabulary, const SourceLocation& where) {
  return detail::Parser(text, vocabulary, where).run();
}

}  // namespace advisor
