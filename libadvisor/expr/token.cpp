#include <algorithm>
#include <array>

#include "core/document.h"
#include "core/error.h"
#include "expr/node.h"

namespace advisor {
namespace detail {
namespace {

bool is_lower(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

constexpr std::size_t max_length = 4096;

class Lexer {
 public:
  Lexer(const std::string& text, const SourceLocation& where) : text_(text), where_(where) {}

  std::vector<Token> run() {
    if (text_.size() > max_length) fail_at(text_, where_, 0, "an expression may have at most 4096 characters");
    std::vector<Token> tokens;
    do {
      while (at_ < text_.size() && is_space(text_[at_])) ++at_;
      tokens.push_back(next());
    } while (tokens.back().kind != TokenKind::end);
    return tokens;
  }

 private:
  char peek(std::size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }

  Token next() {
    Token token;
    token.offset = at_;
    const char c = peek();
    if (at_ == text_.size()) return token;
    if (is_digit(c) || (c == '.' && is_digit(peek(1)))) {
      number(token);
    } else if (is_lower(c)) {
      name(token);
    } else if (c == '"' || c == '\'') {
      quoted(token, c);
    } else {
      symbol(token);
    }
    return token;
  }

  /// Digits, fraction and exponent, then a unit when one follows.
  void number(Token& token) {
    token.kind = TokenKind::number;
    const std::size_t begin = at_;
    while (is_digit(peek())) ++at_;
    if (peek() == '.') ++at_;
    while (is_digit(peek())) ++at_;
    const bool exponent =
        peek() == 'e' && (is_digit(peek(1)) || ((peek(1) == '-' || peek(1) == '+') && is_digit(peek(2))));
    if (exponent) {
      at_ += 2;
      while (is_digit(peek())) ++at_;
    }
    std::string quantity = text_.substr(begin, at_ - begin);
    quantity += unit();
    try {
      token.quantity = parse_quantity(quantity);
    } catch (const Error& error) {
      fail_at(text_, where_, begin, error.what());
    }
    token.text = quantity;
  }

  /// The unit after a number, moving behind it; empty when what follows is no unit ("4 in", "2 * x").
  std::string unit() {
    std::size_t begin = at_;
    while (begin < text_.size() && is_space(text_[begin])) ++begin;
    std::size_t end = begin;
    while (end < text_.size() && (is_letter(text_[end]) || is_digit(text_[end]))) ++end;
    if (end < text_.size() && end == begin && text_[end] == '%') ++end;
    if (end == begin) return "";
    std::size_t per = end;
    if (per + 1 < text_.size() && text_[per] == '/' && is_letter(text_[per + 1])) {
      ++per;
      while (per < text_.size() && (is_letter(text_[per]) || is_digit(text_[per]))) ++per;
    }
    const std::string word = text_.substr(begin, end - begin);
    const std::string ratio = text_.substr(begin, per - begin);  // "GB/s"; "GiB/model.layers" is a division
    if (is_keyword(word)) return "";
    if (find_unit(ratio) != nullptr) {
      at_ = per;
      return " " + ratio;
    }
    at_ = end;  // an unknown unit is reported by parse_quantity, with suggestions
    return " " + word;
  }

  void name(Token& token) {
    token.kind = TokenKind::name;
    while (true) {
      while (is_lower(peek()) || is_digit(peek())) token.text += text_[at_++];
      if (peek() != '.' || !is_lower(peek(1))) break;
      token.text += text_[at_++];
    }
    if (is_letter(peek()) || (peek() == '.' && is_letter(peek(1))))
      fail_at(text_, where_, at_, "names are written in lower case");
  }

  void quoted(Token& token, char quote) {
    token.kind = TokenKind::text;
    ++at_;
    while (peek() != quote) {
      if (peek() == '\\') ++at_;
      if (at_ >= text_.size()) fail_at(text_, where_, token.offset, "the text is not closed");
      token.text += text_[at_++];
    }
    ++at_;
  }

  void symbol(Token& token) {
    token.kind = TokenKind::symbol;
    constexpr std::array<std::string_view, 4> pairs{"==", "!=", "<=", ">="};
    const std::string_view two = std::string_view(text_).substr(at_, 2);
    if (std::find(pairs.begin(), pairs.end(), two) != pairs.end()) {
      token.text = two;
    } else if (std::string_view("<>+-*/()[],").find(peek()) != std::string_view::npos) {
      token.text = std::string(1, peek());
    } else {
      const std::string hint = peek() == '='   ? "; compare with =="
                               : peek() == '&' ? "; write `and`"
                               : peek() == '|' ? "; write `or`"
                               : peek() == '!' ? "; write `not`"
                                               : "";
      fail_at(text_, where_, at_, "unexpected character" + hint);
    }
    at_ += token.text.size();
  }

  const std::string& text_;
  const SourceLocation& where_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> tokenize(const std::string& text, const SourceLocation& where) { return Lexer(text, where).run(); }

void fail_at(const std::string& text, const SourceLocation& where, std::size_t offset, const std::string& message) {
  throw Error(ErrorCode::parse_error, prefix(place_in(text, where, offset)) + message);
}

bool is_keyword(const std::string& name) {
  constexpr std::array<std::string_view, 6> keywords{"and", "or", "not", "in", "true", "false"};
  return std::find(keywords.begin(), keywords.end(), name) != keywords.end();
}

}  // namespace detail

SourceLocation place_in(const std::string& text, const SourceLocation& where, std::size_t offset) {
  SourceLocation place{where.file, std::max(where.line, 1), std::max(where.column, 1)};
  std::size_t from = 0;
  offset = std::min(offset, text.size());
  for (const SourceLocation::Part& part : where.parts) {
    if (part.offset > offset) break;
    from = part.offset;
    place.line = part.line;
    place.column = part.column;
  }
  for (std::size_t i = from; i < offset; ++i) {
    if (text[i] == '\n') {
      ++place.line;
      place.column = 1;
    } else {
      ++place.column;
    }
  }
  return place;
}

std::vector<NameInText> names_in(const std::string& text, const SourceLocation& where) {
  std::vector<NameInText> names;
  for (const detail::Token& token : detail::tokenize(text, where)) {
    if (token.kind == detail::TokenKind::name && !detail::is_keyword(token.text))
      names.push_back({token.text, place_in(text, where, token.offset)});
  }
  return names;
}

}  // namespace advisor
