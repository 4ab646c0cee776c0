#include "estimate/scores_fit.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

namespace advisor {

namespace {

using Vector = Eigen::VectorXd;

/// Coordinate ascent with a fixed number of sweeps: predictions on models left out differ by less than 0.1 points
/// between 40 and 300.
constexpr int sweeps = 80;
constexpr int sweeps_before_discrimination = 10;
/// A factorised posterior lets variances that are confounded collapse, here those of tables and of a model's bent for
/// a family; held at what gives the best log score on models and cells left out (0.1 and 0.03 among 0 to 0.3 tried).
constexpr double least_variance = 1e-3, least_of_tables = 0.1, least_of_model_family = 0.03, least_of_ability = 0.01;

/// A random effect: which level each of its rows has, and the posterior of each level.
struct Effect {
  std::string name;
  std::vector<std::string> levels;
  std::vector<Eigen::Index> of;
  Vector value, variance;
  double spread = 0.1;  ///< variance of the levels
  double least = least_variance;

  void index(const std::vector<std::string>& level_of_row) {
    const std::set<std::string> distinct(level_of_row.begin(), level_of_row.end());
    levels.assign(distinct.begin(), distinct.end());
    for (const auto& level : level_of_row)
      of.push_back(std::lower_bound(levels.begin(), levels.end(), level) - levels.begin());
    value = Vector::Zero(static_cast<Eigen::Index>(levels.size()));
    variance = value;
  }

  /// Posterior of every level from residuals without this effect; leaves residuals with it.
  void update(Vector& residual, const Vector& precision) {
    Vector weight = Vector::Constant(value.size(), 1 / spread), sum = Vector::Zero(value.size());
    for (Eigen::Index i = 0; i < residual.size(); ++i) {
      const auto level = of[static_cast<std::size_t>(i)];
      residual[i] += value[level];
      weight[level] += precision[i];
      sum[level] += precision[i] * residual[i];
    }
    variance = weight.cwiseInverse();
    value = sum.cwiseProduct(variance);
    for (Eigen::Index i = 0; i < residual.size(); ++i) residual[i] -= value[of[static_cast<std::size_t>(i)]];
    spread = std::max(least, (value.cwiseAbs2() + variance).mean());
  }
};

class ScoreFit {
 public:
  ScoreFit(const Knowledge& knowledge, std::vector<ScoreRow> rows) : rows_(std::move(rows)) {
    index_models(knowledge);
    index_rows();
    for (int sweep = 0; sweep < sweeps; ++sweep) step(sweep >= sweeps_before_discrimination);
  }

  std::vector<FittedTerm> terms() const;

 private:
  void index_models(const Knowledge& knowledge);
  void index_rows();
  void step(bool with_discrimination);
  void update_abilities(Vector& residual, const Vector& precision);
  void update_discriminations(Vector& residual, const Vector& precision);
  void rescale_abilities(double by);
  void update_regression();
  void reweigh(const Vector& residual);
  void add_effect(const Effect& effect, bool of_rows, std::vector<FittedTerm>& out) const;
  FittedTerm term(std::string name, std::string level, double value, double variance,
                  const std::vector<std::size_t>& rows) const;
  Eigen::Index model(Eigen::Index row) const { return model_.of[static_cast<std::size_t>(row)]; }
  Eigen::Index task(Eigen::Index row) const { return task_of_[static_cast<std::size_t>(row)]; }

