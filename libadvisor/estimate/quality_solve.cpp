#include "estimate/quality_solve.h"

#include <Eigen/SparseCholesky>
#include <Eigen/SparseCore>
#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "estimate/quality_fit.h"

namespace advisor {

namespace {

using Vector = Eigen::VectorXd;
using Matrix = Eigen::SparseMatrix<double>;
using Index = Eigen::Index;

constexpr int passes = 2;        ///< of coefficients, then noise
constexpr int noise_steps = 30;  ///< of expectation and maximization in a pass
constexpr int max_steps = 30;    ///< of Gauss-Newton in a pass
constexpr double roughly_settled = 0.1, settled = 5e-3, longest_step = 2;
/// Below guessing is guessing: noise of a test, not more damage than all.
constexpr double lowest_recovery = -0.3;

std::vector<QualityCase> sorted_cases(const Knowledge& knowledge) {
  const QualityCases reader(knowledge);
  std::vector<QualityCase> cases;
  for (const auto& row : knowledge.quality)
    if (row.recorded.empty())
      if (auto c = reader.read(row)) cases.push_back(std::move(*c));
  const auto content = [](const QualityCase& c) {
    const auto& t = c.treatment;
    return std::tie(c.source, c.model.id, t.technique, t.scheme, c.yardstick.task, c.measure, t.weight_bits, t.sparsity,
                    t.group, c.observed, c.baseline, t.pattern, t.bits_per_weight, t.activation_bits, c.where);
  };
  std::sort(cases.begin(), cases.end(),
            [&](const QualityCase& a, const QualityCase& b) { return content(a) < content(b); });
  return cases;
}

void append(Levels& levels, Levels more) { std::move(more.begin(), more.end(), std::back_inserter(levels)); }

Levels damage_levels(const QualityCase& c) {
  Levels levels = treatment_levels(c.treatment);
  append(levels, model_levels(c.model, c.pruning));
  if (const double low = bits_below_four(c.treatment); low > 0) levels.push_back({"model_low", c.model.id, low});
  append(levels, c.measure == "perplexity"
                     ? perplexity_levels(c.yardstick.task, c.treatment)
                     : task_levels(c.yardstick, c.pruning, headroom(c.baseline, c.yardstick.chance)));
  append(levels, source_levels(c.source, c.treatment));
  return levels;
}

Levels guess_levels(const QualityCase& c) {
  if (c.measure == "perplexity" || !guess_is_fitted(c.yardstick)) return {};
  const double share = 1 / std::max(c.baseline, 0.05);
  return {{"guess_family", c.yardstick.family, share}, {"guess_task", c.yardstick.task, share}};
}

template <typename Visit>
void each_pair(const QualitySolver::Row& row, const Visit& visit) {
  std::vector<Index> all;
  for (const auto* entries : {&row.damage, &row.guessed})
    for (const auto& e : *entries) all.push_back(static_cast<Index>(e.column));
  for (std::size_t a = 0; a < all.size(); ++a)
    for (std::size_t b = 0; b <= a; ++b) visit(std::max(all[a], all[b]), std::min(all[a], all[b]));
}

Eigen::Map<const Vector> as_vector(const std::vector<double>& values) {
  return {values.data(), static_cast<Index>(values.size())};
}

}  // namespace

struct QualitySolver::Equations {
  Vector beta, prior_mean, prior_precision;
  Matrix matrix;  ///< lower triangle of the normal equations
  std::vector<Index> diagonal;
  Eigen::SimplicialLDLT<Matrix> solver;
};

QualitySolver::QualitySolver(const Knowledge& knowledge) : equations_(new Equations) {
  index(knowledge);
  if (!rows_.empty()) plan_matrix();
}
QualitySolver::~QualitySolver() = default;

void QualitySolver::index(const Knowledge& knowledge) {
  auto cases = sorted_cases(knowledge);
  std::vector<std::pair<Levels, Levels>> levels;
  std::map<std::pair<std::string, std::string>, std::size_t> index;
  for (const auto& c : cases) {
    levels.emplace_back(damage_levels(c), guess_levels(c));
    for (const auto* part : {&levels.back().first, &levels.back().second})
      for (const auto& level : *part) index[{level.term, level.level}] = 0;
  }
  for (auto& [name, column] : index) {
    column = columns_.size();
    columns_.push_back({name.first, name.second, level_prior(name.first)});
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    auto& c = cases[i];
    Row row;
    row.perplexity = c.measure == "perplexity";
    row.observed = row.perplexity ? c.observed : std::max(c.observed, lowest_recovery);
    row.doubt = answers_in_doubt(c.baseline) / std::max(c.baseline - c.yardstick.chance, 0.05);
    for (const auto& level : levels[i].first) row.damage.push_back({index.at({level.term, level.level}), level.value});
    for (const auto& level : levels[i].second)
      row.guessed.push_back({index.at({level.term, level.level}), level.value});
    row.what = std::move(c);
    rows_.push_back(std::move(row));
  }
  index_noise(knowledge);
}

void QualitySolver::index_noise(const Knowledge& knowledge) {
  std::map<std::string, double> questions;
  for (const auto& task : knowledge.tasks)
    if (task.questions) questions[task.id] = static_cast<double>(*task.questions);
  std::map<std::pair<std::string, std::string>, std::size_t> tests;
  const auto name = [](const Row& row) { return std::pair{row.what.yardstick.family, row.what.yardstick.task}; };
  for (const auto& row : rows_)
    if (!row.perplexity) tests[name(row)] = 0;
  for (auto& [test, i] : tests) {
    const auto length = questions.find(test.second);
    i = noise_.add(test.first, test.second, length != questions.end() ? std::optional(length->second) : std::nullopt);
  }
  noise_.finish();
  for (auto& row : rows_)
    if (!row.perplexity) row.test = tests.at(name(row));
}

/// The pattern of the normal equations never changes: where each product goes is worked out once.
void QualitySolver::plan_matrix() {
  auto& q = *equations_;
  const auto n = static_cast<Index>(columns_.size());
  q.beta = q.prior_mean = q.prior_precision = Vector::Zero(n);
  for (Index j = 0; j < n; ++j) {
    const auto& prior = columns_[static_cast<std::size_t>(j)].prior;
    q.beta[j] = q.prior_mean[j] = prior.mean;
    q.prior_precision[j] = 1 / (prior.sd * prior.sd);
  }
  std::vector<Eigen::Triplet<double>> cells;
  for (const auto& row : rows_) each_pair(row, [&](Index r, Index c) { cells.emplace_back(r, c, 0.0); });
  for (Index j = 0; j < n; ++j) cells.emplace_back(j, j, 0.0);
  q.matrix.resize(n, n);
  q.matrix.setFromTriplets(cells.begin(), cells.end());
  q.matrix.makeCompressed();
  const auto slot = [&](Index r, Index c) {
    const auto* begin = q.matrix.innerIndexPtr() + q.matrix.outerIndexPtr()[c];
    const auto* end = q.matrix.innerIndexPtr() + q.matrix.outerIndexPtr()[c + 1];
    return static_cast<Index>(std::lower_bound(begin, end, r) - q.matrix.innerIndexPtr());
  };
  for (auto& row : rows_) each_pair(row, [&](Index r, Index c) { row.slots.push_back(slot(r, c)); });
  for (Index j = 0; j < n; ++j) q.diagonal.push_back(slot(j, j));
  q.solver.analyzePattern(q.matrix);
}

void QualitySolver::solve(const std::set<std::string>& left_out) {
  if (rows_.empty()) return;
  for (auto& row : rows_) row.used = !left_out.contains(row.what.source);
  // A solution with other rows is close: one pass is enough from there.
  for (int pass = solved_ ? 1 : 0; pass < passes; ++pass) {
    iterate(roughly_settled);
    for (int i = 0; i < noise_steps; ++i) update_noise();
  }
  iterate(settled);
  solved_ = true;
}

double QualitySolver::log_damage(const Row& row) const {
  double eta = 0;
  for (const auto& e : row.damage) eta += e.value * coefficient(e.column);
  return eta;
}

Expected QualitySolver::expected(const Row& row, double eta) const {
  if (row.perplexity) return expected_log_perplexity(eta);
  double guessed = 0;
  for (const auto& e : row.guessed) guessed += e.value * coefficient(e.column);
  return expected_recovery(eta, guessed);
}

double QualitySolver::scale2(const Row& row, const Expected& e, double eta) const {
  const double proportional = scatter * e.slope;
  const double noise = row.perplexity
                           ? perplexity_noise
                           : std::hypot(rounding, noise_.at_full_damage(row.test) * noise_share(eta) * row.doubt);
  return noise * noise + proportional * proportional;
}

double QualitySolver::weight(const Row& row, const Expected& e, double s2) const {
  const double residual = row.observed - e.value;
  return (residual_df + 1) / (residual_df + residual * residual / s2);
}

/// One weighted Gauss-Newton step; returns the largest change of a coefficient.
double QualitySolver::step() {
  auto& q = *equations_;
  double* const values = q.matrix.valuePtr();
  std::fill(values, values + q.matrix.nonZeros(), 0.0);
  Vector gradient = q.prior_precision.cwiseProduct(q.prior_mean - q.beta);
  std::vector<double> slopes;
  for (const auto& row : rows_) {
    if (!row.used) continue;
    const double eta = log_damage(row);
    const auto e = expected(row, eta);
    const double s2 = scale2(row, e, eta), w = weight(row, e, s2) / s2;
    slopes.clear();
    for (const auto& entry : row.damage) slopes.push_back(entry.value * e.slope);
    for (const auto& entry : row.guessed) slopes.push_back(entry.value * e.by_guess);
    std::size_t k = 0;
    for (std::size_t a = 0; a < slopes.size(); ++a) {
      const auto& entry = a < row.damage.size() ? row.damage[a] : row.guessed[a - row.damage.size()];
      gradient[static_cast<Index>(entry.column)] += w * slopes[a] * (row.observed - e.value);
      for (std::size_t b = 0; b <= a; ++b) values[row.slots[k++]] += w * slopes[a] * slopes[b];
    }
  }
  for (Index j = 0; j < q.beta.size(); ++j) values[q.diagonal[static_cast<std::size_t>(j)]] += q.prior_precision[j];
  q.solver.factorize(q.matrix);
  const Vector change = q.solver.solve(gradient);
  const double largest = change.cwiseAbs().maxCoeff();
  q.beta += change * std::min(1.0, longest_step / largest);
  return largest;
}

void QualitySolver::iterate(double largest_change) {
  for (int i = 0; i < max_steps && step() > largest_change; ++i) {
  }
}

/// The share of each squared residual that is noise of the test and not scatter of the damage, given both variances.
void QualitySolver::update_noise() {
  std::vector<double> squares(noise_.size()), counts(noise_.size());
  for (const auto& row : rows_) {
    if (row.perplexity || !row.used) continue;
    const double eta = log_damage(row);
    const auto e = expected(row, eta);
    const double s2 = scale2(row, e, eta), w = weight(row, e, s2), residual = row.observed - e.value;
    const auto& test = noise_.test(row.test);
    const double per_unit = test.per_question * noise_share(eta) * row.doubt, noise = test.unit * per_unit;
    const double share = noise * noise / s2;
    squares[row.test] += w * std::pow(share * residual / per_unit, 2) + (1 - share) * test.unit * test.unit;
    counts[row.test] += 1;
  }
  noise_.update(squares, counts);
}

double QualitySolver::coefficient(std::size_t column) const { return equations_->beta[static_cast<Index>(column)]; }

double QualitySolver::variance(const std::vector<double>& weights) const {
  const auto v = as_vector(weights);
  return v.dot(equations_->solver.solve(v));
}

double QualitySolver::value(const std::vector<double>& weights) const {
  return as_vector(weights).dot(equations_->beta);
}

}  // namespace advisor
