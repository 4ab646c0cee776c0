#include "recommend/toolbox.h"

#include "estimate/score_value.h"

namespace advisor {

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
  for (int i = 0; i < static_cast<int>(models.size()); ++i)
    if (!only || i == *only)
      made->models[static_cast<std::size_t>(i)] =
          standing(*models[static_cast<std::size_t>(i)].model, table, yardstick);
  made->cache = pooled.cache(8, yardstick.family);
  return known = std::move(made);
}

}  // namespace advisor
