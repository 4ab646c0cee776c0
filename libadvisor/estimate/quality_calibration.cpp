#include "estimate/quality_calibration.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "estimate/distribution.h"
#include "estimate/quality.h"
#include "estimate/quality_terms.h"

namespace advisor {

namespace {

/// Groups of sources that are left out together: more would cost more and leave out less each time.
constexpr std::size_t folds = 6;

/// What is believed before any row, worth as much as two sources or families: the scales that the model states are
/// right to a factor of two, those of sources differ by half either way, those of families less.
constexpr double prior_weight = 2;
const double common_sd = std::log(2.0), between_start = std::log(1.5), families_start = std::log(1.25);
constexpr int rounds = 60;
/// Beyond a factor of three it is the model that is wrong, not its widths.
constexpr double most = 3, longest_step = 0.5;

/// Largest sources first, each to the fold that has fewest rows: the largest are left out alone.
std::vector<std::set<std::string>> plan_folds(const QualitySolver& solver) {
  std::map<std::string, std::int64_t> rows;
  for (const auto& row : solver.rows()) ++rows[row.what.source];
  std::vector<std::pair<std::int64_t, std::string>> by_size;
  for (const auto& [source, n] : rows) by_size.emplace_back(-n, source);
  std::sort(by_size.begin(), by_size.end());
  std::vector<std::set<std::string>> plan(std::min(folds, by_size.size()));
  std::vector<std::int64_t> filled(plan.size());
  for (const auto& [n, source] : by_size) {
    const auto least = static_cast<std::size_t>(std::min_element(filled.begin(), filled.end()) - filled.begin());
    plan[least].insert(source);
    filled[least] -= n;
  }
  return plan;
}

/// One source in one family.
struct Group {
  std::vector<std::pair<double, double>> rows;  ///< squared ratio, degrees of freedom
  double scale = 0, variance = 0;               ///< of the logarithm
};

struct Family {
  std::map<std::string, Group> groups;  ///< by source
  std::int64_t rows = 0;
  double own = 0, variance = 0;  ///< family(f) and how well it is known
};

class Calibration {
 public:
  explicit Calibration(const std::vector<HeldOutError>& errors) {
    for (const auto& e : errors) {
      auto& family = families_[e.family];
      family.groups[e.source].rows.emplace_back(e.ratio * e.ratio, e.df);
      ++family.rows;
    }
    for (int i = 0; i < rounds; ++i) update();
  }
  std::vector<FittedTerm> terms() const;

 private:
  void update();
  void update_group(Group& group, double expected) const;
  FittedTerm term(const std::string& name, double mean, double variance) const;

