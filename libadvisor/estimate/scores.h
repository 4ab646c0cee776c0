// What uncompressed models score: published tables that compare, and a prediction where a model is in none of them.
// A prediction is arithmetic on the terms of scores_fit.h and needs no other model's rows.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/knowledge.h"
#include "estimate/quality.h"

namespace advisor {

class AbilityModel;

class ScoreTables {
 public:
  explicit ScoreTables(const Knowledge& knowledge);
  ~ScoreTables();

  /// The table that compares most models on the yardstick, one that has `model` if any has, and above the floor if any
  /// does. Benchmarks of the family when the yardstick names none. A benchmark without any table but with scores beside
  /// compressed models gets one without a harness.
  std::optional<ScoreTable> choose(const std::string& model, const Yardstick& yardstick) const;

  /// The same for a task in a user's words: the benchmark that was named or that stands for the type; for a type any
  /// benchmark of the family on which the model is scored will do.
  std::optional<ScoreTable> choose(const Model& model, const Task& task) const;

  /// Measured if the table has the model, else predicted. nullopt: nobody was scored on that task, the task needs an
  /// input that the model does not take, or no scored model is near it in size.
  std::optional<Baseline> baseline(const std::string& model, const ScoreTable& table) const;
  std::optional<Baseline> baseline(const Model& model, const ScoreTable& table) const;

  /// Scored models of a table, best first, ties by id.
  std::vector<std::string> ranked(const ScoreTable& table) const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  ///< task, harness, mode
  struct Table {
    std::string family;
    std::size_t size = 0;  ///< models in it, also where only one model's rows were loaded
    std::map<std::string, Baseline> models;
  };
  void read_scores(const Knowledge& knowledge);
  void read_recorded(const Knowledge& knowledge);
  const Baseline* measured(const std::string& model, const ScoreTable& table) const;

  std::map<Key, Table> tables_;
  std::map<std::string, Model> models_;
  std::unique_ptr<AbilityModel> abilities_;
};

}  // namespace advisor
