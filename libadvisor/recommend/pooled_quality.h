// What the fitted model of quality leaves out and few measured: a quantized KV cache, and checkpoints retrained for few
// bits. Studies are pooled as they are: what one more study would find, with few degrees of freedom where there are
// few.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "estimate/quality.h"

namespace advisor {

class PooledQuality {
 public:
  explicit PooledQuality(const Knowledge& knowledge);

  /// Of the score above chance, by the same model with a cache of 16 bits: by tasks of the family where three studies
  /// measured some, else by all tasks. nullptr: fewer than two studies.
  const Retention* cache(double bits, const std::string& family) const;

  /// Of a checkpoint retrained for weights of so many bits, by its own original: by measurements of this model where
  /// there are any, else by all.
  const Retention* retrained(double bits, const std::string& model, const std::string& family) const;

 private:
  using Groups = std::map<std::string, Retention>;  ///< by "<bits>|<family or model>", "<bits>|" for all
  static const Retention* find(const Groups& groups, double bits, const std::vector<std::string>& of);
  Groups caches_, retrained_;
};

}  // namespace advisor
