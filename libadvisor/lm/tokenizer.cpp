#include "lm/tokenizer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <unordered_map>

#include "core/error.h"
#include "lm/added_tokens.h"
#include "lm/bpe.h"
#include "lm/normalize.h"
#include "lm/split.h"

namespace advisor {
namespace {

/// GPT-2 writes bytes as printable characters: those that are visible in Latin-1 stand for themselves, the other 68
/// are U+0100, U+0101, ... in order.
std::array<char32_t, 256> byte_alphabet() {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 256;
  for (std::size_t b = 0; b < 256; ++b) {
    bool visible = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE);
    alphabet[b] = visible ? static_cast<char32_t>(b) : next++;
  }
  return alphabet;
}

/// The characters of the alphabet are below U+0800: one or two bytes of UTF-8.
std::string to_utf8(char32_t c) {
  if (c < 0x80) {
    return {static_cast<char>(c)};
  }
  return {static_cast<char>(0xC0 | (c >> 6)), static_cast<char>(0x80 | (c & 0x3F))};
}

/// The bytes a token stands for; a token that is not written in the alphabet (an added one) stands for itself.
class ByteDecoder {
 public:
  ByteDecoder() {
    std::array<char32_t, 256> alphabet = byte_alphabet();
    for (std::size_t b = 0; b < 256; ++b) {
      bytes_[alphabet[b]] = static_cast<int>(b);
    }
  }
  std::string operator()(const std::string& token) const {
    std::string out;
    for (std::size_t i = 0; i < token.size();) {
      auto first = static_cast<unsigned char>(token[i]);
      char32_t c = first;
      std::size_t length = 1;
      if ((first & 0xE0) == 0xC0 && i + 1 < token.size()) {
        c = static_cast<char32_t>((first & 0x1F) << 6 | (static_cast<unsigned char>(token[i + 1]) & 0x3F));
        length = 2;
      }
      if ((length == 1 && first >= 0x80) || c >= bytes_.size() || bytes_[c] < 0) {
        return token;
      }
      out += static_cast<char>(bytes_[c]);
      i += length;
    }
    return out;
  }

 private:
  std::vector<int> bytes_ = std::vector<int>(0x144, -1);
};

/// Hash for look-ups by string_view.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <typename Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

[[noreturn]] void refuse(ErrorCode code, const std::string& what) { throw Error(code, "tokenizer: " + what); }

}  // namespace

struct Tokenizer::Impl {
  std::vector<std::string> text;        ///< by id, as bytes
  TextMap<std::int32_t> ids;            ///< byte-level: by bytes, without added tokens
  TextMap<std::int32_t> by_spelling;    ///< of every token
  AddedTokenMatcher added, normalized;  ///< looked for before and after normalization
  bool any_normalized = false;
  std::array<std::int32_t, 256> byte_ids{};  ///< -1: none
  BytePairMerger merges;
  Normalizer normalizer;
  std::optional<PieceSplitter> splitter;  ///< none: a text is one piece
  std::optional<Metaspace> metaspace;
  std::string split_after;
  bool byte_level, add_prefix_space, ignore_merges, fuse_unknown;
  std::int32_t unknown = -1;
  std::size_t decoded_strip = 0;
  std::optional<std::int32_t> bos;

  explicit Impl(const TokenizerData& data);
  void add_texts(const TokenizerData& data);
  void add_bytes(const TokenizerData& data);
  void add_added(const TokenizerData& data);
  void add_merges(const TokenizerData& data);

  void encode_plain(std::string_view part, bool first, std::vector<std::int32_t>& out) const;
  void encode_metaspace(std::string_view part, bool first, std::vector<std::int32_t>& out) const;
  void encode_split_after(std::string_view part, std::vector<std::int32_t>& out) const;
  void encode_piece(std::string_view piece, std::vector<std::int32_t>& out) const;
  void spell_bytes(std::string_view piece, std::vector<std::int32_t>& out) const;
  void spell_characters(std::string_view piece, std::vector<std::int32_t>& out) const;
};