  std::vector<ScoreRow> rows_;
  Effect model_;  ///< levels and rows of models; value and variance are the abilities
  std::vector<Traits> traits_;
  Eigen::MatrixXd x_;
  std::vector<Effect> effects_, abilities_;
  std::vector<Eigen::Index> task_of_;
  Vector y_, known_noise_, weight_;
  double intercept_ = 0, residual_ = 0.1;
  Vector discrimination_, discrimination_variance_;
  double discrimination_spread_ = 0.05;
  Vector slope_, prior_;
  Eigen::MatrixXd slope_covariance_;
};

void ScoreFit::index_models(const Knowledge& knowledge) {
  std::map<std::string, const Model*> catalog;
  for (const auto& model : knowledge.models) catalog[model.id] = &model;
  std::map<std::string, double> stated;  // sizes that tables give of models outside the catalog
  for (const auto& row : knowledge.quality)
    if (row.params) stated[row.model] = std::max(stated[row.model], *row.params);
  std::vector<std::string> of_row;
  std::set<std::string> closed;
  for (const auto& row : rows_) {
    of_row.push_back(row.model);
    if (row.closed) closed.insert(row.model);
  }
  model_.index(of_row);
  std::vector<std::array<std::string, ability_effects.size()>> levels;
  for (const auto& id : model_.levels) {
    Model unlisted;
    unlisted.id = id;
    if (const auto size = stated.find(id); size != stated.end()) unlisted.params = size->second;
    const auto found = catalog.find(id);
    traits_.push_back(traits_of(found == catalog.end() ? unlisted : *found->second, closed.contains(id)));
    levels.push_back(trait_levels(traits_.back()));
  }
  const auto n = static_cast<Eigen::Index>(traits_.size());
  x_.resize(n, static_cast<Eigen::Index>(Traits::count));
  for (Eigen::Index i = 0; i < n; ++i)
    for (std::size_t k = 0; k < Traits::count; ++k)
      x_(i, static_cast<Eigen::Index>(k)) = traits_[static_cast<std::size_t>(i)].x[k];
  for (std::size_t e = 0; e < ability_effects.size(); ++e) {
    std::vector<std::string> column;
    for (const auto& level : levels) column.push_back(level[e]);
    abilities_.emplace_back().name = ability_effects[e];
    abilities_.back().index(column);
  }
  model_.spread = 0.3;
  model_.least = least_of_ability;
  slope_ = Vector::Zero(x_.cols());
  prior_ = Vector::Zero(n);
}

void ScoreFit::index_rows() {
  const auto n = static_cast<Eigen::Index>(rows_.size());
  y_.resize(n);
  known_noise_.resize(n);
  weight_ = Vector::Ones(n);
  std::array<std::vector<std::string>, score_effects.size()> columns;
  for (Eigen::Index i = 0; i < n; ++i) {
    const auto& row = rows_[static_cast<std::size_t>(i)];
    y_[i] = score_to_logit(row.value, row.chance);
    const double share = std::clamp((row.value - row.chance) / (1 - row.chance), row.chance > 0 ? 0.03 : 0.01, 0.99);
    known_noise_[i] = std::pow(test_noise / (1 - row.chance) / (share * (1 - share)), 2);
    const auto levels = score_levels(row, traits_[static_cast<std::size_t>(model(i))].specialty);
    for (std::size_t e = 0; e < levels.size(); ++e) columns[e].push_back(levels[e]);
  }
  for (std::size_t e = 0; e < columns.size(); ++e) {
    auto& effect = effects_.emplace_back();
    effect.name = score_effects[e];
    effect.index(columns[e]);
    if (effect.name == "task") task_of_ = effect.of;
    if (effect.name == "table") effect.least = least_of_tables;
    if (effect.name == "model_family") effect.least = effect.spread = least_of_model_family;
  }
  const auto tasks = effects_[1].value.size();
  discrimination_ = Vector::Ones(tasks);
  discrimination_variance_ = Vector::Zero(tasks);
  intercept_ = y_.mean();
}

void ScoreFit::step(bool with_discrimination) {
  const Vector precision = weight_.cwiseQuotient((known_noise_.array() + residual_).matrix());
  Vector residual = y_.array() - intercept_;
  for (Eigen::Index i = 0; i < residual.size(); ++i) {
    residual[i] -= discrimination_[task(i)] * model_.value[model(i)];
    for (const auto& effect : effects_) residual[i] -= effect.value[effect.of[static_cast<std::size_t>(i)]];
  }
  const double shift = residual.dot(precision) / precision.sum();
  intercept_ += shift;
  residual.array() -= shift;
  update_abilities(residual, precision);  // before a model's bent for a family, which is what ability leaves
  for (auto& effect : effects_) effect.update(residual, precision);
  if (with_discrimination) update_discriminations(residual, precision);
  update_regression();
  reweigh(residual);
}

void ScoreFit::update_abilities(Vector& residual, const Vector& precision) {
  Vector weight = Vector::Constant(prior_.size(), 1 / model_.spread), sum = prior_ / model_.spread;
  for (Eigen::Index i = 0; i < residual.size(); ++i) {
    const double slope = discrimination_[task(i)];
    residual[i] += slope * model_.value[model(i)];
    weight[model(i)] += precision[i] * (slope * slope + discrimination_variance_[task(i)]);
    sum[model(i)] += precision[i] * slope * residual[i];
  }
  model_.variance = weight.cwiseInverse();
  model_.value = sum.cwiseProduct(model_.variance);
  for (Eigen::Index i = 0; i < residual.size(); ++i) residual[i] -= discrimination_[task(i)] * model_.value[model(i)];
}

/// Normal around 1. Their mean is held at 1: otherwise they grow while the abilities shrink, sweep by sweep, because
/// the two fit the scores through their product only.
void ScoreFit::update_discriminations(Vector& residual, const Vector& precision) {
  Vector weight = Vector::Constant(discrimination_.size(), 1 / discrimination_spread_), sum = weight;
  for (Eigen::Index i = 0; i < residual.size(); ++i) {
    const double ability = model_.value[model(i)];
    residual[i] += discrimination_[task(i)] * ability;
    weight[task(i)] += precision[i] * (ability * ability + model_.variance[model(i)]);
    sum[task(i)] += precision[i] * ability * residual[i];
  }
  discrimination_variance_ = weight.cwiseInverse();
  discrimination_ = sum.cwiseProduct(discrimination_variance_);
  rescale_abilities(discrimination_.mean());
  for (Eigen::Index i = 0; i < residual.size(); ++i) residual[i] -= discrimination_[task(i)] * model_.value[model(i)];
  discrimination_spread_ =
      std::max(least_variance, ((discrimination_.array() - 1).square() + discrimination_variance_.array()).mean());
}

/// The same predictions with abilities `by` times as large.
void ScoreFit::rescale_abilities(double by) {
  discrimination_ /= by;
  discrimination_variance_ /= by * by;
  for (auto* linear : {&model_.value, &prior_, &slope_}) *linear *= by;
  for (auto& effect : abilities_) effect.value *= by;
  model_.variance *= by * by;
  model_.spread *= by * by;
}

/// Abilities on what is known of a model before any score of it.
void ScoreFit::update_regression() {
  Vector rest = model_.value - prior_;
  const Vector precision = Vector::Constant(rest.size(), 1 / model_.spread);
  for (auto& effect : abilities_) effect.update(rest, precision);
  rest += x_ * slope_;
  // A normal prior of standard deviation 10 on slopes: they are of order 1, and some columns may be all zero.
  const Eigen::MatrixXd information =
      x_.transpose() * x_ / model_.spread + 0.01 * Eigen::MatrixXd::Identity(x_.cols(), x_.cols());
  slope_covariance_ = information.inverse();
  slope_ = slope_covariance_ * (x_.transpose() * rest) / model_.spread;
  rest -= x_ * slope_;
  prior_ = model_.value - rest;
  const Vector doubt = (x_ * slope_covariance_).cwiseProduct(x_).rowwise().sum();
  model_.spread = std::max(least_of_ability, (rest.cwiseAbs2() + model_.variance + doubt).mean());
}

/// Weights of a Student t residual, and its scale (expectation maximisation with the known part of the noise).
void ScoreFit::reweigh(const Vector& residual) {
  double sum = 0;
  for (Eigen::Index i = 0; i < residual.size(); ++i) {
    const double ability = model_.value[model(i)], doubt = model_.variance[model(i)];
    const double slope = discrimination_[task(i)], slope_doubt = discrimination_variance_[task(i)];
    double square = residual[i] * residual[i] + slope * slope * doubt + slope_doubt * (ability * ability + doubt);
    for (const auto& effect : effects_) square += effect.variance[effect.of[static_cast<std::size_t>(i)]];
    const double total = residual_ + known_noise_[i], share = residual_ / total;
    weight_[i] = (score_residual_df + 1) / (score_residual_df + square / total);
    sum += weight_[i] * share * share * square + share * known_noise_[i];
  }
  residual_ = std::max(least_variance, sum / static_cast<double>(residual.size()));
}

FittedTerm ScoreFit::term(std::string name, std::string level, double value, double variance,
                          const std::vector<std::size_t>& rows) const {
  std::set<std::string> sources;
  for (const auto row : rows) sources.insert(rows_[row].sources.begin(), rows_[row].sources.end());
  return {"scores",
          std::move(name),
          std::move(level),
          value,
          std::sqrt(variance),
          static_cast<std::int64_t>(rows.size()),
          {sources.begin(), sources.end()}};
}

void ScoreFit::add_effect(const Effect& effect, bool of_rows, std::vector<FittedTerm>& out) const {
  std::vector<std::vector<std::size_t>> members(effect.levels.size());
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const auto index = of_rows ? row : static_cast<std::size_t>(model(static_cast<Eigen::Index>(row)));
    members[static_cast<std::size_t>(effect.of[index])].push_back(row);
  }
  for (std::size_t level = 0; level < effect.levels.size(); ++level) {
    const auto i = static_cast<Eigen::Index>(level);
    out.push_back(term(effect.name, effect.levels[level], effect.value[i], effect.variance[i], members[level]));
    if (effect.name == "task")
      out.push_back(term("discrimination", effect.levels[level], discrimination_[i], discrimination_variance_[i],
                         members[level]));
  }
  out.push_back(term("spread", effect.name, std::sqrt(effect.spread), 0, {}));
}

std::vector<FittedTerm> ScoreFit::terms() const {
  std::vector<FittedTerm> out;
  for (const auto& effect : effects_) add_effect(effect, true, out);
  for (const auto& effect : abilities_) add_effect(effect, false, out);
  Effect ability = model_;
  ability.name = "ability";
  add_effect(ability, true, out);
  out.push_back(term("spread", "discrimination", std::sqrt(discrimination_spread_), 0, {}));
  out.push_back(term("spread", "residual", std::sqrt(residual_), 0, {}));
  out.push_back(term("intercept", "", intercept_, 0, {}));
  std::set<double> sizes;
  for (const auto& traits : traits_)
    if (traits.params) sizes.insert(std::log(*traits.params));
  if (!sizes.empty()) {
    out.push_back(term("ln_params", "least", *sizes.begin(), 0, {}));
    out.push_back(term("ln_params", "most", *sizes.rbegin(), 0, {}));
  }
  for (Eigen::Index k = 0; k < slope_.size(); ++k)
    out.push_back(term("slope", Traits::names[static_cast<std::size_t>(k)], slope_[k], slope_covariance_(k, k), {}));
  return out;
}

}  // namespace

std::array<std::string, score_effects.size()> score_levels(const ScoreRow& row, const std::string& specialty) {
  return {row.family,
          row.task,
          row.harness,
          row.task + "|" + row.harness,
          row.mode,
          row.mode + "|" + row.family,
          row.model + "|" + row.family,
          specialty + "|" + row.family};
}

std::array<std::string, ability_effects.size()> trait_levels(const Traits& traits) {
  return {traits.developer, traits.lineage, traits.kind, traits.specialty};
}

std::vector<FittedTerm> fit_scores(const Knowledge& knowledge) {
  auto rows = score_rows(knowledge, ScoreRows::shipped);
  if (rows.empty()) return {};
  std::map<std::string, std::set<std::string>> tables;
  for (const auto& score : knowledge.scores)
    if (comparable(score) && score.recorded.empty())
      tables[score.task + "|" + score.harness + "|" + score.mode].insert(score.model);
  auto terms = ScoreFit(knowledge, std::move(rows)).terms();
  for (const auto& [table, models] : tables)
    terms.push_back({"scores", "scored", table, 0, 0, static_cast<std::int64_t>(models.size()), {}});
  return terms;
}

}  // namespace advisor
