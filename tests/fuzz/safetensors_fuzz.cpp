// Any bytes: the header parser either accepts or throws advisor::Error, and what it accepts lies inside the file
// without gaps. The same bytes then serve as config.json and tokenizer.json.
#include <span>
#include <string_view>

#include "checkpoint/folder.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"

using namespace advisor;

namespace {

void check_header(std::span<const std::byte> bytes) {
  const auto size = static_cast<std::int64_t>(bytes.size());
  SafetensorsHeader header;
  try {
    header = parse_safetensors(bytes, size, "fuzz");
  } catch (const Error&) {
    return;
  }
  std::int64_t position = header.data_begin;
  for (const SafetensorsEntry& entry : header.entries) {
    if (entry.begin != position || entry.end < entry.begin || entry.end > size) __builtin_trap();
    if (element_count(entry.shape) * size_of(entry.dtype) != entry.end - entry.begin) __builtin_trap();
    position = entry.end;
  }
  if (position != size) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check_header(std::as_bytes(std::span(data, size)));
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ModelConfig config;
  try {
    config = parse_model_config(text, "fuzz");
  } catch (const Error&) {
  }
  try {
    const TokenizerData tokenizer = parse_tokenizer(text, {}, config, "fuzz");
    if (tokenizer.bos && static_cast<std::size_t>(*tokenizer.bos) >= tokenizer.tokens.size()) __builtin_trap();
  } catch (const Error&) {
  }
  return 0;
}