namespace {

std::optional<PieceSplitter> make_splitter(const TokenizerData& data) {
  if (data.pre.empty() && !data.byte_level) return std::nullopt;
  return PieceSplitter(data.pre);
}

void check(const TokenizerData& data) {
  if (data.model != "bpe") {
    refuse(ErrorCode::unsupported, "model \"" + data.model + "\" is not implemented; only BPE (\"bpe\") is");
  }
  if (data.tokens.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    refuse(ErrorCode::parse_error, "more tokens than a 32-bit id can count");
  }
  const auto inside = [&](std::int64_t id, const std::string& what) {
    if (id >= 0 && id < static_cast<std::int64_t>(data.tokens.size())) return;
    refuse(ErrorCode::parse_error,
           what + " id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(data.tokens.size()));
  };
  for (const AddedToken& token : data.added) {
    inside(token.id, "special token");
    if (data.tokens[static_cast<std::size_t>(token.id)].empty()) {
      refuse(ErrorCode::parse_error, "special token " + std::to_string(token.id) + " is empty");
    }
  }
  if (data.bos) inside(*data.bos, "bos");
  if (data.unknown) inside(*data.unknown, "unknown token's");
  if (data.metaspace && data.metaspace->replacement.empty()) {
    refuse(ErrorCode::parse_error, "the replacement of spaces is empty");
  }
}

}  // namespace

Tokenizer::Impl::Impl(const TokenizerData& data)
    : normalizer((check(data), data.normalizer)),
      splitter(make_splitter(data)),
      metaspace(data.metaspace),
      split_after(data.split_after),
      byte_level(data.byte_level),
      add_prefix_space(data.add_prefix_space),
      ignore_merges(data.ignore_merges),
      fuse_unknown(data.fuse_unknown),
      decoded_strip(static_cast<std::size_t>(std::max<std::int64_t>(0, data.decoded_strip))) {
  add_texts(data);
  add_bytes(data);
  add_added(data);
  add_merges(data);
  if (data.unknown) unknown = static_cast<std::int32_t>(*data.unknown);
  if (data.bos && data.add_bos) bos = static_cast<std::int32_t>(*data.bos);
}

void Tokenizer::Impl::add_texts(const TokenizerData& data) {
  std::vector<bool> is_added(data.tokens.size(), false);
  for (const AddedToken& token : data.added) is_added[static_cast<std::size_t>(token.id)] = true;
  const ByteDecoder decode;
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    const std::string& token = data.tokens[i];
    const auto id = static_cast<std::int32_t>(i);
    by_spelling.emplace(token, id);
    if (!byte_level) {
      const auto byte = byte_of_token(token);
      text.push_back(byte && data.byte_fallback   ? std::string(1, static_cast<char>(*byte))
                     : data.decoded_space.empty() ? token
                                                  : replace_all(token, data.decoded_space, " "));
    } else {
      text.push_back(is_added[i] ? token : decode(token));
      if (!is_added[i]) ids.emplace(text.back(), id);
    }
  }
}

void Tokenizer::Impl::add_bytes(const TokenizerData& data) {
  byte_ids.fill(-1);
  if (!byte_level && !data.byte_fallback) return;
  const std::array<char32_t, 256> alphabet = byte_alphabet();
  for (std::size_t b = 0; b < 256; ++b) {
    const auto byte = static_cast<unsigned char>(b);
    const auto found = by_spelling.find(byte_level ? to_utf8(alphabet[b]) : token_of_byte(byte));
    if (found != by_spelling.end()) {
      byte_ids[b] = found->second;
    } else if (byte_level) {
      refuse(ErrorCode::unsupported,
             "no token for byte " + std::to_string(b) + ", which a byte-level BPE cannot do without");
    }
  }
}

void Tokenizer::Impl::add_added(const TokenizerData& data) {
  for (const AddedToken& token : data.added) {
    const std::string& content = data.tokens[static_cast<std::size_t>(token.id)];
    if (token.normalized && !normalizer.empty()) {
      any_normalized = true;
      if (const std::string wanted = normalizer(content); !wanted.empty()) normalized.add(token, wanted);
    } else {
      added.add(token, content);
    }
  }
}

void Tokenizer::Impl::add_merges(const TokenizerData& data) {
  auto id_of = [&](std::string_view spelling, std::size_t rank) {
    auto found = by_spelling.find(spelling);
    if (found == by_spelling.end()) {
      refuse(ErrorCode::parse_error, "merge " + std::to_string(rank) + " (\"" + data.merges[rank] +
                                         "\") needs the token \"" + std::string(spelling) +
                                         "\", which the vocabulary lacks");
    }
    return found->second;
  };
  if (data.merges.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    refuse(ErrorCode::parse_error, "more merges than a 32-bit rank can count");
  }
  merges.reserve(data.merges.size());
  for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
    std::string_view merge = data.merges[rank];
    std::size_t space = merge.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == merge.size()) {
      refuse(ErrorCode::parse_error,
             "merge " + std::to_string(rank) + " (\"" + data.merges[rank] + "\") is not two tokens");
    }
    std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    merges.add(id_of(left, rank), id_of(right, rank), static_cast<std::int32_t>(rank),
               id_of(std::string(left).append(right), rank));
  }
}

void Tokenizer::Impl::spell_bytes(std::string_view piece, std::vector<std::int32_t>& out) const {
  for (const char c : piece) out.push_back(byte_ids[static_cast<unsigned char>(c)]);
}

