// Byte-pair encoding of one piece: neighbours are merged by rank until no pair is left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace advisor {

class BytePairMerger {
 public:
  void reserve(std::size_t merges) { merges_.reserve(merges); }
  /// A pair that comes again gets its later rank, as in tokenizers.
  void add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t merged);
  /// Appends to `out` what is left of `ids`: lowest rank first, leftmost first among equals. O(n log n). Throws
  /// unsupported for more than 2^31 - 1 ids.
  void merge(std::span<const std::int32_t> ids, std::vector<std::int32_t>& out) const;

 private:
  struct Merge {
    std::int32_t rank, id;
  };
  std::unordered_map<std::uint64_t, Merge> merges_;
};

}  // namespace advisor
