#include "lm/split.h"

#include <unicode/regex.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>
#include <unicode/utf8.h>

#include <array>
#include <cstdint>
#include <limits>

#include "core/error.h"

namespace advisor {
namespace {

enum class CharClass { letter, number, space, other };

struct Char {
  CharClass kind;
  std::size_t end;  ///< offset of the next character
};

Char read_char(std::string_view text, std::size_t at) {
  auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) {  // the usual case, without a table walk
    if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') {
      return {CharClass::letter, at + 1};
    }
    if (byte >= '0' && byte <= '9') {
      return {CharClass::number, at + 1};
    }
    return {byte == ' ' || (byte >= '\t' && byte <= '\r') ? CharClass::space : CharClass::other, at + 1};
  }
  // Four bytes are all that one character can take; a 32-bit index is what ICU's macro wants.
  std::string_view window = text.substr(at, 4);
  std::int32_t i = 0;
  UChar32 c = 0;
  U8_NEXT(reinterpret_cast<const std::uint8_t*>(window.data()), i, static_cast<std::int32_t>(window.size()), c);
  std::size_t end = at + static_cast<std::size_t>(i);
  if (c < 0) {
    return {CharClass::other, end};
  }
  std::uint32_t mask = U_GET_GC_MASK(c);
  if ((mask & U_GC_L_MASK) != 0) {
    return {CharClass::letter, end};
  }
  if ((mask & U_GC_N_MASK) != 0) {
    return {CharClass::number, end};
  }
  return {u_isUWhiteSpace(c) != 0 ? CharClass::space : CharClass::other, end};
}

std::size_t skip_class(std::string_view text, std::size_t at, CharClass kind) {
  while (at < text.size()) {
    Char c = read_char(text, at);
    if (c.kind != kind) {
      break;
    }
    at = c.end;
  }
  return at;
}

/// Length of 's 't 're 've 'm 'll 'd at `at`, or 0.
std::size_t contraction(std::string_view text, std::size_t at) {
  static constexpr std::array<std::string_view, 7> endings = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  for (std::string_view ending : endings) {
    if (text.substr(at, ending.size()) == ending) {
      return ending.size();
    }
  }
  return 0;
}

/// End of the piece that starts with white space at `at`: the alternatives ` ?X+ | \s+(?!\S) | \s+` of GPT-2.
std::size_t end_of_space(std::string_view text, std::size_t at) {
  std::size_t last = at;  // start of the last white-space character of the run
  std::size_t end = at;
  while (end < text.size()) {
    Char c = read_char(text, end);
    if (c.kind != CharClass::space) {
      break;
    }
    last = end;
    end = c.end;
  }
  if (end == text.size()) {
    return end;
  }
  if (last == at) {  // a single one: a plain space joins what follows, any other stands alone
    return text[at] == ' ' ? skip_class(text, end, read_char(text, end).kind) : end;
  }
  return last;  // the last one is left for the next piece
}

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ by hand: one pass, no backtracking.
std::size_t gpt2_piece_end(std::string_view text, std::size_t at) {
  if (text[at] == '\'') {
    if (std::size_t length = contraction(text, at); length != 0) {
      return at + length;
    }
  }
  Char first = read_char(text, at);
  return first.kind == CharClass::space ? end_of_space(text, at) : skip_class(text, first.end, first.kind);
}

[[noreturn]] void refuse_pattern(const std::string& pattern, const char* reason) {
  throw Error(ErrorCode::unsupported, "tokenizer: the pre-tokenizer pattern \"" + pattern + "\" " + reason +
                                          "; use a model with the GPT-2 pattern or a pattern that ICU accepts");
}

/// A UText over UTF-8: ICU then counts in bytes of `text`.
class Utf8Text {
 public:
  explicit Utf8Text(std::string_view text) {
    UErrorCode status = U_ZERO_ERROR;
    utext_openUTF8(&text_, text.data(), static_cast<std::int64_t>(text.size()), &status);
    if (U_FAILURE(status) != 0) {
      throw Error(ErrorCode::internal, "tokenizer: ICU cannot open a text: " + std::string(u_errorName(status)));
    }
  }
  ~Utf8Text() { utext_close(&text_); }
  Utf8Text(const Utf8Text&) = delete;
  Utf8Text& operator=(const Utf8Text&) = delete;
  UText* get() { return &text_; }

 private:
  UText text_ = UTEXT_INITIALIZER;
};

}  // namespace

struct PieceSplitter::Impl {
  std::string source;
  std::unique_ptr<icu::RegexPattern> pattern;  ///< null: GPT-2, by hand
};

PieceSplitter::PieceSplitter(const std::string& pattern) : impl_(std::make_unique<Impl>()) {
  static constexpr std::string_view gpt2 =
      R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
  impl_->source = pattern;
  if (pattern == "gpt2" || pattern == gpt2) {
    return;
  }
  // A bare word is the name of a pre-tokenizer (GGUF), not an expression.
  if (pattern.find_first_of("\\[(|+") == std::string::npos) {
    refuse_pattern(pattern, "is not one this build knows");
  }
  UErrorCode status = U_ZERO_ERROR;
  UParseError where{};
  impl_->pattern.reset(icu::RegexPattern::compile(icu::UnicodeString::fromUTF8(pattern), where, status));
  if (U_FAILURE(status) != 0) {
    refuse_pattern(pattern, u_errorName(status));
  }
}

PieceSplitter::~PieceSplitter() = default;
PieceSplitter::PieceSplitter(PieceSplitter&&) noexcept = default;

void PieceSplitter::split(std::string_view text, const std::function<void(std::string_view)>& piece) const {
  if (impl_->pattern == nullptr) {
    for (std::size_t at = 0; at < text.size();) {
      std::size_t end = gpt2_piece_end(text, at);
      piece(text.substr(at, end - at));
      at = end;
    }
    return;
  }
  UErrorCode status = U_ZERO_ERROR;
  Utf8Text utf8(text);
  std::unique_ptr<icu::RegexMatcher> matcher(impl_->pattern->matcher(status));
  if (U_SUCCESS(status) != 0) {
    matcher->reset(utf8.get());
    // About a second for one match: an expression that needs more backtracks without end.
    matcher->setTimeLimit(1000, status);
    // ICU keeps some 32 bytes per point it may return to; its own limit of 8 MB ends at 250,000 spaces in a row.
    matcher->setStackLimit(512 << 20, status);
  }
  std::size_t at = 0;
  while (U_SUCCESS(status) != 0 && matcher->find(status) != 0) {
    auto begin = static_cast<std::size_t>(matcher->start64(status));
    auto end = static_cast<std::size_t>(matcher->end64(status));
    if (begin > at) {
      piece(text.substr(at, begin - at));  // what no alternative matches is a piece of its own
    }
    if (end > begin) {
      piece(text.substr(begin, end - begin));
    }
    at = end;
  }
  if (U_FAILURE(status) != 0) {
    refuse_pattern(impl_->source, u_errorName(status));
  }
  if (at < text.size()) {
    piece(text.substr(at));
  }
}

}  // namespace advisor
