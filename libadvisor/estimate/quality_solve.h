// The numerical part of the fit of quality_fit.h: coefficients by Gauss-Newton with weights of the t distribution, the
// noise of tests by expectation and maximization. Sources can be left out and the rest solved again from where it
// stands, which takes a fraction of the first solution.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "estimate/quality_case.h"
#include "estimate/quality_levels.h"
#include "estimate/quality_link.h"
#include "estimate/quality_noise.h"

namespace advisor {

class QualitySolver {
 public:
  struct Entry {
    std::size_t column;
    double value;
  };
  struct Row {
    QualityCase what;
    bool used = true;
    bool perplexity = false;
    double observed = 0;
    double doubt = 1;                 ///< noise of the observed value per noise of the test
    std::size_t test = 0;             ///< of noise(); accuracies only
    std::vector<Entry> damage;        ///< summands of eta
    std::vector<Entry> guessed;       ///< summands of the guessed share
    std::vector<std::int64_t> slots;  ///< where the products of two entries go in the matrix
  };
  struct Column {
    std::string term, level;
    LevelPrior prior{};
  };

  explicit QualitySolver(const Knowledge& knowledge);
  ~QualitySolver();

  /// Of all rows but those of some sources; from where the last solution stands.
  void solve(const std::set<std::string>& left_out = {});

  const std::vector<Row>& rows() const { return rows_; }  ///< sorted by content
  const std::vector<Column>& columns() const { return columns_; }
  const TestNoise& noise() const { return noise_; }
  double coefficient(std::size_t column) const;
  /// Posterior variance of a weighted sum of all coefficients.
  double variance(const std::vector<double>& weights) const;
  double value(const std::vector<double>& weights) const;

 private:
  struct Equations;
  void index(const Knowledge& knowledge);
  void index_noise(const Knowledge& knowledge);
  void plan_matrix();
  void iterate(double largest_change);
  double step();
  void update_noise();
  double log_damage(const Row& row) const;
  Expected expected(const Row& row, double eta) const;
  double scale2(const Row& row, const Expected& e, double eta) const;
  double weight(const Row& row, const Expected& e, double s2) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
  TestNoise noise_;
  std::unique_ptr<Equations> equations_;
  bool solved_ = false;
};

}  // namespace advisor
