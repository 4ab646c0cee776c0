// Published scores of uncompressed models, grouped into tables that compare.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "core/knowledge.h"
#include "estimate/quality.h"

namespace advisor {

class ScoreTables {
 public:
  explicit ScoreTables(const Knowledge& knowledge);

  std::optional<ScoreTable> choose(const std::string& model, const Yardstick& yardstick) const;
  std::optional<Baseline> baseline(const std::string& model, const ScoreTable& table) const;
  std::vector<std::string> ranked(const ScoreTable& table) const;

 private:
  using Key = std::tuple<std::string, std::string, std::string>;  ///< task, harness, mode
  struct Table {
    std::string family;
    std::map<std::string, Baseline> models;
  };
  std::map<Key, Table> tables_;
};

}  // namespace advisor
