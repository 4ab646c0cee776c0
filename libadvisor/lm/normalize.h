// What is done to a text before it is split into pieces: the normalizer of tokenizer.json, and its Metaspace.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer_data.h"

namespace advisor {

class Normalizer {
 public:
  /// Throws unsupported for a step that is not known.
  explicit Normalizer(const std::vector<NormalizerStep>& steps);
  bool empty() const { return steps_.empty(); }
  /// Bytes that are not UTF-8 stay as they are.
  std::string operator()(std::string_view text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

/// Each `pattern`, from left to right, becomes `content`.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);

/// Bytes of the character at `at`, and whether they are UTF-8: 1 byte when not.
struct Utf8Character {
  std::size_t bytes = 1;
  bool valid = false;
};
Utf8Character utf8_at(std::string_view text, std::size_t at);

}  // namespace advisor
