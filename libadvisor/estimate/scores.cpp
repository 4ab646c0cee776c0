#include "estimate/scores.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "estimate/ability.h"
#include "estimate/fits.h"
#include "estimate/score_rows.h"
#include "estimate/scores_fit.h"

namespace advisor {

namespace {

Baseline measured_baseline(double value, double half_spread, std::vector<std::string> sources, std::string how) {
  Baseline baseline;
  baseline.value = value;
  baseline.sd = std::max(repeat_sd, half_spread);
  baseline.n = static_cast<std::int64_t>(sources.size());
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  baseline.sources = std::move(sources);
  baseline.low = baseline.quantile(0.05);
  baseline.high = baseline.quantile(0.95);
  baseline.how = std::move(how);
  return baseline;
}

}  // namespace

ScoreTables::ScoreTables(const Knowledge& knowledge) {
  for (const auto& model : knowledge.models) models_.emplace(model.id, model);
  std::vector<FittedTerm> fitted;
  auto terms = terms_of(knowledge.fits, "scores");
  if (terms.empty()) terms = fitted = fit_scores(knowledge);
  abilities_ = std::make_unique<AbilityModel>(terms, knowledge.tasks);
  std::map<std::string, std::string> families;
  for (const auto& task : knowledge.tasks) families[task.id] = task.family;
  for (const auto& term : terms) {
    if (term.term != "scored") continue;
    const auto first = term.level.find('|'), last = term.level.rfind('|');
    const auto task = term.level.substr(0, first);
    auto& table = tables_[Key{task, term.level.substr(first + 1, last - first - 1), term.level.substr(last + 1)}];
    table.size = static_cast<std::size_t>(term.rows);
    table.family = families[task];
  }
  read_scores(knowledge);
  read_recorded(knowledge);
}

ScoreTables::~ScoreTables() = default;

void ScoreTables::read_scores(const Knowledge& knowledge) {
  std::map<Key, std::map<std::string, std::vector<const Score*>>> rows;
  for (const auto& score : knowledge.scores)
    if (comparable(score)) rows[Key{score.task, score.harness, score.mode}][score.model].push_back(&score);
  for (auto& [key, models] : rows) {
    auto& table = tables_[key];
    for (auto& [model, scores] : models) {
      // Several rows (numbers of shots, metrics) of one model: the middle one, so that no order can matter.
      std::sort(scores.begin(), scores.end(), [](const Score* a, const Score* b) {
        return std::tie(a->value, a->url, a->locator) < std::tie(b->value, b->url, b->locator);
      });
      const auto* middle = scores[scores.size() / 2];
      std::vector<std::string> sources;
      for (const auto* score : scores) sources.push_back(score->url);
      auto baseline =
          measured_baseline(middle->value, (scores.back()->value - scores.front()->value) / 2, std::move(sources),
                            middle->recorded.empty() ? "published score" : "measured here on " + middle->recorded);
      baseline.source = middle->url;
      table.models[model] = std::move(baseline);
      table.family = middle->family;
    }
    table.size = std::max(table.size, table.models.size());
  }
}

/// The user's own scores: a table of their own, and one more row for the ability of the model.
void ScoreTables::read_recorded(const Knowledge& knowledge) {
  for (const auto& row : score_rows(knowledge, ScoreRows::recorded)) {
    auto& table = tables_[Key{row.task, row.harness, row.mode}];
    auto baseline = measured_baseline(row.value, 0, row.sources, "measured here on " + row.recorded);
    baseline.source = row.sources.front();
    table.models[row.model] = std::move(baseline);
    table.family = row.family;
    table.size = std::max(table.size, table.models.size());
    Model unlisted;
    unlisted.id = row.model;
    const auto model = models_.find(row.model);
    abilities_->learn(row, model == models_.end() ? unlisted : model->second);
  }
}

std::optional<ScoreTable> ScoreTables::choose(const std::string& model, const Yardstick& yardstick) const {
  // Next to nothing right says nothing about what compression takes: a point of noise is a tenth of ten points.
  constexpr double floor = 0.1;
  const Key* best = nullptr;
  std::tuple<bool, bool, std::size_t> best_rank;
  for (const auto& [key, table] : tables_) {
    const bool fits = yardstick.task.empty() ? table.family == yardstick.family : std::get<0>(key) == yardstick.task;
    if (!fits) continue;
    const auto own = table.models.find(model);
    const bool scored = own != table.models.end();
    const std::tuple rank{scored, scored && own->second.value >= floor, table.size};
    if (best == nullptr || rank > best_rank) best = &key, best_rank = rank;
  }
  if (best != nullptr) return ScoreTable{std::get<0>(*best), std::get<1>(*best), std::get<2>(*best)};
  if (abilities_->knows_task(yardstick.task)) return ScoreTable{yardstick.task, "", ""};
  return std::nullopt;
}

const Baseline* ScoreTables::measured(const std::string& model, const ScoreTable& table) const {
  const auto found = tables_.find(Key{table.task, table.harness, table.mode});
  if (found == tables_.end()) return nullptr;
  const auto row = found->second.models.find(model);
  return row == found->second.models.end() ? nullptr : &row->second;
}

std::optional<ScoreTable> ScoreTables::choose(const Model& model, const Task& task) const {
  const auto scored = [&](const std::optional<ScoreTable>& table) {
    const auto own = table ? baseline(model, *table) : std::nullopt;
    return own && !own->predicted();
  };
  const bool type = task.kind == "type";
  auto named = choose(model.id, {type ? task.benchmark : task.id, task.family, 0});
  if (!type || scored(named)) return named;
  auto family = choose(model.id, {"", task.family, 0});
  return scored(family) || !named ? family : named;
}

std::optional<Baseline> ScoreTables::baseline(const Model& model, const ScoreTable& table) const {
  if (const auto* score = measured(model.id, table)) return *score;
  return abilities_->predict(model, table);
}

std::optional<Baseline> ScoreTables::baseline(const std::string& model, const ScoreTable& table) const {
  if (const auto found = models_.find(model); found != models_.end()) return baseline(found->second, table);
  if (const auto* score = measured(model, table)) return *score;
  return std::nullopt;
}

std::vector<std::string> ScoreTables::ranked(const ScoreTable& table) const {
  std::vector<std::pair<double, std::string>> order;
  const auto found = tables_.find(Key{table.task, table.harness, table.mode});
  if (found != tables_.end())
    for (const auto& [model, baseline] : found->second.models) order.emplace_back(-baseline.value, model);
  std::sort(order.begin(), order.end());
  std::vector<std::string> models;
  for (auto& [value, model] : order) models.push_back(std::move(model));
  return models;
}

}  // namespace advisor
