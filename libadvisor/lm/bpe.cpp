#include "lm/bpe.h"

#include <functional>
#include <limits>
#include <queue>

#include "core/error.h"

namespace advisor {
namespace {

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

/// One symbol of a piece while it is merged: a doubly linked list in an array.
struct Symbol {
  std::int32_t id;  ///< -1 once it was merged into its left neighbour
  std::int32_t prev, next;
};

/// A pair that could be merged.
struct Candidate {
  std::int32_t rank, left;
  std::int32_t left_id, right_id;  ///< stale when the symbols have changed since
  bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

}  // namespace

void BytePairMerger::add(std::int32_t left, std::int32_t right, std::int32_t rank, std::int32_t merged) {
  merges_.insert_or_assign(pair_key(left, right), Merge{rank, merged});
}

void BytePairMerger::merge(std::span<const std::int32_t> ids, std::vector<std::int32_t>& out) const {
  if (ids.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max())) {
    throw Error(ErrorCode::unsupported, "tokenizer: a piece of text without a break is longer than 2 GB");
  }
  const auto count = static_cast<std::int32_t>(ids.size());
  std::vector<Symbol> symbols(ids.size());
  for (std::int32_t i = 0; i < count; ++i) {
    symbols[static_cast<std::size_t>(i)] = {ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1};
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto consider = [&](std::int32_t left) {
    const Symbol& a = symbols[static_cast<std::size_t>(left)];
    if (a.next < 0) return;
    const std::int32_t right_id = symbols[static_cast<std::size_t>(a.next)].id;
    if (const auto found = merges_.find(pair_key(a.id, right_id)); found != merges_.end()) {
      heap.push({found->second.rank, left, a.id, right_id});
    }
  };
  for (std::int32_t i = 0; i + 1 < count; ++i) consider(i);
  while (!heap.empty()) {
    const Candidate best = heap.top();
    heap.pop();
    Symbol& left = symbols[static_cast<std::size_t>(best.left)];
    if (left.id != best.left_id || left.next < 0 || symbols[static_cast<std::size_t>(left.next)].id != best.right_id) {
      continue;
    }
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    left.id = merges_.at(pair_key(best.left_id, best.right_id)).id;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].prev = best.left;
    consider(best.left);
    if (left.prev >= 0) consider(left.prev);
  }
  for (std::int32_t i = count > 0 ? 0 : -1; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
    out.push_back(symbols[static_cast<std::size_t>(i)].id);
  }
}

}  // namespace advisor
