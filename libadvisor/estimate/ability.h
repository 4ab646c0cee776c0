// The terms of scores_fit.h turned into predictions of scores.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/fit.h"
#include "estimate/baseline.h"
#include "estimate/scores_fit.h"

namespace advisor {

class AbilityModel {
 public:
  /// `terms` of fit "scores"; may be empty, then nothing can be predicted.
  explicit AbilityModel(std::span<const FittedTerm> terms, const std::vector<Task>& tasks);

  /// A score of the user's own: sharpens the ability of its model, as one more row of the fit would.
  void learn(const ScoreRow& row, const Model& model);

  bool knows_task(const std::string& task) const { return tasks_.contains(task); }
  /// Of benchmarks that some model was scored on, by models that take their inputs and are of a size that was scored;
  /// nullopt for others.
  std::optional<Baseline> predict(const Model& model, const ScoreTable& table) const;

 private:
  struct Level {
    double value = 0, variance = 0;
    std::int64_t rows = 0;
    std::vector<std::string> sources;
  };
  struct Ability {
    Level level;
    bool own_scores = false;
  };
  struct Sum {
    double mean = 0, variance = 0;
  };
  using Levels = std::map<std::string, Level>;

  Ability ability(const Model& model) const;
  bool size_is_known_ground(const Model& model) const;
  Sum intercept(const ScoreRow& row, const std::string& specialty) const;
  const Level* find(const std::string& term, const std::string& level) const;
  Level find_or_spread(const std::string& term, const std::string& level) const;
  double spread(const std::string& effect) const;  ///< variance

  std::map<std::string, Levels> levels_;
  std::map<std::string, std::pair<std::string, double>> tasks_;  ///< of tasks in the fit: family, chance
};

}  // namespace advisor
