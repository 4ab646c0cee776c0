// Everything the decision may know, as one immutable snapshot. Loaded by io/, never written after.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/measurement.h"
#include "core/rule.h"

namespace advisor {

/// A task or task type and the family whose measurements speak for it (data/tasks.csv).
struct Task {
  std::string id;                ///< "mmlu", "closed_book_qa", ...
  std::string kind;              ///< "benchmark" or "type"
  std::string family;            ///< data/families.csv
  std::optional<double> chance;  ///< accuracy of guessing, fraction of 1
  bool knowledge_intensive = false;
};

struct Knowledge {
  std::vector<Model> models;
  std::vector<Device> devices;
  std::vector<Technique> techniques;
  std::vector<EngineSupport> engine_support;
  std::vector<Price> prices;
  std::vector<PublishedCheckpoint> published;
  std::vector<Task> tasks;
  std::vector<Source> sources;
  std::vector<QualityMeasurement> quality;
  std::vector<SpeedMeasurement> speed;
  std::vector<Score> scores;
  std::vector<RuleSource> rules;
  std::string digest;  ///< of the database content and the rules
};

}  // namespace advisor
