#include "lm/normalize.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "core/error.h"

namespace advisor {
namespace {

std::string nfc(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    return std::string(text);
  }
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = icu::Normalizer2::getNFCInstance(status);
  std::string out;
  icu::StringByteSink<std::string> sink(&out);
  std::size_t begin = 0, at = 0;
  const auto flush = [&] {  // what lies between bytes that are not UTF-8
    if (at > begin && U_SUCCESS(status) != 0) {
      const std::string_view part = text.substr(begin, at - begin);
      form->normalizeUTF8(0, icu::StringPiece(part.data(), static_cast<std::int32_t>(part.size())), sink, nullptr,
                          status);
    }
  };
  while (at < text.size()) {
    const Utf8Character character = utf8_at(text, at);
    if (!character.valid || at - begin > (1U << 30)) {  // ICU counts bytes in 32 bits
      flush();
      begin = at;
      if (!character.valid) out += text[begin++];
    }
    at += character.bytes;
  }
  flush();
  if (U_FAILURE(status) != 0) {
    throw Error(ErrorCode::internal, "tokenizer: ICU cannot normalize a text: " + std::string(u_errorName(status)));
  }
  return out;
}

}  // namespace

Utf8Character utf8_at(std::string_view text, std::size_t at) {
  // Four bytes are all that one character can take; a 32-bit index is what ICU's macro wants.
  const std::string_view window = text.substr(at, 4);
  std::int32_t i = 0;
  UChar32 c = 0;
  U8_NEXT(reinterpret_cast<const std::uint8_t*>(window.data()), i, static_cast<std::int32_t>(window.size()), c);
  return c < 0 ? Utf8Character{} : Utf8Character{static_cast<std::size_t>(i), true};
}

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = text.find(pattern, at)) != std::string_view::npos; at = found + pattern.size()) {
    out.append(text, at, found - at).append(content);
  }
  return out.append(text, at);
}

Normalizer::Normalizer(const std::vector<NormalizerStep>& steps) : steps_(steps) {
  for (const NormalizerStep& step : steps_) {
    const bool known =
        step.type == "NFC" || step.type == "Prepend" || (step.type == "Replace" && !step.pattern.empty());
    if (!known) {
      throw Error(ErrorCode::unsupported, "tokenizer: normalizer \"" + step.type +
                                              "\" is not implemented; only NFC, Prepend and Replace of a string are");
    }
  }
}

std::string Normalizer::operator()(std::string_view text) const {
  std::string out(text);
  for (const NormalizerStep& step : steps_) {
    if (step.type == "NFC") {
      out = nfc(out);
    } else if (step.type == "Replace") {
      out = replace_all(out, step.pattern, step.content);
    } else if (!out.empty()) {
      out.insert(0, step.content);
    }
  }
  return out;
}

}  // namespace advisor
