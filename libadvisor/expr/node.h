// The checked tree behind an Expression. Private to expr/.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expr/expr.h"

namespace advisor::detail {

enum class Op {
  literal,
  fact,
  list,  ///< right side of `in`: literals only
  logical_not,
  logical_and,
  logical_or,
  equal,
  not_equal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  add,
  subtract,
  multiply,
  divide,
  negate,
  minimum,
  maximum,
  absolute,
  known,
};

/// What every walk reads stands first, within one line of the cache.
struct ExprNode {
  Op op = Op::literal;
  int slot = -1;  ///< fact
  std::vector<std::shared_ptr<const ExprNode>> args;
  Type type;
  Value value;       ///< literal
  std::string path;  ///< fact
};
/// Shared, because the tree of a derived fact hangs in every expression that reads it.
using NodePtr = std::shared_ptr<const ExprNode>;

enum class TokenKind { end, number, text, name, symbol };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;   ///< name, symbol or contents of a text
  Quantity quantity;  ///< number
  std::size_t offset = 0;
};

/// Throws parse_error at the character that fits nowhere.
std::vector<Token> tokenize(const std::string& text, const SourceLocation& where);

/// Throws parse_error with the place of `offset` in `text`.
[[noreturn]] void fail_at(const std::string& text, const SourceLocation& where, std::size_t offset,
                          const std::string& message);

bool is_keyword(const std::string& name);

}  // namespace advisor::detail
