// What tokenizer.json (or GGUF metadata) says, before lm/tokenizer makes a tokenizer of it. Two kinds of BPE:
// byte-level (GPT-2, Llama 3, Qwen), whose tokens are written in the alphabet of GPT-2, and of characters
// (SentencePiece: Llama 2, Mistral, Phi-3, Gemma), whose tokens spell a space as "▁" and what they have no character
// for as bytes "<0xE2>".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace advisor {

/// Matched whole before anything is split, the longest first.
struct AddedToken {
  std::int64_t id = 0;
  bool special = true;                  ///< controls the model, as against a word that was added
  bool normalized = false;              ///< looked for in the normalized text, not in the text as given
  bool lstrip = false, rstrip = false;  ///< takes the white space to its left or right with it
  bool single_word = false;             ///< not between letters, digits or underscores
  bool operator==(const AddedToken&) const = default;
};

/// One thing done to a text before it is split. A type that is not known is kept, for the tokenizer to refuse.
struct NormalizerStep {
  std::string type;     ///< "Prepend": content before what is not empty; "Replace": each pattern; "NFC"
  std::string pattern;  ///< of Replace, a plain string
  std::string content;
  bool operator==(const NormalizerStep&) const = default;
};

/// The Metaspace pre-tokenizer: spaces become `replacement`, one more of which may be put in front.
struct Metaspace {
  enum class Prepend { never, first, always };  ///< first: only at the beginning of the whole text
  std::string replacement = "\u2581";
  Prepend prepend = Prepend::always;
  bool split = true;  ///< a piece begins at each replacement
  bool operator==(const Metaspace&) const = default;
};

struct TokenizerData {
  std::string model;                ///< "bpe"
  std::vector<std::string> tokens;  ///< by id, as the file spells them; empty where an id has none
  std::vector<std::string> merges;  ///< "a b", by rank
  std::vector<AddedToken> added;
  bool byte_level = true;  ///< tokens are in the byte-level alphabet of GPT-2
  std::string pre;         ///< pre-tokenizer: "" for none, "gpt2" (the regex of GPT-2) or the split pattern as written
  std::vector<NormalizerStep> normalizer;
  bool add_prefix_space = false;  ///< byte-level: a space before each text that does not begin with one
  bool ignore_merges = false;

  // --- of characters ---------------------------------------------------------------------------------------------
  std::optional<Metaspace> metaspace{};
  std::string split_after{};   ///< pieces end behind each of these; "" for none
  bool byte_fallback = false;  ///< a character without token is spelled in "<0x..>"
  bool fuse_unknown = false;   ///< neighbours without token are one unknown
  std::optional<std::int64_t> unknown{};
  std::string decoded_space{};     ///< how tokens spell a space; "" when decoding replaces nothing
  std::int64_t decoded_strip = 0;  ///< spaces taken off the beginning of a decoded text

  std::optional<std::int64_t> bos, eos, pad;
  bool add_bos = true;
};

/// "<0xE2>" -> 0xE2; nullopt for any other token.
std::optional<unsigned char> byte_of_token(const std::string& token);
std::string token_of_byte(unsigned char byte);

}  // namespace advisor
