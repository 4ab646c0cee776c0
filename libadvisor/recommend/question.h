// A profile with every name resolved and every default applied; refuses what cannot be asked.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/hardware.h"
#include "core/profile.h"
#include "recommend/cells.h"
#include "recommend/toolbox.h"

namespace advisor {

/// Applied when the profile sets no accuracy limit: without one every compression would do.
inline constexpr double default_retain = 0.9;
/// The same for a critical task: absolute. Ours, and said so; no source publishes one.
inline constexpr double default_critical_min = 0.8;

struct Question {
  Profile profile;
  Hardware hardware;
  const Model* model = nullptr;  ///< the one in use
  Task task;
  Yardstick yardstick;
  std::optional<ScoreTable> table;
  std::optional<Baseline> baseline;  ///< of the model in use
  /// Nobody set an accuracy limit. Of a task that is not critical the default then means each option's own uncompressed
  /// model where the model in use has no score, so that it cannot stand in the way of a switch that the task demands.
  bool default_limit = false;

  int current = own_model;                     ///< the model in use: into Catalog::models
  std::shared_ptr<const CatalogModel> own;     ///< where it is in no catalog
  Standing own_standing;                       ///< of the model in use
  std::shared_ptr<const Standings> standings;  ///< of the catalog
  const CatalogModel& at(const Toolbox& tools, int model) const {
    return model == own_model ? *own : tools.catalog.models()[static_cast<std::size_t>(model)];
  }
  const Standing& standing(int model) const {
    return model == current ? own_standing : standings->models[static_cast<std::size_t>(model)];
  }
};

/// Throws not_found with suggestions for unknown models, tasks and benchmarks, invalid_argument for hardware without
/// memory.
Question ask(const Toolbox& tools, const Profile& profile, const Hardware& hardware, const Model* checkpoint_model);

/// What was assumed, in words: field -> value.
std::map<std::string, std::string> defaults_of(const Question& question);

}  // namespace advisor
