#include "lm/added_tokens.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <functional>

namespace advisor {
namespace {

/// The code point that begins at `at`, which moves behind it; negative for a byte that is not UTF-8.
UChar32 next(std::string_view text, std::size_t& at) {
  const std::string_view window = text.substr(at, 4);
  std::int32_t i = 0;
  UChar32 c = 0;
  U8_NEXT(reinterpret_cast<const std::uint8_t*>(window.data()), i, static_cast<std::int32_t>(window.size()), c);
  at += c < 0 ? 1 : static_cast<std::size_t>(i);
  return c;
}

/// The code point that ends at `at`, which moves before it.
UChar32 previous(std::string_view text, std::size_t& at) {
  const std::size_t begin = at - std::min<std::size_t>(at, 4);
  const std::string_view window = text.substr(begin, at - begin);
  auto i = static_cast<std::int32_t>(window.size());
  UChar32 c = 0;
  U8_PREV(reinterpret_cast<const std::uint8_t*>(window.data()), 0, i, c);
  at = c < 0 ? at - 1 : begin + static_cast<std::size_t>(i);
  return c;
}

/// \w of regular expressions (UTS #18).
bool is_word(UChar32 c) {
  return c >= 0 && (u_hasBinaryProperty(c, UCHAR_ALPHABETIC) != 0 || u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) != 0 ||
                    (U_GET_GC_MASK(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0);
}

bool word_before(std::string_view text, std::size_t at) { return at > 0 && is_word(previous(text, at)); }
bool word_after(std::string_view text, std::size_t at) { return at < text.size() && is_word(next(text, at)); }

std::size_t skip_space_left(std::string_view text, std::size_t at) {
  for (std::size_t begin = at; at > 0; at = begin) {
    if (const UChar32 c = previous(text, begin); c < 0 || u_isUWhiteSpace(c) == 0) break;
  }
  return at;
}

std::size_t skip_space_right(std::string_view text, std::size_t at) {
  for (std::size_t end = at; at < text.size(); at = end) {
    if (const UChar32 c = next(text, end); c < 0 || u_isUWhiteSpace(c) == 0) break;
  }
  return at;
}

}  // namespace

void AddedTokenMatcher::add(const AddedToken& token, const std::string& content) {
  tokens_.emplace(content, token);
  first_byte_[static_cast<unsigned char>(content[0])] = true;
  const auto place = std::lower_bound(lengths_.begin(), lengths_.end(), content.size(), std::greater<>());
  if (place == lengths_.end() || *place != content.size()) lengths_.insert(place, content.size());
}

AddedTokenMatcher::Match AddedTokenMatcher::at(std::string_view text, std::size_t position) const {
  if (!first_byte_[static_cast<unsigned char>(text[position])]) return {};
  for (const std::size_t length : lengths_) {
    if (length > text.size() - position) continue;
    if (const auto found = tokens_.find(text.substr(position, length)); found != tokens_.end()) {
      return {&found->second, length};
    }
  }
  return {};
}

void AddedTokenMatcher::split(std::string_view text,
                              const std::function<void(std::string_view, std::optional<std::int32_t>)>& part) const {
  std::size_t done = 0;  // end of the last part
  for (std::size_t i = 0; i < text.size();) {
    const Match match = at(text, i);
    std::size_t begin = i, end = i + match.length;
    i = match.token == nullptr ? i + 1 : end;
    if (match.token == nullptr) continue;
    if (match.token->single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (match.token->lstrip) begin = std::max(skip_space_left(text, begin), done);
    if (match.token->rstrip) end = skip_space_right(text, end);
    if (begin > done) part(text.substr(done, begin - done), std::nullopt);
    part(text.substr(begin, end - begin), static_cast<std::int32_t>(match.token->id));
    done = end;
  }
  if (done < text.size()) part(text.substr(done), std::nullopt);
}

}  // namespace advisor
