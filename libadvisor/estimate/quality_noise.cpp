#include "estimate/quality_noise.h"

#include <utility>

namespace advisor {

namespace {

/// What the noise of a task is worth before its rows speak: this many rows of its family's.
constexpr double prior_rows = 4;
/// Of which every second answer has flipped when the damage is 1.
const double prior_unit = std::sqrt(0.5);
/// Where no test of all states its length.
constexpr double usual_questions = 1000;

/// A geometric mean with weights: tests differ in length and noise by orders of magnitude.
struct LogMean {
  double sum = 0, weight = 0;
  void add(double value, double w) { sum += w * std::log(value), weight += w; }
  double value(double otherwise) const { return weight > 0 ? std::exp(sum / weight) : otherwise; }
};

}  // namespace

std::size_t TestNoise::add(const std::string& family, const std::string& task, std::optional<double> questions) {
  tests_.push_back({family, task, prior_unit, questions ? 1 / std::sqrt(*questions) : 0});
  stated_.push_back(questions.has_value());
  return tests_.size() - 1;
}

void TestNoise::finish() {
  LogMean all;
  std::map<std::string, LogMean> by_family;
  for (std::size_t i = 0; i < tests_.size(); ++i)
    if (stated_[i]) all.add(tests_[i].per_question, 1), by_family[tests_[i].family].add(tests_[i].per_question, 1);
  length_ = all.value(1 / std::sqrt(usual_questions));
  for (std::size_t i = 0; i < tests_.size(); ++i) {
    auto& test = tests_[i];
    const double length = length_of_family_[test.family] = by_family[test.family].value(length_);
    if (!stated_[i]) test.per_question = length;
  }
}

void TestNoise::update(const std::vector<double>& squares, const std::vector<double>& rows) {
  LogMean all;
  std::map<std::string, LogMean> by_family;
  all.add(prior_unit, prior_rows);
  for (std::size_t i = 0; i < tests_.size(); ++i) {
    all.add(tests_[i].unit, rows[i]);
    by_family[tests_[i].family].add(tests_[i].unit, rows[i]);
  }
  unit_ = all.value(prior_unit);
  for (auto& [name, mean] : by_family) {
    mean.add(unit_, prior_rows);
    unit_of_family_[name] = mean.value(unit_);
  }
  for (std::size_t i = 0; i < tests_.size(); ++i) {
    const double prior = unit_of_family_[tests_[i].family];
    tests_[i].unit = std::sqrt((prior_rows * prior * prior + squares[i]) / (prior_rows + rows[i]));
  }
}

double TestNoise::expected(const std::string& family, std::optional<double> questions) const {
  const auto unit = unit_of_family_.find(family);
  const auto length = length_of_family_.find(family);
  const double usual = length != length_of_family_.end() ? length->second : length_;
  return (unit != unit_of_family_.end() ? unit->second : unit_) * (questions ? 1 / std::sqrt(*questions) : usual);
}

std::vector<std::string> TestNoise::families() const {
  std::vector<std::string> names;
  for (const auto& [name, unit] : unit_of_family_) names.push_back(name);
  return names;
}

}  // namespace advisor
