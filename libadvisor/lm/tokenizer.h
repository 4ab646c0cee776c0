// BPE from tokenizer.json or GGUF metadata: byte-level (GPT-2, Llama 3, Qwen) or of characters (SentencePiece: Llama 2,
// Mistral, Phi-3, Gemma).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer_data.h"

namespace advisor {

class Tokenizer {
 public:
  /// Throws unsupported for a model, normalizer or pre-tokenizer that is not implemented, parse_error for data that
  /// contradict themselves.
  explicit Tokenizer(const TokenizerData& data);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  /// UTF-8 in, ids out; adds no BOS. Invalid UTF-8 is encoded byte by byte, never refused.
  std::vector<std::int32_t> encode(std::string_view text) const;
  /// Bytes of the text, which need not be UTF-8 where ids end inside a character; without the space that encoding put
  /// in front.
  std::string decode(const std::vector<std::int32_t>& ids) const;
  std::optional<std::int32_t> bos() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace advisor