/// A character without token becomes the tokens of its bytes, or, when one of them has none, unknown; without an
/// unknown token it is dropped.
void Tokenizer::Impl::spell_characters(std::string_view piece, std::vector<std::int32_t>& out) const {
  bool after_unknown = false;
  for (std::size_t at = 0; at < piece.size();) {
    const std::string_view character = piece.substr(at, utf8_at(piece, at).bytes);
    at += character.size();
    const auto found = by_spelling.find(character);
    const bool bytes = found == by_spelling.end() && std::ranges::all_of(character, [&](char c) {
                         return byte_ids[static_cast<unsigned char>(c)] >= 0;
                       });
    if (found != by_spelling.end()) {
      out.push_back(found->second);
    } else if (bytes) {
      spell_bytes(character, out);
    } else if (unknown >= 0 && !(after_unknown && fuse_unknown)) {
      out.push_back(unknown);
    }
    after_unknown = found == by_spelling.end() && !bytes;
  }
}

void Tokenizer::Impl::encode_piece(std::string_view piece, std::vector<std::int32_t>& out) const {
  if (piece.size() == 1 || ignore_merges) {
    const TextMap<std::int32_t>& whole = byte_level ? ids : by_spelling;
    if (auto found = whole.find(piece); found != whole.end()) {
      out.push_back(found->second);
      return;
    }
  }
  std::vector<std::int32_t> symbols;
  symbols.reserve(piece.size());
  byte_level ? spell_bytes(piece, symbols) : spell_characters(piece, symbols);
  merges.merge(symbols, out);
}

void Tokenizer::Impl::encode_metaspace(std::string_view part, bool first, std::vector<std::int32_t>& out) const {
  const std::string& mark = metaspace->replacement;
  std::string marked = replace_all(part, " ", mark);
  const bool wanted =
      metaspace->prepend == Metaspace::Prepend::always || (metaspace->prepend == Metaspace::Prepend::first && first);
  if (wanted && !marked.starts_with(mark)) marked.insert(0, mark);
  if (!metaspace->split) return encode_piece(marked, out);
  for (std::size_t begin = 0; begin < marked.size();) {  // a mark belongs to what follows it
    const std::size_t end = std::min(marked.find(mark, begin + 1), marked.size());
    encode_piece(std::string_view(marked).substr(begin, end - begin), out);
    begin = end;
  }
}

void Tokenizer::Impl::encode_split_after(std::string_view part, std::vector<std::int32_t>& out) const {
  while (!part.empty()) {
    const std::size_t found = part.find(split_after);
    const std::size_t end = found == std::string_view::npos ? part.size() : found + split_after.size();
    encode_piece(part.substr(0, end), out);
    part.remove_prefix(end);
  }
}

/// `first`: whether the part begins the text that encode() was given.
void Tokenizer::Impl::encode_plain(std::string_view part, bool first, std::vector<std::int32_t>& out) const {
  if (part.empty()) return;
  if (metaspace) return encode_metaspace(part, first, out);
  if (!split_after.empty()) return encode_split_after(part, out);
  if (!splitter) return encode_piece(part, out);
  std::string prefixed;
  if (add_prefix_space && part[0] != ' ') {
    prefixed = ' ' + std::string(part);
    part = prefixed;
  }
  splitter->split(part, [&](std::string_view piece) { encode_piece(piece, out); });
}

Tokenizer::Tokenizer(const TokenizerData& data) : impl_(std::make_unique<Impl>(data)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> out;
  const auto plain = [&](std::string_view part, bool first) {
    if (impl_->normalizer.empty()) return impl_->encode_plain(part, first, out);
    const std::string normal = impl_->normalizer(part);
    if (!impl_->any_normalized) return impl_->encode_plain(normal, first, out);
    impl_->normalized.split(normal, [&](std::string_view inner, std::optional<std::int32_t> id) {
      if (id) return out.push_back(*id);
      impl_->encode_plain(inner, first && inner.data() == normal.data(), out);
    });
  };
  impl_->added.split(text, [&](std::string_view part, std::optional<std::int32_t> id) {
    if (id) return out.push_back(*id);
    plain(part, part.data() == text.data());
  });
  return out;
}

std::string Tokenizer::decode(const std::vector<std::int32_t>& ids) const {
  std::string out;
  for (std::int32_t id : ids) {
    if (id < 0 || id >= static_cast<std::int32_t>(impl_->text.size())) {
      throw Error(ErrorCode::invalid_argument, "tokenizer: id " + std::to_string(id) +
                                                   " is outside the vocabulary of " +
                                                   std::to_string(impl_->text.size()));
    }
    out += impl_->text[static_cast<std::size_t>(id)];
  }
  return out.erase(0, std::min(out.find_first_not_of(' '), impl_->decoded_strip));
}

std::optional<std::int32_t> Tokenizer::bos() const { return impl_->bos; }

}  // namespace advisor
