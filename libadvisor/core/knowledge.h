// Everything the decision may know, as one immutable snapshot. Loaded by io/, never written after.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/catalog.h"
#include "core/fit.h"
#include "core/hardware.h"
#include "core/measurement.h"
#include "core/rule.h"

namespace advisor {

/// A task or task type and the family whose measurements speak for it (data/tasks.csv).
struct Task {
  std::string id;                ///< "mmlu", "closed_book_qa", ...
  std::string kind;              ///< "benchmark", "type" or "average" (over several benchmarks)
  std::string family;            ///< data/families.csv
  std::optional<double> chance;  ///< accuracy of guessing, fraction of 1
  bool knowledge_intensive = false;
  std::string benchmark{};  ///< of a type: the benchmark that stands for it unless the profile names one
  std::optional<std::int64_t>
      questions{};  ///< that are scored one by one (words, of a word error rate); empty = varies
};

/// A family of tasks; where it has no measurements of its own, those of `parent` are the nearest.
struct Family {
  std::string id, title, parent;
};

/// Another spelling that sources use for something in a catalog.
struct Alias {
  std::string name, id;
  std::string kind;    ///< model, hardware, technique, task, metric, engine
  std::string reason;  ///< why it is taken for that, where it needs one
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
  std::vector<OffloadMeasurement> offload;  ///< behind the fitted terms of the same name
  std::vector<Score> scores;
  std::vector<FittedTerm> fits;  ///< empty: estimators fit the rows at hand
  std::vector<RuleSource> rules;
  std::vector<Family> families;
  std::vector<ApiPrice> api_prices;
  std::vector<Alias> aliases;
  std::string digest;  ///< of the database content and the rules
};

}  // namespace advisor
