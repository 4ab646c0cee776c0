// Measurements from a CSV file that is not in the database: the columns of data/measurements/{quality,speed}/*.csv, or
// those of the compiled tables that have a column source_id instead of a file per source. Published spellings become
// the ids of the vocabularies in advisor.db. It knows nothing of estimates.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "io/import_names.h"

namespace advisor {

struct MeasurementFile {
  std::vector<QualityMeasurement> quality;
  std::vector<SpeedMeasurement> speed;
  std::int64_t rows = 0;
  std::map<std::string, std::int64_t> unmapped;  ///< why rows are in neither list -> how many
};

/// Tasks, metrics and hardware must be known, because their meaning cannot be guessed; else the row is counted as
/// unmapped. Other models, techniques and engines keep their published name. A row that is also in `knowledge`, word
/// for word, has the mark `suspect` that it has there. Without a column `scale`, shares above 1 are percentages.
/// Throws not_found (no such file) and parse_error with file:line:column for wrong columns and what is no number.
MeasurementFile read_measurements(const std::filesystem::path& file, const NameTables& names,
                                  const Knowledge& knowledge);

}  // namespace advisor
