// A figure whose place in the catalog is known, as the row that is stored. Private to io/.
#pragma once

#include <string>

#include "io/import_match.h"

namespace advisor::imports {

/// A run whose model and state of weights are known.
struct Placed {
  const ToolRun* run = nullptr;
  const ImportedFile* file = nullptr;
  ModelMatch model;
  WeightState weights;
  bool uncompressed() const { return weights.technique == "none"; }
  /// Other weights on a known geometry keep their own name where quality is concerned.
  const std::string& quality_model() const { return model.finetune ? model.name : model.model; }
};

struct PlacedTask {
  std::string task, family;
};

/// Catalog ids of where a speed was measured.
struct PlacedMachine {
  std::string hardware, engine;
};

RecordedScore score_row(const Placed& placed, const ToolQuality& q, const PlacedTask& task, const MetricName& metric);
RecordedQuality quality_row(const Placed& placed, const ToolQuality& q, const PlacedTask& task,
                            const MetricName& metric, double baseline);
RecordedSpeed speed_row(const Placed& placed, const ToolSpeed& s, const std::string& metric,
                        const PlacedMachine& machine, const RecordOptions& options, const NameTables& names);

}  // namespace advisor::imports
