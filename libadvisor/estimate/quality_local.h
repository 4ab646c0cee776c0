// What measurements of the very model say beyond the fit: its results under the same treatment on the same task, and on
// other tasks. Each level is a normal prior from the fit, updated with the residuals of its rows, source by source, as
// rows of one source share that source's error. The user's own rows, which no fit has seen, enter here too.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "estimate/quality_model.h"

namespace advisor {

struct LocalRow {
  PreparedModel model;  ///< with the size that the row states
  PreparedTreatment treatment;
  PreparedTask task;
  double observed = 0;
  std::string source, recorded;
};

struct LocalEvidence {
  double shift = 0;     ///< of eta
  double variance = 0;  ///< that remains
  std::int64_t rows = 0;
  std::vector<std::string> sources;  ///< sorted, unique
  std::string recorded;              ///< last date of a user's own row
};

/// Of one model.
class LocalQuality {
 public:
  LocalQuality(const QualityModel& fit, const std::vector<LocalRow>& rows);

  /// Same treatment and task; the variance is that of eta. nullptr: never measured so.
  const LocalEvidence* cell(int treatment, int task) const { return find(cells_, {treatment, task}); }
  /// Same treatment, other tasks; the variance is that of eta without the parts of task and cell.
  const LocalEvidence* treated(int treatment) const { return find(treated_, treatment); }
  /// The user's own rows of any treatment; the variance is that of the model's part. nullptr: none.
  const LocalEvidence* own() const { return own_.rows > 0 ? &own_ : nullptr; }

 private:
  template <typename Key>
  static const LocalEvidence* find(const std::map<Key, LocalEvidence>& all, const Key& key) {
    const auto found = all.find(key);
    return found == all.end() ? nullptr : &found->second;
  }
  std::map<std::pair<int, int>, LocalEvidence> cells_;
  std::map<int, LocalEvidence> treated_;
  LocalEvidence own_;
};

}  // namespace advisor
