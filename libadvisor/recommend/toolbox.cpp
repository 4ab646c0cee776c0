#include "recommend/toolbox.h"

#include <utility>

#include "estimate/cost.h"
#include "estimate/score_value.h"

namespace advisor {

std::optional<Distribution> weights_kept(const Estimator& estimator, const CatalogModel& model,
                                         const CatalogTreatment& treatment, const PreparedTask& task) {
  Distribution kept{1, 0, 30};
  for (std::size_t i = 0; i < treatment.parts.size(); ++i) {
    const auto part = estimator.quality().numbers(model.quality, treatment.parts[i], task);
    if (!part) return std::nullopt;
    kept = i == 0 ? part->distribution : kept.times(part->distribution);
  }
  return kept;
}

Toolbox::Shared::Shared(const Knowledge& snapshot)
    : estimator(snapshot), pooled(snapshot), rules(RuleSet::compile(snapshot.rules)) {}

Toolbox::Toolbox(const Knowledge& snapshot)
    : own_(std::make_unique<const Shared>(snapshot)),
      knowledge(snapshot),
      estimator(own_->estimator),
      pooled(own_->pooled),
      rules(own_->rules),
      catalog(snapshot, estimator) {
  for (const auto& task : snapshot.tasks) tasks[task.id] = &task;
}

Toolbox::Toolbox(const Toolbox& general, const std::vector<AskedTreatment>& asked)
    : general_(&general),
      knowledge(general.knowledge),
      estimator(general.estimator),
      pooled(general.pooled),
      rules(general.rules),
      catalog(general.catalog, asked),
      tasks(general.tasks) {}

Standing Toolbox::standing(const Model& model, const ScoreTable* table, const Yardstick& yardstick) const {
  Standing standing;
  Yardstick own = yardstick;
  if (table != nullptr) {
    standing.baseline = estimator.scores().baseline(model, *table);
    if (const auto& baseline = standing.baseline) {
      standing.known = true, standing.predicted = baseline->predicted();
      standing.value = baseline->value;
      standing.below = sd_below(*baseline), standing.above = sd_above(*baseline);
      standing.low = baseline->low, standing.high = baseline->high;
      own.baseline = baseline->value;
    }
  }
  standing.task = estimator.quality().prepare(own);
  return standing;
}

const std::optional<Estimate>& Toolbox::price(const Hardware& hardware) const {
  if (general_ != nullptr) return general_->price(hardware);
  const std::scoped_lock lock(mutex_);
  const std::pair key{hardware.device.id, hardware.count};
  auto known = prices_.find(key);
  if (known == prices_.end()) known = prices_.emplace(key, hourly_cost(knowledge, hardware, {})).first;
  return known->second;
}

const WeightsKept& Toolbox::kept(const Standings& standings, int model) const {
  if (general_ != nullptr) return general_->kept(standings, model);  // of the treatments that all questions share
  auto& kept = standings.kept[static_cast<std::size_t>(model)];
  std::call_once(kept.once, [&] {
    const auto& entry = catalog.models()[static_cast<std::size_t>(model)];
    const auto& task = standings.models[static_cast<std::size_t>(model)].task;
    kept.weights.resize(static_cast<std::size_t>(catalog.weights_kept()));
    std::vector<char> done(kept.weights.size());
    for (const auto& applied : entry.applied) {
      const auto& treatment = catalog.treatments()[static_cast<std::size_t>(applied.treatment)];
      const auto number = static_cast<std::size_t>(treatment.weights_kept_as);
      if (treatment.choice.origin == Origin::found || !treatment.choice.upper.empty()) continue;
      if (!std::exchange(done[number], 1)) kept.weights[number] = weights_kept(estimator, entry, treatment, task);
    }
  });
  return kept.weights;
}

std::shared_ptr<const Standings> Toolbox::standings(const ScoreTable* table, const Yardstick& yardstick,
                                                    std::optional<int> only) const {
  if (general_ != nullptr) return general_->standings(table, yardstick, only);  // of the same models
  Key key{table ? table->task : "",
          table ? table->harness : "",
          table ? table->mode : "",
          yardstick.task,
          yardstick.family,
          yardstick.chance,
          std::nullopt};
  const std::scoped_lock lock(mutex_);
  if (const auto all = standings_.find(key); all != standings_.end()) return all->second;
  std::get<std::optional<int>>(key) = only;
  auto& known = standings_[key];
  if (known) return known;
  auto made = std::make_shared<Standings>();
  const auto& models = catalog.models();
  made->models.resize(models.size());
  made->kept = std::vector<Standings::Kept>(models.size());
  for (int i = 0; i < static_cast<int>(models.size()); ++i)
    if (!only || i == *only)
      made->models[static_cast<std::size_t>(i)] =
          standing(*models[static_cast<std::size_t>(i)].model, table, yardstick);
  made->cache = pooled.cache(8, yardstick.family);
  return known = std::move(made);
}

}  // namespace advisor
