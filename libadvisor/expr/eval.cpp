// Kleene's three-valued logic: a condition is unknown only when the unknown facts could change it. The tree is typed,
// so each type has its own walk, and a value that is only looked at is never copied: a decision asks millions of times.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "expr/node.h"

namespace advisor {
namespace detail {
namespace {

using Words = std::vector<std::string>;
using Truth = std::optional<bool>;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

Truth truth(const ExprNode& node, const Values& values);

/// What is not finite after a step (division by zero, overflow) is not known.
double finite(double value) { return std::isfinite(value) ? value : unknown; }

double combine(Op op, double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return unknown;
  switch (op) {
    case Op::add: return finite(a + b);
    case Op::subtract: return finite(a - b);
    case Op::multiply: return finite(a * b);
    case Op::divide: return finite(a / b);
    case Op::minimum: return std::min(a, b);
    case Op::maximum: return std::max(a, b);
    default: return unknown;
  }
}

/// Value of a node that is a number; NaN = unknown.
double number(const ExprNode& node, const Values& values) {
  switch (node.op) {
    case Op::literal: return *std::get_if<double>(&node.value);
    case Op::fact: {
      const Value* value = values.at(node.slot);
      return value == nullptr ? unknown : std::get<double>(*value);
    }
    case Op::negate: return -number(*node.args[0], values);
    case Op::absolute: return std::fabs(number(*node.args[0], values));
    default: break;
  }
  double result = number(*node.args[0], values);
  for (std::size_t i = 1; i < node.args.size() && !std::isnan(result); ++i) {
    result = combine(node.op, result, number(*node.args[i], values));
  }
  return result;
}

/// Value of a node that is a text or a set, which is a literal or a fact.
const Value* words(const ExprNode& node, const Values& values) {
  return node.op == Op::literal ? &node.value : values.at(node.slot);
}

bool is_known(const ExprNode& node, const Values& values) {
  switch (node.type.kind) {
    case TypeKind::boolean: return truth(node, values).has_value();
    case TypeKind::number: return node.op == Op::list || !std::isnan(number(node, values));
    default: return words(node, values) != nullptr;
  }
}

bool all_asked(const ExprNode& node, const Values& values) {
  if (node.op == Op::fact) return values.is_asked(node.slot);
  return std::all_of(node.args.begin(), node.args.end(), [&](const NodePtr& arg) { return all_asked(*arg, values); });
}

/// What known() says.
Truth known(const ExprNode& node, const Values& values) {
  if (is_known(node, values)) return true;
  return all_asked(node, values) ? Truth(false) : std::nullopt;
}

Truth logical(const ExprNode& node, const Values& values) {
  // `and` is decided by a false side, `or` by a true one, whatever the other is
  const bool decisive = node.op == Op::logical_or;
  bool undecided = false;
  for (const NodePtr& arg : node.args) {
    const Truth side = truth(*arg, values);
    if (!side) {
      undecided = true;
    } else if (*side == decisive) {
      return decisive;
    }
  }
  if (undecided) return std::nullopt;
  return !decisive;
}

Truth negated(Truth truth) { return truth ? Truth(!*truth) : truth; }

bool contains(const Words& set, const std::string& item) {
  return std::find(set.begin(), set.end(), item) != set.end();
}

bool subset(const Words& inner, const Words& outer) {
  return std::all_of(inner.begin(), inner.end(), [&](const std::string& item) { return contains(outer, item); });
}

Truth membership(const ExprNode& node, const Values& values) {
  if (node.args[1]->op == Op::list) {
    const double left = number(*node.args[0], values);
    if (std::isnan(left)) return std::nullopt;
    const auto& items = node.args[1]->args;
    return std::any_of(items.begin(), items.end(), [&](const NodePtr& item) { return number(*item, values) == left; });
  }
  const Value* left = words(*node.args[0], values);
  const Value* right = words(*node.args[1], values);
  if (left == nullptr || right == nullptr) return std::nullopt;
  const auto& set = std::get<Words>(*right);
  if (const auto* item = std::get_if<std::string>(left)) return contains(set, *item);
  return subset(std::get<Words>(*left), set);
}

Truth equal(const ExprNode& left, const ExprNode& right, const Values& values) {
  if (left.type.kind == TypeKind::boolean) {
    const Truth a = truth(left, values), b = truth(right, values);
    return a && b ? Truth(*a == *b) : std::nullopt;
  }
  if (left.type.kind == TypeKind::number) {
    const double a = number(left, values), b = number(right, values);
    return std::isnan(a) || std::isnan(b) ? Truth() : Truth(a == b);
  }
  const Value* a = words(left, values);
  const Value* b = words(right, values);
  if (a == nullptr || b == nullptr) return std::nullopt;
  const auto* set = std::get_if<Words>(a);
  if (set == nullptr) return *a == *b;
  const auto& other = std::get<Words>(*b);
  return subset(*set, other) && subset(other, *set);  // the order of a set means nothing
}

Truth compared(Op op, double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::nullopt;
  switch (op) {
    case Op::less: return a < b;
    case Op::less_equal: return a <= b;
    case Op::greater: return a > b;
    default: return a >= b;
  }
}

/// Value of a node that is a condition.
Truth truth(const ExprNode& node, const Values& values) {
  switch (node.op) {
    case Op::literal: return std::get<bool>(node.value);
    case Op::fact: {
      const Value* value = values.at(node.slot);
      return value == nullptr ? Truth() : Truth(std::get<bool>(*value));
    }
    case Op::known: return known(*node.args[0], values);
    case Op::logical_and:
    case Op::logical_or: return logical(node, values);
    case Op::logical_not: return negated(truth(*node.args[0], values));
    case Op::in: return membership(node, values);
    case Op::equal: return equal(*node.args[0], *node.args[1], values);
    case Op::not_equal: return negated(equal(*node.args[0], *node.args[1], values));
    default: return compared(node.op, number(*node.args[0], values), number(*node.args[1], values));
  }
}

/// Facts below a node that leave it undecided.
void collect_missing(const ExprNode& node, const Values& values, std::set<std::string>& names) {
  if (is_known(node, values)) return;
  if (node.op == Op::fact) names.insert(node.path);
  for (const NodePtr& arg : node.args) collect_missing(*arg, values, names);
}

}  // namespace
}  // namespace detail

std::optional<Value> Expression::evaluate(const Values& values) const {
  if (!detail::is_known(*root_, values)) return std::nullopt;
  switch (type_.kind) {
    case TypeKind::boolean: return *detail::truth(*root_, values);
    case TypeKind::number: return detail::number(*root_, values);
    default: return *detail::words(*root_, values);
  }
}

std::optional<bool> Expression::evaluate_condition(const Values& values) const { return detail::truth(*root_, values); }

std::vector<std::string> Expression::missing(const Values& values) const {
  if (detail::is_known(*root_, values)) return {};
  std::set<std::string> names;
  detail::collect_missing(*root_, values, names);
  if (names.empty()) return reads_;
  return {names.begin(), names.end()};
}

}  // namespace advisor
