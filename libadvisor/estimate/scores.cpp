#include "estimate/scores.h"

#include <algorithm>
#include <map>
#include <utility>

namespace advisor {

namespace {

/// Two runs of one harness on one model differ by about a point (versions, seeds, prompts).
constexpr double repeat_sd = 0.01;

bool usable(const Score& score) {
  return (score.metric_kind == "proportion" || score.metric_kind == "similarity") && !score.closed &&
         score.suspect.empty() && score.value >= 0 && score.value <= 1;
}

}  // namespace

ScoreTables::ScoreTables(const Knowledge& knowledge) {
  std::map<Key, std::map<std::string, std::vector<const Score*>>> rows;
  for (const auto& score : knowledge.scores)
    if (usable(score)) rows[Key{score.task, score.harness, score.mode}][score.model].push_back(&score);
  for (auto& [key, models] : rows) {
    auto& table = tables_[key];
    for (auto& [model, scores] : models) {
      // Several rows (numbers of shots, metrics) of one model: the middle one, so that no order can matter.
      std::sort(scores.begin(), scores.end(), [](const Score* a, const Score* b) {
        return std::tie(a->value, a->url, a->locator) < std::tie(b->value, b->url, b->locator);
      });
      const auto* middle = scores[scores.size() / 2];
      const double spread = (scores.back()->value - scores.front()->value) / 2;
      table.models[model] = {middle->value, std::max(repeat_sd, spread), middle->url};
      table.family = middle->family;
    }
  }
}

std::optional<ScoreTable> ScoreTables::choose(const std::string& model, const Yardstick& yardstick) const {
  const Key* best = nullptr;
  std::pair<bool, std::size_t> best_rank{false, 0};
  for (const auto& [key, table] : tables_) {
    const bool fits = yardstick.task.empty() ? table.family == yardstick.family : std::get<0>(key) == yardstick.task;
    if (!fits) continue;
    const std::pair rank{table.models.contains(model), table.models.size()};
    if (best == nullptr || rank > best_rank) best = &key, best_rank = rank;
  }
  if (best == nullptr) return std::nullopt;
  return ScoreTable{std::get<0>(*best), std::get<1>(*best), std::get<2>(*best)};
}

std::optional<Baseline> ScoreTables::baseline(const std::string& model, const ScoreTable& table) const {
  const auto found = tables_.find(Key{table.task, table.harness, table.mode});
  if (found == tables_.end()) return std::nullopt;
  const auto row = found->second.models.find(model);
  if (row == found->second.models.end()) return std::nullopt;
  return row->second;
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
