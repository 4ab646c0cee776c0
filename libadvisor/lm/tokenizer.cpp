#include "lm/tokenizer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <queue>
#include <unordered_map>

#include "core/error.h"
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

struct Merge {
  std::int32_t rank, id;
};

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

[[noreturn]] void refuse(ErrorCode code, const std::string& what) { throw Error(code, "tokenizer: " + what); }

/// One symbol of a piece while it is merged: a doubly linked list in an array.
struct Symbol {
  std::int32_t id;  ///< -1 once it was merged into its left neighbour
  std::int32_t prev, next;
};

/// A pair that could be merged. Lowest rank first, leftmost first among equals.
struct Candidate {
  std::int32_t rank, left;
  std::int32_t left_id, right_id;  ///< stale when the symbols have changed since
  bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

}  // namespace

struct Tokenizer::Impl {
  std::vector<std::string> text;  ///< by id, as bytes
  TextMap<std::int32_t> ids;      ///< by bytes, without special tokens
  TextMap<std::int32_t> special;
  std::vector<std::size_t> special_lengths;  ///< distinct, longest first
  std::array<bool, 256> special_start{};     ///< first bytes of special tokens
  std::array<std::int32_t, 256> byte_ids{};
  std::unordered_map<std::uint64_t, Merge> merges;
  PieceSplitter splitter;
  bool add_prefix_space, ignore_merges;
  std::optional<std::int32_t> bos;

  explicit Impl(const TokenizerData& data);
  void add_special(const TokenizerData& data);
  void add_merges(const TokenizerData& data, const TextMap<std::int32_t>& by_spelling);

  std::size_t special_at(std::string_view all, std::size_t at, std::int32_t& id) const;
  void encode_plain(std::string_view part, std::vector<std::int32_t>& out) const;
  void encode_piece(std::string_view piece, std::vector<std::int32_t>& out) const;
};

Tokenizer::Impl::Impl(const TokenizerData& data)
    : splitter(data.pre), add_prefix_space(data.add_prefix_space), ignore_merges(data.ignore_merges) {
  if (data.model != "bpe") {
    refuse(ErrorCode::unsupported, "model \"" + data.model + "\" is not implemented; only byte-level BPE (\"bpe\") is");
  }
  if (!data.normalizer.empty()) {
    refuse(ErrorCode::unsupported, "normalizer \"" + data.normalizer + "\" is not implemented; only none at all is");
  }
  if (data.tokens.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    refuse(ErrorCode::parse_error, "more tokens than a 32-bit id can count");
  }
  ByteDecoder decode;
  TextMap<std::int32_t> by_spelling;
  std::vector<bool> is_special(data.tokens.size(), false);
  for (std::int64_t id : data.special) {
    if (id < 0 || id >= static_cast<std::int64_t>(data.tokens.size())) {
      refuse(ErrorCode::parse_error, "special token id " + std::to_string(id) + " is outside the vocabulary of " +
                                         std::to_string(data.tokens.size()));
    }
    is_special[static_cast<std::size_t>(id)] = true;
  }
  for (std::size_t i = 0; i < data.tokens.size(); ++i) {
    auto id = static_cast<std::int32_t>(i);
    by_spelling.emplace(data.tokens[i], id);
    text.push_back(is_special[i] ? data.tokens[i] : decode(data.tokens[i]));
    if (!is_special[i]) {
      ids.emplace(text.back(), id);
    }
  }
  std::array<char32_t, 256> alphabet = byte_alphabet();
  for (std::size_t b = 0; b < 256; ++b) {
    auto found = by_spelling.find(to_utf8(alphabet[b]));
    if (found == by_spelling.end()) {
      refuse(ErrorCode::unsupported, "no token for byte " + std::to_string(b) + "; only byte-level BPE is implemented");
    }
    byte_ids[b] = found->second;
  }
  add_special(data);
  add_merges(data, by_spelling);
  if (data.bos && (*data.bos < 0 || *data.bos >= static_cast<std::int64_t>(data.tokens.size()))) {
    refuse(ErrorCode::parse_error, "bos id " + std::to_string(*data.bos) + " is outside the vocabulary of " +
                                       std::to_string(data.tokens.size()));
  }
  if (data.bos && data.add_bos) {
    bos = static_cast<std::int32_t>(*data.bos);
  }
}

