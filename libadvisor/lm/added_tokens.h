// Finds the tokens that are matched whole before a text is split.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "checkpoint/tokenizer_data.h"

namespace advisor {

class AddedTokenMatcher {
 public:
  /// `content` is what is looked for, not empty; the first of equal ones wins.
  void add(const AddedToken& token, const std::string& content);

  /// Calls `part` for consecutive parts of `text`: with an id for a token (the leftmost, the longest of those that
  /// begin there, with the white space that it strips), without for what lies between.
  void split(std::string_view text,
             const std::function<void(std::string_view, std::optional<std::int32_t>)>& part) const;

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Match {
    const AddedToken* token = nullptr;
    std::size_t length = 0;
  };
  Match at(std::string_view text, std::size_t position) const;

  std::unordered_map<std::string, AddedToken, TextHash, std::equal_to<>> tokens_;
  std::vector<std::size_t> lengths_;  ///< distinct, longest first
  std::array<bool, 256> first_byte_{};
};

}  // namespace advisor
