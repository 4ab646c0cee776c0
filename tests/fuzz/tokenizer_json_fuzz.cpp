// Any bytes as tokenizer.json, zero byte, tokenizer_config.json, zero byte, text: refused with an Error, or a tokenizer
// whose ids are of its vocabulary, can be decoded and are the same when asked again.
#include <string>
#include <string_view>

#include "checkpoint/folder.h"
#include "core/error.h"
#include "lm/tokenizer.h"
#include "model_folder.h"

using namespace advisor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string_view json = fuzz::take_until(rest, '\0'), settings = fuzz::take_until(rest, '\0');
  const std::string_view text = rest.substr(0, 512);  // patterns may need time that grows steeply with the text
  try {
    const TokenizerData parsed = parse_tokenizer(json, settings, {}, "fuzz");
    const Tokenizer tokenizer(parsed);
    const auto ids = tokenizer.encode(text);
    for (const std::int32_t id : ids) {
      if (id < 0 || static_cast<std::size_t>(id) >= parsed.tokens.size()) __builtin_trap();
    }
    tokenizer.decode(ids);
    if (tokenizer.encode(text) != ids) __builtin_trap();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) __builtin_trap();
  }
  return 0;
}
