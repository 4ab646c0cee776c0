// The fitted terms of the speed model, looked up by level: what a setup's eight terms are, how well they are known, and
// which measurements say so.
#pragma once

#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/fit.h"
#include "estimate/speed_levels.h"
#include "estimate/speed_model.h"

namespace advisor {

/// The terms of one setup, resolved once; from here on a speed is arithmetic.
struct SpeedSetup {
  SpeedTerms terms;
  SpeedRates rates;                                   ///< of the terms
  bool class_known = false;                           ///< the engine was measured on this class of hardware
  std::int64_t rows = 0;                              ///< behind the memory (or compute) efficiency
  const std::vector<std::string>* sources = nullptr;  ///< of them; the table's
  std::size_t depth = 0;                              ///< how many of the levels answered
};

/// What a kind of question adds to the spread of parameters and noise, and the share of that which it needs.
struct SpeedSpread {
  double added = 0, share = 1;
  double total(double known) const { return std::sqrt(added * added + share * known * share * known); }
};

class SpeedTable {
 public:
  SpeedTable() = default;
  explicit SpeedTable(std::span<const FittedTerm> terms);

  /// nullopt: nothing was ever measured with this engine.
  std::optional<SpeedSetup> setup(const SpeedLevels& levels) const;
  /// The levels that answered, in words: "llama.cpp|new|gpu|gguf5".
  static std::string cell_of(const SpeedSetup& setup, const SpeedLevels& levels);
  /// Held-out spread of a kind of question on an engine.
  SpeedSpread spread(std::string_view kind, std::string_view engine) const;
  /// Newest version of the engine that was measured; empty when no row states one.
  std::string newest_version(const std::string& engine) const;

  /// Conjugate update by one observed residual: each level that the row touches moves by its share of the variance.
  void learn(const SpeedLevels& levels, const std::array<double, speed_terms>& slope, double residual, double noise,
             const std::string& source);

 private:
  struct Cell {
    double value = 0, sd = 0;
    std::int64_t rows = 0;
    std::vector<std::string> sources;
  };
  const Cell* find(std::size_t block, const SpeedLevels& levels, std::size_t* depth = nullptr) const;

  SpeedSpread& spread_at(const std::string& level);

  std::vector<std::map<std::string, Cell, std::less<>>> cells_;     ///< per block
  using Spreads = std::map<std::string, SpeedSpread, std::less<>>;  ///< by kind
  std::map<std::string, Spreads, std::less<>> spreads_;             ///< by engine; "": of all engines
  std::map<std::string, std::string> versions_;
};

}  // namespace advisor
