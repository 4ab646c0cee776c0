// A profile with every name resolved and every default applied; refuses what cannot be asked.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/hardware.h"
#include "core/profile.h"
#include "recommend/toolbox.h"

namespace advisor {

/// Models to switch to that are looked at per doubling of size, best scores first.
inline constexpr int switches_per_size = 3;

struct Question {
  Profile profile;
  Hardware hardware;
  const Model* model = nullptr;  ///< the one in use
  Task task;
  Yardstick yardstick;
  std::optional<ScoreTable> table;
  std::optional<Baseline> baseline;  ///< of the model in use
  std::map<std::string, std::string> defaults;
  /// Nobody set an accuracy limit. The default then means each option's own uncompressed model where the model in use
  /// has no score, so that it cannot stand in the way of a switch that the task demands.
  bool default_limit = false;
};

/// Throws not_found with suggestions for unknown models, tasks and benchmarks, invalid_argument for hardware without
/// memory.
Question ask(const Toolbox& tools, const Profile& profile, const Hardware& hardware, const Model* checkpoint_model);

}  // namespace advisor
