// A speed measurement as a question to the estimator and the answer that was measured: what the fit learns from and
// what a backtest scores.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/variant.h"
#include "estimate/throughput.h"

namespace advisor {

struct SpeedCase {
  Model model;  ///< the catalog's row where there is one; sizes as the table states them
  Variant variant;
  Hardware hardware;
  Load load;
  std::string quantity;  ///< "decode" (tok/s, all streams), "prefill" (tok/s), "ttft" (s), "tpot" (s)
  double observed = 0;   ///< ln of the value in those units
  bool mixture = false;  ///< of experts
  std::string source, publisher, where, engine_version;
};

/// Who stands behind each source: its publisher, or the source itself where none is named. Two sources of one publisher
/// are no independent witnesses.
std::map<std::string, std::string> publishers(const std::vector<Source>& sources);

/// Turns rows into cases; `knowledge` must outlive it.
class SpeedCases {
 public:
  explicit SpeedCases(const Knowledge& knowledge);
  /// nullopt: the row cannot be scored; `why_not`, when given, says why in a few words ("hardware is in no catalog").
  std::optional<SpeedCase> read(const SpeedMeasurement& row, std::string* why_not = nullptr) const;

 private:
  std::map<std::string, const Model*> models_;
  std::map<std::string, const Device*> devices_;
  std::map<std::string, std::string> publishers_;  ///< by source
};

}  // namespace advisor
