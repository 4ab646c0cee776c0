// Tokenizers as GGUF metadata, in both directions: "gpt2" (byte-level BPE) with merges, and "llama" (SentencePiece),
// where llama.cpp knows no merges: of all neighbours whose union is a token it joins those with the highest score of
// the union.
#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_values.h"
#include "core/error.h"

namespace advisor::gguf {
namespace {

constexpr std::string_view mark = "\u2581";  // how SentencePiece spells a space

/// tokenizer.ggml.token_type
enum TokenType : std::int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

/// How llama.cpp calls a pre-tokenizer and the split pattern that the name stands for.
struct PreTokenizer {
  std::string_view gguf, pattern;
  bool ignore_merges;
};
constexpr std::array<PreTokenizer, 3> pre_tokenizers{{
    {"gpt-2", "gpt2", false},
    {"llama-bpe",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     true},
    {"qwen2",
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     false},
}};

const PreTokenizer* find_pre(std::string_view name, std::string_view PreTokenizer::*by) {
  const auto at =
      std::find_if(pre_tokenizers.begin(), pre_tokenizers.end(), [&](const PreTokenizer& p) { return p.*by == name; });
  return at == pre_tokenizers.end() ? nullptr : &*at;
}

/// Bytes of the character that begins with `first`, as llama.cpp counts them.
std::size_t character_bytes(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// Calls split(left, right) for every way to cut a token between two of its characters.
template <typename Split>
void for_each_split(std::string_view token, const Split& split) {
  for (std::size_t at = character_bytes(token[0]); at < token.size(); at += character_bytes(token[at])) {
    split(token.substr(0, at), token.substr(at));
  }
}

/// A vocabulary of SentencePiece as llama.cpp sees it.
class ScoredVocabulary {
 public:
  explicit ScoredVocabulary(const TokenizerData& data) : data_(data), types_(data.tokens.size(), TokenType::normal) {
    for (std::size_t id = 0; id < data.tokens.size(); ++id) {
      if (data.tokens[id].empty()) types_[id] = TokenType::unused;
      if (byte_of_token(data.tokens[id])) types_[id] = TokenType::byte;
    }
    for (const AddedToken& token : data.added) {
      const auto id = static_cast<std::size_t>(token.id);
      // Runs of "▁" are looked for in the text as given, where they hardly are: spaces become such by merging.
      if (token.special)
        types_[id] = TokenType::control;
      else if (data.tokens[id].find(mark) == std::string::npos)
        types_[id] = TokenType::user_defined;
    }
    if (data.unknown) types_[static_cast<std::size_t>(*data.unknown)] = TokenType::unknown;
    for (std::size_t rank = 0; rank < data.merges.size(); ++rank) {
      const std::string& merge = data.merges[rank];
      const std::size_t space = merge.find(' ');
      if (space == std::string::npos) continue;
      Ranks& ranks = made_[merge.substr(0, space) + merge.substr(space + 1)];
      if (ranks.splits.empty()) ranks.first = rank;
      ranks.last = rank;
      ranks.splits.insert(space);
    }
  }

  const std::vector<std::int64_t>& types() const { return types_; }

  /// Higher for what is merged earlier. Tokens that no merge makes come last: none of them is the union of neighbours.
  std::vector<double> scores() const {
    std::vector<std::pair<std::size_t, const std::string*>> order;
    for (const auto& [token, ranks] : made_) order.emplace_back(ranks.first, &token);
    std::sort(order.begin(), order.end());
    std::unordered_map<std::string_view, double> by_token;
    for (std::size_t i = 0; i < order.size(); ++i) by_token.emplace(*order[i].second, -static_cast<double>(i));
    std::vector<double> out;
    for (const std::string& token : data_.tokens) {
      const auto at = by_token.find(token);
      out.push_back(at == by_token.end() ? -static_cast<double>(order.size()) : at->second);
    }
    return out;
  }

  /// Why merging by score of the union would not give what the merges say, or nullopt.
  std::optional<std::string> refuses() const {
    for (std::size_t id = 0; id < data_.tokens.size(); ++id) {
      if (types_[id] != TokenType::normal) continue;
      if (auto reason = refuses_splits(data_.tokens[id])) return reason;
    }
    std::vector<std::pair<std::size_t, const Ranks*>> order;
    for (const auto& [token, ranks] : made_) order.emplace_back(ranks.first, &ranks);
    std::sort(order.begin(), order.end());
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (order[i - 1].second->last > order[i].first) {
        return "llama.cpp ranks tokens, not merges: merge " + std::to_string(order[i].first) +
               " lies between two that make the same token";
      }
    }
    return std::nullopt;
  }

 private:
  struct Ranks {
    std::size_t first = 0, last = 0;
    std::unordered_set<std::size_t> splits{};  ///< bytes of the left part
  };

  /// Neighbours can be characters, and tokens that merges make.
  bool can_stand(std::string_view part) const {
    return part.size() == character_bytes(part[0]) || made_.contains(std::string(part));
  }

  std::optional<std::string> refuses_splits(const std::string& token) const {
    const auto made = made_.find(token);
    std::optional<std::string> reason;
    for_each_split(token, [&](std::string_view left, std::string_view right) {
      if (reason || (made != made_.end() && made->second.splits.contains(left.size()))) return;
      if (!can_stand(left) || !can_stand(right)) return;
      reason = "llama.cpp joins any two neighbours whose union is a token, but this tokenizer does not join \"" +
               std::string(left) + "\" and \"" + std::string(right) + "\"";
    });
    return reason;
  }

  const TokenizerData& data_;
  std::vector<std::int64_t> types_;
  std::unordered_map<std::string, Ranks> made_;  ///< by token
};

/// Whether a text gets a "▁" in front; nullopt when something else is done to it than llama.cpp would.
std::optional<bool> adds_space_prefix(const TokenizerData& data) {
  if (data.metaspace) {
    if (!data.normalizer.empty() || data.metaspace->replacement != mark) return std::nullopt;
    return data.metaspace->prepend != Metaspace::Prepend::never;
  }
  const std::string space(mark);
  std::vector<NormalizerStep> steps = data.normalizer;
  const bool prefix = !steps.empty() && steps.front() == NormalizerStep{"Prepend", "", space};
  if (prefix) steps.erase(steps.begin());
  if (steps != std::vector<NormalizerStep>{{"Replace", " ", space}}) return std::nullopt;
  return prefix;
}

std::optional<std::string> sentencepiece_refuses(const TokenizerData& data) {
  if (!adds_space_prefix(data)) return "llama.cpp only writes spaces as \"\u2581\" and may put one in front";
  if (!data.pre.empty() || (!data.split_after.empty() && data.split_after != " ") || data.ignore_merges) {
    return "llama.cpp does not split texts before it merges characters";
  }
  std::unordered_set<std::string_view> known(data.tokens.begin(), data.tokens.end());
  for (int b = 0; b < 256; ++b) {
    const std::string token = token_of_byte(static_cast<unsigned char>(b));
    if (!data.byte_fallback || !known.contains(token)) return "llama.cpp needs a token for each byte, like " + token;
  }
  if (data.metaspace && data.metaspace->split) {
    for (const std::string& merge : data.merges) {
      if (merge.find(mark, 1) != std::string::npos) {
        return "llama.cpp does not split texts at spaces, but the tokenizer does and has merges beyond them";
      }
    }
  }
  return ScoredVocabulary(data).refuses();
}

std::optional<std::string> byte_level_refuses(const TokenizerData& tokenizer) {
  const PreTokenizer* pre = find_pre(tokenizer.pre, &PreTokenizer::pattern);
  if (pre == nullptr) return "llama.cpp has no name for the pre-tokenizer pattern " + tokenizer.pre;
  if (pre->ignore_merges != tokenizer.ignore_merges) {
    return "llama.cpp ties ignore_merges to the pre-tokenizer '" + std::string(pre->gguf) + "'";
  }
  if (tokenizer.add_prefix_space) return "llama.cpp adds no prefix space before byte-level BPE";
  return std::nullopt;
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int64_t> types;
  std::vector<double> scores;
};

/// As many entries as the embedding has rows; those that no token uses get a name of their own.
void pad(Vocabulary& vocabulary, std::int64_t size) {
  const auto rows = std::max(vocabulary.tokens.size(), static_cast<std::size_t>(size));
  vocabulary.tokens.resize(rows);
  vocabulary.types.resize(rows, TokenType::unused);
  if (!vocabulary.scores.empty()) vocabulary.scores.resize(rows, vocabulary.scores.back());
  for (std::size_t id = 0; id < rows; ++id) {
    if (!vocabulary.tokens[id].empty()) continue;
    vocabulary.tokens[id] = "[PAD" + std::to_string(id) + "]";
    vocabulary.types[id] = TokenType::unused;
  }
}

void add_byte_level(const TokenizerData& tokenizer, Vocabulary& vocabulary, Metadata& out) {
  vocabulary.types.assign(vocabulary.tokens.size(), TokenType::normal);
  for (const AddedToken& token : tokenizer.added)
    vocabulary.types[static_cast<std::size_t>(token.id)] = TokenType::control;
  out.emplace_back("tokenizer.ggml.model", text("gpt2"));
  out.emplace_back("tokenizer.ggml.pre", text(std::string(find_pre(tokenizer.pre, &PreTokenizer::pattern)->gguf)));
}

void add_sentencepiece(const TokenizerData& tokenizer, Vocabulary& vocabulary, Metadata& out) {
  const ScoredVocabulary scored(tokenizer);
  vocabulary.types = scored.types();
  vocabulary.scores = scored.scores();
  out.emplace_back("tokenizer.ggml.model", text("llama"));
  out.emplace_back("tokenizer.ggml.pre", text("default"));
}

/// Merges that join what llama.cpp would: every split of a token into two others, by falling score.
std::vector<std::string> merges_of(const TokenizerData& data, const std::vector<double>& scores,
                                   const std::vector<bool>& joins, const std::string& where) {
  constexpr std::size_t longest = 1024;  // bytes; SentencePiece's default is 16 characters
  std::unordered_set<std::string_view> known;
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (joins[id]) known.insert(data.tokens[id]);
  }
  std::vector<std::size_t> order;
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (joins[id] && !data.tokens[id].empty()) order.push_back(id);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<std::string> merges;
  for (const std::size_t id : order) {
    const std::string& token = data.tokens[id];
    if (token.size() > longest) {
      throw Error(ErrorCode::unsupported, where + ": token " + std::to_string(id) + " has " +
                                              std::to_string(token.size()) + " bytes, more than any vocabulary needs");
    }
    if (token.find(' ') != std::string::npos) continue;  // spaces are spelled otherwise where texts are merged
    for_each_split(token, [&](std::string_view left, std::string_view right) {
      if (known.contains(left) && known.contains(right)) {
        merges.push_back(std::string(left).append(" ").append(right));
      }
    });
  }
  return merges;
}

void read_sentencepiece(const Reader& in, const std::vector<std::int64_t>& types, const std::string& where,
                        TokenizerData& data) {
  const auto& scores = in.get<std::vector<double>>("tokenizer.ggml.scores");
  if (scores.size() != data.tokens.size() || types.size() != data.tokens.size()) {
    in.fail(ErrorCode::parse_error,
            "'tokenizer.ggml.scores', 'tokenizer.ggml.token_type' and 'tokenizer.ggml.tokens' differ in length");
  }
  if (std::any_of(scores.begin(), scores.end(), [](double score) { return !std::isfinite(score); })) {
    in.fail(ErrorCode::parse_error, "'tokenizer.ggml.scores' holds what is no number");
  }
  std::vector<bool> joins;
  for (const std::int64_t type : types) joins.push_back(type == TokenType::normal || type == TokenType::user_defined);
  data.byte_level = false;
  data.byte_fallback = data.fuse_unknown = true;
  data.merges = merges_of(data, scores, joins, where);
  const auto* prefix = in.find<std::int64_t>("tokenizer.ggml.add_space_prefix");
  if (prefix == nullptr || *prefix != 0) {
    data.normalizer.push_back({"Prepend", "", std::string(mark)});
    data.decoded_strip = 1;
  }
  data.normalizer.push_back({"Replace", " ", std::string(mark)});
  data.decoded_space = mark;
  // What llama.cpp takes when the file does not say.
  const auto vocab = static_cast<std::int64_t>(data.tokens.size());
  data.unknown = in.token_id("tokenizer.ggml.unknown_token_id", vocab);
  if (!data.unknown && vocab > 0) data.unknown = 0;
  if (!data.bos && vocab > 1) data.bos = 1;
  if (!data.eos && vocab > 2) data.eos = 2;
}

void read_byte_level(const Reader& in, TokenizerData& data) {
  const auto* name = in.find<std::string>("tokenizer.ggml.pre");
  const PreTokenizer* pre = find_pre(name ? *name : "default", &PreTokenizer::gguf);
  if (pre == nullptr) {
    in.fail(ErrorCode::unsupported, "pre-tokenizer '" + (name ? *name : "default") + "' is not supported");
  }
  data.merges = in.get<std::vector<std::string>>("tokenizer.ggml.merges");
  data.pre = pre->pattern;
  data.ignore_merges = pre->ignore_merges;
  data.add_bos = pre->gguf == "llama-bpe";
}

}  // namespace

