// Byte-level BPE (GPT-2 family) from tokenizer.json or GGUF metadata.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/config.h"

namespace advisor {

class Tokenizer {
 public:
  /// Throws unsupported for a tokenizer model or pre-tokenizer that is not implemented.
  explicit Tokenizer(const TokenizerData& data);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;

  /// UTF-8 in, ids out; adds no BOS. Invalid UTF-8 is encoded byte by byte, never refused.
  std::vector<std::int32_t> encode(std::string_view text) const;
  std::string decode(const std::vector<std::int32_t>& ids) const;
  std::optional<std::int32_t> bos() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace advisor
