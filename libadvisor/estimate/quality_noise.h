// What a finite test adds to a measured difference. Compression flips answers, right to wrong and wrong to right alike
// (Dutta et al., "Accuracy is not all you need", NeurIPS 2024): of n questions a share f of flips moves the score by
// sqrt(f / n) either way. Flips grow with the perturbation of the weights and damage with its square, so f is
// proportional to the square root of the damage, and the noise to its fourth root:
//
//     noise = unit(task) * damage^(1/4) / sqrt(questions)        in fractions of 1; damage above 1 counts as 1
//
// A test of eight bits is therefore much quieter than one of two. unit(task) is fitted, shrunk to the family and that
// to all; it also stands for what repeats one answer, and for the length of tests that nobody states.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace advisor {

/// The share of its noise at damage 1 that a test has at another.
inline double noise_share(double log_damage) { return std::exp(std::clamp(log_damage, -12.0, 0.0) / 4); }
/// The mean of its square where the log damage is normal.
inline double mean_squared_noise_share(double log_damage, double variance) {
  return std::min(1.0, std::exp(std::max(log_damage, -12.0) / 2 + variance / 8));
}

/// Questions flip whose margin is small; with logistic margins their density is p (1 - p) of a score p: 1 at one half.
inline double answers_in_doubt(double score) {
  const double p = std::clamp(score, 0.01, 0.99);
  return 2 * std::sqrt(p * (1 - p));
}

class TestNoise {
 public:
  struct Test {
    std::string family, task;
    double unit = 1;          ///< at damage 1, of a single question
    double per_question = 1;  ///< 1 / sqrt(questions)
  };

  /// Returns the index of a test; call once for each.
  std::size_t add(const std::string& family, const std::string& task, std::optional<double> questions);
  /// Lengths that nobody states become those of the family's other tests, else of all.
  void finish();
  /// In fractions of 1 at damage 1.
  double at_full_damage(std::size_t test) const { return tests_[test].unit * tests_[test].per_question; }
  const Test& test(std::size_t i) const { return tests_[i]; }
  std::size_t size() const { return tests_.size(); }

  /// One maximization: sums of expected squares of the unit and the number of rows, by test.
  void update(const std::vector<double>& squares, const std::vector<double>& rows);

  /// Of a test of `family` (any, when no row is of it) with so many questions; none = as many as its other tests have.
  double expected(const std::string& family, std::optional<double> questions) const;
  /// Families of tests that were measured.
  std::vector<std::string> families() const;

 private:
  std::vector<Test> tests_;
  std::vector<bool> stated_;
  std::map<std::string, double> unit_of_family_, length_of_family_;  ///< the latter as 1 / sqrt(questions)
  double unit_ = 1, length_ = 1;
};

}  // namespace advisor
