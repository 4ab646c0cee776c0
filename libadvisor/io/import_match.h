// From what tools wrote to rows that estimators use: which catalog model, task, metric and hardware each figure is of,
// and, for compressed weights, which uncompressed run it is compared with. Says in words what it matched and why.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/measurement.h"
#include "io/import.h"
#include "io/import_names.h"

namespace advisor {

/// What the files do not say. Empty = as the files say.
struct RecordOptions {
  std::string model;  ///< catalog id or alias; a name of the user's own together with `params`
  std::optional<double> params;
  std::string technique, scheme, format;
  std::string engine, engine_version, hardware;
  std::int64_t hardware_count = 0;  ///< 0 = as the file says
  /// {name in the file, task or family of data/}; an empty name is for files that name no task.
  std::vector<std::pair<std::string, std::string>> tasks;
  std::string note;
};

struct RecordedQuality {
  QualityMeasurement row;
  std::string tool, settings;
};
struct RecordedSpeed {
  SpeedMeasurement row;
  std::string tool;
};
/// Of an uncompressed model: a score, and the baseline of later compressed runs.
struct RecordedScore {
  Score row;
  std::optional<double> standard_error;
  std::string tool, settings;
};

/// What one invocation of `advisor record` stores; undone as a whole.
struct Recording {
  struct File {
    std::string name, kind, digest;
    bool reference = false;  ///< only compared with, or says what weights are: may be given again; not stored
  };
  std::int64_t id = 0;  ///< 0 until stored
  std::string date;     ///< YYYY-MM-DD
  std::string note;
  std::vector<File> files;
  std::vector<RecordedQuality> quality;
  std::vector<RecordedSpeed> speed;
  std::vector<RecordedScore> scores;
  std::vector<std::string> matched;  ///< "X is the catalog's Y: why"; not stored
  std::vector<std::string> notes;    ///< what was left out and why; not stored
};

/// `baselines` are runs of uncompressed weights; so are those of `files` that say so themselves when there are several.
/// `earlier` are scores recorded before. Throws invalid_argument or not_found when a run cannot be placed, a value is
/// out of its metric's bounds, or no row is left; then the message names the baseline or option that is missing.
Recording match_results(const std::vector<ImportedFile>& files, const std::vector<ImportedFile>& baselines,
                        const RecordOptions& options, const NameTables& names,
                        const std::vector<RecordedScore>& earlier);

}  // namespace advisor