std::optional<std::string> tokenizer_refuses(const TokenizerData& tokenizer) {
  if (tokenizer.model != "bpe") return "only BPE tokenizers are written, not '" + tokenizer.model + "'";
  const auto vocab = static_cast<std::int64_t>(tokenizer.tokens.size());
  for (const AddedToken& token : tokenizer.added) {
    if (token.id < 0 || token.id >= vocab) {
      return "special token " + std::to_string(token.id) + " is not in the vocabulary";
    }
  }
  return tokenizer.byte_level ? byte_level_refuses(tokenizer) : sentencepiece_refuses(tokenizer);
}

void add_tokenizer(const ModelConfig& config, const TokenizerData& tokenizer, Metadata& out) {
  Vocabulary vocabulary{tokenizer.tokens, {}, {}};
  tokenizer.byte_level ? add_byte_level(tokenizer, vocabulary, out) : add_sentencepiece(tokenizer, vocabulary, out);
  pad(vocabulary, config.vocab);
  out.emplace_back("tokenizer.ggml.tokens", Value{ValueType::string, std::move(vocabulary.tokens)});
  if (!tokenizer.byte_level) {
    out.emplace_back("tokenizer.ggml.scores", Value{ValueType::f32, std::move(vocabulary.scores)});
  }
  out.emplace_back("tokenizer.ggml.token_type", Value{ValueType::i32, std::move(vocabulary.types)});
  if (tokenizer.byte_level) out.emplace_back("tokenizer.ggml.merges", Value{ValueType::string, tokenizer.merges});
  const auto id = [&](const char* key, std::optional<std::int64_t> own, std::optional<std::int64_t> other) {
    if (own || other) out.emplace_back(key, u32(own ? *own : *other));
  };
  id("tokenizer.ggml.bos_token_id", tokenizer.bos, config.bos);
  id("tokenizer.ggml.eos_token_id", tokenizer.eos, config.eos);
  id("tokenizer.ggml.unknown_token_id", tokenizer.unknown, std::nullopt);
  id("tokenizer.ggml.padding_token_id", tokenizer.pad, config.pad);
  out.emplace_back("tokenizer.ggml.add_bos_token", boolean(tokenizer.add_bos && (tokenizer.bos || config.bos)));
  out.emplace_back("tokenizer.ggml.add_eos_token", boolean(false));
  const bool prefix = !tokenizer.byte_level && adds_space_prefix(tokenizer).value_or(false);
  out.emplace_back("tokenizer.ggml.add_space_prefix", boolean(prefix));
}