  std::map<std::string, Family> families_;
  double common_ = 0, common_variance_ = common_sd * common_sd;
  double between_ = between_start * between_start, spread_ = families_start * families_start;  ///< variances
};

/// One step of Fisher scoring for the scale of a t distribution (Lange, Little and Taylor, 1989).
void Calibration::update_group(Group& group, double expected) const {
  double gradient = (expected - group.scale) / between_, information = 1 / between_;
  for (const auto& [square, df] : group.rows) {
    const double u = square * std::exp(-2 * group.scale);
    gradient += (df + 1) / (df + u) * u - 1;
    information += 2 * df / (df + 3);
  }
  group.scale += std::clamp(gradient / information, -longest_step, longest_step);
  group.variance = 1 / information;
}

/// Each part given the others, then the spreads: expectation and maximization with independent parts.
void Calibration::update() {
  double sources = prior_weight, squares = prior_weight * between_start * between_start;
  double number = prior_weight, own_squares = prior_weight * families_start * families_start;
  double sum = 0, precision = 1 / (common_sd * common_sd);
  for (auto& [name, family] : families_) {
    const auto n = static_cast<double>(family.groups.size());
    double above = 0;
    for (auto& [source, group] : family.groups) {
      update_group(group, common_ + family.own);
      above += group.scale - common_;
    }
    family.variance = 1 / (n / between_ + 1 / spread_);
    family.own = above / between_ * family.variance;
    for (const auto& [source, group] : family.groups) {
      sum += (group.scale - family.own) / between_, precision += 1 / between_;
      squares += std::pow(group.scale - common_ - family.own, 2) + group.variance + family.variance, sources += 1;
    }
    own_squares += family.own * family.own + family.variance, number += 1;
  }
  common_ = sum / precision, common_variance_ = 1 / precision;
  between_ = squares / sources, spread_ = own_squares / number;
}

/// The factor on 90 % intervals that makes them hold where the logarithm of the scale is normal.
double factor_for(double mean, double variance) {
  // Gauss-Hermite rule of five points for a standard normal variable (Abramowitz and Stegun, table 25.10, rescaled).
  constexpr std::array<std::pair<double, double>, 5> nodes{{{0, 0.5333333333333333},
                                                            {1.3556261799742658, 0.2220759220056126},
                                                            {-1.3556261799742658, 0.2220759220056126},
                                                            {2.8569700138728056, 0.0112574113277207},
                                                            {-2.8569700138728056, 0.0112574113277207}}};
  const Distribution error{0, 1, 3};
  const double edge = error.quantile(0.95);
  double low = 1 / most, high = most;
  for (int i = 0; i < 40; ++i) {
    const double factor = std::sqrt(low * high);
    double inside = 0;
    for (const auto& [x, weight] : nodes) {
      const double scale = std::exp(mean + x * std::sqrt(variance));
      inside += weight * (1 - 2 * error.probability_above(factor * edge / scale));
    }
    (inside < 0.9 ? low : high) = factor;
  }
  return std::sqrt(low * high);
}

FittedTerm Calibration::term(const std::string& name, double mean, double variance) const {
  return {"quality", "calibration", name, factor_for(mean, variance), std::sqrt(variance), 0, {}};
}

std::vector<FittedTerm> Calibration::terms() const {
  std::vector<FittedTerm> out;
  auto all = term("all", common_, common_variance_ + spread_ + between_);
  std::set<std::string> everyone;
  for (const auto& [name, family] : families_) {
    auto own = term(name, common_ + family.own, common_variance_ + family.variance + between_);
    own.rows = family.rows, all.rows += family.rows;
    for (const auto& [source, group] : family.groups) own.sources.push_back(source), everyone.insert(source);
    out.push_back(std::move(own));
  }
  all.sources.assign(everyone.begin(), everyone.end());
  out.push_back(std::move(all));
  return out;
}

}  // namespace

std::vector<HeldOutError> held_out_errors(const Knowledge& knowledge, QualitySolver& solver) {
  std::vector<HeldOutError> errors;
  const auto plan = plan_folds(solver);
  if (plan.size() < 2) return errors;  // nothing would be left
  Knowledge rest;
  rest.models = knowledge.models, rest.tasks = knowledge.tasks, rest.techniques = knowledge.techniques;
  for (const auto& left_out : plan) {
    solver.solve(left_out);
    rest.fits = quality_terms(solver, knowledge);
    std::set<std::string> asked;  // a model's estimate needs its own rows and the terms
    for (const auto& row : solver.rows())
      if (!row.used) asked.insert(row.what.model.id);
    rest.quality.clear();
    for (const auto& row : knowledge.quality)
      if (row.recorded.empty() && !left_out.contains(row.source) && asked.contains(row.model))
        rest.quality.push_back(row);
    const QualityEstimator estimator(rest);
    for (const auto& row : solver.rows()) {
      if (row.used || row.perplexity) continue;
      const auto prediction = estimator.predict(row.what);
      if (!prediction) continue;
      const auto& d = prediction->distribution;
      errors.push_back({row.what.yardstick.family, row.what.source, std::abs(row.what.observed - d.mean) / d.sd, d.df});
    }
  }
  return errors;
}

std::vector<FittedTerm> calibrate_widths(std::vector<HeldOutError> errors) {
  if (errors.empty()) return {};
  const auto content = [](const HeldOutError& e) { return std::tie(e.family, e.source, e.ratio, e.df); };
  std::sort(errors.begin(), errors.end(),
            [&](const HeldOutError& a, const HeldOutError& b) { return content(a) < content(b); });
  return Calibration(errors).terms();
}

}  // namespace advisor
