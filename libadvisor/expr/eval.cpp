// Kleene's three-valued logic: a condition is unknown only when the unknown facts could change it.
#include <algorithm>
#include <cmath>

#include "expr/node.h"

namespace advisor {
namespace detail {
namespace {

using Result = std::optional<Value>;

Result evaluate(const ExprNode& node, const Values& values);

Result logical(const ExprNode& node, const Values& values) {
  // `and` is decided by a false side, `or` by a true one, whatever the other is
  const bool decisive = node.op == Op::logical_or;
  bool unknown = false;
  for (const NodePtr& arg : node.args) {
    const Result side = evaluate(*arg, values);
    if (!side) {
      unknown = true;
    } else if (std::get<bool>(*side) == decisive) {
      return decisive;
    }
  }
  if (unknown) return std::nullopt;
  return !decisive;
}

bool contains(const std::vector<std::string>& set, const std::string& item) {
  return std::find(set.begin(), set.end(), item) != set.end();
}

bool subset(const std::vector<std::string>& inner, const std::vector<std::string>& outer) {
  return std::all_of(inner.begin(), inner.end(), [&](const std::string& item) { return contains(outer, item); });
}

bool equal(const Value& left, const Value& right) {
  if (const auto* set = std::get_if<std::vector<std::string>>(&left)) {
    const auto& other = std::get<std::vector<std::string>>(right);
    return subset(*set, other) && subset(other, *set);  // the order of a set means nothing
  }
  return left == right;
}

Result membership(const ExprNode& node, const Values& values) {
  const Result left = evaluate(*node.args[0], values);
  if (!left) return std::nullopt;
  if (node.args[1]->op == Op::list) {
    const auto& items = node.args[1]->args;
    return std::any_of(items.begin(), items.end(),
                       [&](const NodePtr& item) { return evaluate(*item, values) == left; });
  }
  const Result right = evaluate(*node.args[1], values);
  if (!right) return std::nullopt;
  const auto& set = std::get<std::vector<std::string>>(*right);
  if (const auto* item = std::get_if<std::string>(&*left)) return contains(set, *item);
  return subset(std::get<std::vector<std::string>>(*left), set);
}

Result number(double value) {
  if (!std::isfinite(value)) return std::nullopt;  // division by zero, overflow: nothing is known
  return value;
}

Result compare(Op op, double a, double b) {
  switch (op) {
    case Op::less: return a < b;
    case Op::less_equal: return a <= b;
    case Op::greater: return a > b;
    case Op::greater_equal: return a >= b;
    case Op::add: return number(a + b);
    case Op::subtract: return number(a - b);
    case Op::multiply: return number(a * b);
    case Op::divide: return number(a / b);
    case Op::minimum: return std::min(a, b);
    case Op::maximum: return std::max(a, b);
    default: return std::nullopt;
  }
}

/// Left to right over one or more numbers.
Result numeric(const ExprNode& node, const Values& values) {
  Result result = evaluate(*node.args[0], values);
  if (!result) return std::nullopt;
  if (node.op == Op::negate) return -std::get<double>(*result);
  if (node.op == Op::absolute) return std::fabs(std::get<double>(*result));
  for (std::size_t i = 1; i < node.args.size(); ++i) {
    const Result next = evaluate(*node.args[i], values);
    if (!next) return std::nullopt;
    result = compare(node.op, std::get<double>(*result), std::get<double>(*next));
    if (!result) return std::nullopt;
  }
  return result;
}

Result evaluate(const ExprNode& node, const Values& values) {
  switch (node.op) {
    case Op::literal: return node.value;
    case Op::list: return std::nullopt;  // only read by membership()
    case Op::fact: {
      const Value* value = values.find(node.path);
      return value == nullptr ? Result() : Result(*value);
    }
    case Op::known: return values.find(node.path) != nullptr;
    case Op::logical_and:
    case Op::logical_or: return logical(node, values);
    case Op::logical_not: {
      const Result arg = evaluate(*node.args[0], values);
      if (!arg) return std::nullopt;
      return !std::get<bool>(*arg);
    }
    case Op::in: return membership(node, values);
    case Op::equal:
    case Op::not_equal: {
      const Result left = evaluate(*node.args[0], values), right = evaluate(*node.args[1], values);
      if (!left || !right) return std::nullopt;
      return equal(*left, *right) == (node.op == Op::equal);
    }
    default: return numeric(node, values);
  }
}

}  // namespace
}  // namespace detail

std::optional<Value> Expression::evaluate(const Values& values) const { return detail::evaluate(*root_, values); }

std::optional<bool> Expression::evaluate_condition(const Values& values) const {
  const std::optional<Value> value = evaluate(values);
  if (!value) return std::nullopt;
  return std::get<bool>(*value);
}

std::vector<std::string> Expression::missing(const Values& values) const {
  std::vector<std::string> names;
  for (const std::string& path : reads_) {
    if (values.find(path) == nullptr) names.push_back(path);
  }
  return names;
}

}  // namespace advisor
