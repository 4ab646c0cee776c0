#include "checkpoint/tokenizer_data.h"

#include <string_view>

namespace advisor {

constexpr std::string_view hexadecimal = "0123456789ABCDEF";

std::optional<unsigned char> byte_of_token(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const std::size_t high = hexadecimal.find(token[3]), low = hexadecimal.find(token[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned char>(high << 4 | low);
}

std::string token_of_byte(unsigned char byte) {
  return std::string("<0x") + hexadecimal[byte >> 4] + hexadecimal[byte & 15] + ">";
}

}  // namespace advisor