TokenizerData to_tokenizer(const Header& header, const std::string& where) {
  const Reader in(header, where);
  const auto* model = in.find<std::string>("tokenizer.ggml.model");
  if (model == nullptr) in.fail(ErrorCode::not_found, "the file carries no tokenizer");
  if (*model != "gpt2" && *model != "llama") {
    in.fail(ErrorCode::unsupported,
            "tokenizer model '" + *model +
                "' is not supported, only byte-level BPE ('gpt2') and SentencePiece's ('llama')");
  }
  TokenizerData data;
  data.model = "bpe";
  data.tokens = in.get<std::vector<std::string>>("tokenizer.ggml.tokens");
  const auto vocab = static_cast<std::int64_t>(data.tokens.size());
  std::vector<std::int64_t> types(data.tokens.size(), TokenType::normal);
  if (const auto* stored = in.find<std::vector<std::int64_t>>("tokenizer.ggml.token_type")) {
    if (stored->size() != data.tokens.size()) {
      in.fail(ErrorCode::parse_error, "'tokenizer.ggml.token_type' and 'tokenizer.ggml.tokens' differ in length");
    }
    types = *stored;
  }
  for (std::int64_t id = 0; id < vocab; ++id) {
    const std::int64_t type = types[static_cast<std::size_t>(id)];
    const bool special = type == TokenType::control || (type == TokenType::unknown && *model == "llama");
    if ((special || type == TokenType::user_defined) && !data.tokens[static_cast<std::size_t>(id)].empty()) {
      data.added.push_back({.id = id, .special = special});
    }
  }
  data.bos = in.token_id("tokenizer.ggml.bos_token_id", vocab);
  data.eos = in.token_id("tokenizer.ggml.eos_token_id", vocab);
  data.pad = in.token_id("tokenizer.ggml.padding_token_id", vocab);
  *model == "gpt2" ? read_byte_level(in, data) : read_sentencepiece(in, types, where, data);
  if (const auto* add_bos = in.find<std::int64_t>("tokenizer.ggml.add_bos_token")) data.add_bos = *add_bos != 0;
  return data;
}

}  // namespace advisor::gguf
