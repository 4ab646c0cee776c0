// Cuts text into the pieces within which byte pairs are merged ("pre-tokenisation").
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace advisor {

class PieceSplitter {
 public:
  /// "gpt2", or a regular expression as tokenizer.json writes it in a Split pre-tokenizer. Throws unsupported for a
  /// pattern that ICU does not accept.
  explicit PieceSplitter(const std::string& pattern);
  ~PieceSplitter();
  PieceSplitter(PieceSplitter&&) noexcept;

  /// Calls `piece` for consecutive parts of `text`, which together are all of it. Bytes that are not UTF-8 count as
  /// neither letter, digit nor space.
  void split(std::string_view text, const std::function<void(std::string_view)>& piece) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace advisor
