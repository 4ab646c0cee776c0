// How much of the host's memory bandwidth llama.cpp reaches with weights that lie there, and of the link to the device
// when it copies them for a prompt: fitted to published runs whose host is described (data/measurements/offload).
//
//   decode:  1 / tokens per second = step on the device (speed_model.h) + bytes read in the host's memory / (η ·
//   bandwidth) prefill: seconds of a chunk    = arithmetic on the device          + bytes copied / (λ · link)
//
// Each row gives one ln η or ln λ, the less certain the less of its time is the host's. Rows of a publisher are one
// study (pooling.h); the spread between publishers is their moment estimate (Paule and Mandel, 1982). The two kinds of
// offload are shrunk towards each other as if they were two more publishers.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/fit.h"
#include "core/knowledge.h"
#include "estimate/offload.h"

namespace advisor {

/// Terms of the fit "offload": efficiency (levels "experts", "layers") and link, as logarithms; the sd is that of one
/// publisher more. `speed` are the terms of the fit "speed". Empty without rows.
std::vector<FittedTerm> fit_offload(const Knowledge& knowledge, std::span<const FittedTerm> speed);

/// What a row says: the logarithm of the efficiency.
struct OffloadObservation {
  OffloadKind kind = OffloadKind::none;
  bool link = false;  ///< of the link, from a prefill rate; else of the memory
  double value = 0, variance = 0;
  std::string source, publisher;
};
/// nullopt, with the reason: the row is not read, or the host takes too little of its time to say anything.
std::optional<OffloadObservation> observe_offload(const Knowledge& knowledge, const OffloadMeasurement& row,
                                                  std::span<const FittedTerm> speed, std::string* why_not = nullptr);

/// The fitted terms at hand.
class OffloadTable {
 public:
  OffloadTable() = default;
  explicit OffloadTable(std::span<const FittedTerm> terms);
  /// nullopt: nothing was measured, or the host's memory is not there.
  std::optional<HostRates> rates(const Hardware& hardware, OffloadKind kind) const;
  std::int64_t rows() const { return rows_; }
  const std::vector<std::string>& sources() const { return sources_; }

 private:
  std::optional<Distribution> experts_, layers_, link_;
  std::int64_t rows_ = 0;
  std::vector<std::string> sources_;
};

}  // namespace advisor
