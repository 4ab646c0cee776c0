// Any bytes are text to a tokenizer: encoding never fails, and decoding gives the same bytes back, with the
// hand-written splitter of GPT-2 and with a pattern that goes through ICU.
#include <cstdint>
#include <string>
#include <string_view>

#include "lm/tokenizer.h"

using namespace advisor;

namespace {

/// All 256 bytes in the alphabet of GPT-2, some merges, one special token.
TokenizerData small_data(std::string pre) {
  TokenizerData data;
  data.model = "bpe";
  data.pre = std::move(pre);
  int next = 256;
  for (int b = 0; b < 256; ++b) {
    bool visible = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
    int c = visible ? b : next++;
    data.tokens.push_back(c < 0x80
                              ? std::string(1, static_cast<char>(c))
                              : std::string{static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 63))});
  }
  for (std::string_view merge : {"a a", "aa a", "aa aa", "\xC4\xA0 a", "\xC4\xA0 \xC4\xA0", "\xC3\x83 \xC2\xA9"}) {
    data.merges.emplace_back(merge);
    std::string merged(merge);
    merged.erase(merged.find(' '), 1);
    data.tokens.push_back(merged);
  }
  data.added = {{static_cast<std::int64_t>(data.tokens.size())}};
  data.tokens.emplace_back("<s>");
  return data;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Tokenizer by_hand(small_data("gpt2"));
  static const Tokenizer by_pattern(small_data(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"));
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (by_hand.decode(by_hand.encode(text)) != text || by_pattern.decode(by_pattern.encode(text)) != text) {
    __builtin_trap();
  }
  return 0;
}
