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

}  // namespace advisor
