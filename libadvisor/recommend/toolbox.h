// Everything that one query needs and that does not change while it is asked again with another field: indexed
// measurements, compiled rules, looked-up tables.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/knowledge.h"
#include "core/profile.h"
#include "estimate/quality.h"
#include "estimate/scores.h"
#include "estimate/throughput.h"
#include "rules/rule_set.h"

namespace advisor {

/// What the engine matrix says about (engine, format, scheme family, generation); nullptr: nothing.
const EngineSupport* find_support(const Knowledge& knowledge, const Variant& variant, const Device& device);

struct Toolbox {
  explicit Toolbox(const Knowledge& snapshot);
  const Knowledge& knowledge;
  QualityEstimator quality;
  ScoreTables scores;
  SpeedEstimator speed;
  RuleSet rules;
  std::map<std::string, const Technique*> techniques;
  std::map<std::string, const Task*> tasks;
  const EngineSupport* support(const Variant& variant, const Device& device) const {
    return find_support(knowledge, variant, device);
  }
};

/// Models to switch to that are looked at per doubling of size, best scores first.
inline constexpr int switches_per_size = 3;

/// The question after every name is resolved and every default applied.
struct Question {
  Profile profile;
  Hardware hardware;
  const Model* model = nullptr;
  Task task;
  Yardstick yardstick;
  std::optional<ScoreTable> table;
  std::optional<Baseline> baseline;  ///< of the model in use
  std::map<std::string, std::string> defaults;
  /// Nobody set an accuracy limit. The default then means each option's own uncompressed model where the model in use
  /// has no score, so that it cannot stand in the way of a switch that the task demands.
  bool default_limit = false;
};

}  // namespace advisor