void Tokenizer::Impl::add_special(const TokenizerData& data) {
  for (std::int64_t id : data.special) {
    const std::string& token = data.tokens[static_cast<std::size_t>(id)];
    if (token.empty()) {
      refuse(ErrorCode::parse_error, "special token " + std::to_string(id) + " is empty");
    }
    special.emplace(token, static_cast<std::int32_t>(id));
    special_lengths.push_back(token.size());
    special_start[static_cast<unsigned char>(token[0])] = true;
  }
  std::sort(special_lengths.begin(), special_lengths.end(), std::greater<>());
  special_lengths.erase(std::unique(special_lengths.begin(), special_lengths.end()), special_lengths.end());
}

void Tokenizer::Impl::add_merges(const TokenizerData& data, const TextMap<std::int32_t>& by_spelling) {
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
    Merge entry{static_cast<std::int32_t>(rank), id_of(std::string(left).append(right), rank)};
    merges.emplace(pair_key(id_of(left, rank), id_of(right, rank)), entry);
  }
}

/// Length of the longest special token that starts at `at`, or 0.
std::size_t Tokenizer::Impl::special_at(std::string_view all, std::size_t at, std::int32_t& id) const {
  if (!special_start[static_cast<unsigned char>(all[at])]) {
    return 0;
  }
  for (std::size_t length : special_lengths) {
    if (length <= all.size() - at) {
      if (auto found = special.find(all.substr(at, length)); found != special.end()) {
        id = found->second;
        return length;
      }
    }
  }
  return 0;
}

/// Merges by rank with a heap over a linked list: O(n log n) however long the piece is.
void Tokenizer::Impl::encode_piece(std::string_view piece, std::vector<std::int32_t>& out) const {
  if (piece.size() == 1 || ignore_merges) {
    if (auto found = ids.find(piece); found != ids.end()) {
      out.push_back(found->second);
      return;
    }
  }
  if (piece.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    refuse(ErrorCode::unsupported, "a piece of text without a break is longer than 2 GB");
  }
  auto count = static_cast<std::int32_t>(piece.size());
  std::vector<Symbol> symbols(piece.size());
  for (std::int32_t i = 0; i < count; ++i) {
    symbols[static_cast<std::size_t>(i)] = {byte_ids[static_cast<unsigned char>(piece[static_cast<std::size_t>(i)])],
                                            i - 1, i + 1 < count ? i + 1 : -1};
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  auto consider = [&](std::int32_t left) {
    const Symbol& a = symbols[static_cast<std::size_t>(left)];
    if (a.next >= 0) {
      std::int32_t right_id = symbols[static_cast<std::size_t>(a.next)].id;
      if (auto found = merges.find(pair_key(a.id, right_id)); found != merges.end()) {
        heap.push({found->second.rank, left, a.id, right_id});
      }
    }
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) {
    consider(i);
  }
  while (!heap.empty()) {
    Candidate best = heap.top();
    heap.pop();
    Symbol& left = symbols[static_cast<std::size_t>(best.left)];
    if (left.id != best.left_id || left.next < 0 || symbols[static_cast<std::size_t>(left.next)].id != best.right_id) {
      continue;
    }
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    left.id = merges.at(pair_key(best.left_id, best.right_id)).id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) {
      symbols[static_cast<std::size_t>(left.next)].prev = best.left;
    }
    consider(best.left);
    if (left.prev >= 0) {
      consider(left.prev);
    }
  }
  for (std::int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
    out.push_back(symbols[static_cast<std::size_t>(i)].id);
  }
}

void Tokenizer::Impl::encode_plain(std::string_view part, std::vector<std::int32_t>& out) const {
  if (part.empty()) {
    return;
  }
  std::string prefixed;
  if (add_prefix_space && part[0] != ' ') {
    prefixed = ' ' + std::string(part);
    part = prefixed;
  }
  splitter.split(part, [&](std::string_view piece) { encode_piece(piece, out); });
}

Tokenizer::Tokenizer(const TokenizerData& data) : impl_(std::make_unique<Impl>(data)) {}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> out;
  std::size_t plain = 0;  // start of the text since the last special token
  for (std::size_t at = 0; at < text.size();) {
    std::int32_t id = 0;
    std::size_t length = impl_->special_at(text, at, id);
    if (length == 0) {
      ++at;
      continue;
    }
    impl_->encode_plain(text.substr(plain, at - plain), out);
    out.push_back(id);
    at += length;
    plain = at;
  }
  impl_->encode_plain(text.substr(plain), out);
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
  return out;
}

std::optional<std::int32_t> Tokenizer::bos() const { return impl_->bos; }

}  // namespace advisor
