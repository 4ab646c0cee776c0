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

std::shared_ptr<const Standings> Toolbox::standings(const ScoreTable* table, const Yardstick& yardstick) const {
  if (general_ != nullptr) return general_->standings(table, yardstick);  // of the same models
  const Key key{table ? table->task : "", table ? table->harness : "",
                table ? table->mode : "", yardstick.task,
                yardstick.family,         yardstick.chance};
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = standings_.find(key); found != standings_.end()) return found->second;
  }
  auto made = std::make_shared<Standings>();
  made->models.reserve(catalog.models().size());
  for (const auto& entry : catalog.models()) made->models.push_back(standing(*entry.model, table, yardstick));
  made->cache = pooled.cache(8, yardstick.family);
  const std::scoped_lock lock(mutex_);
  return standings_.try_emplace(key, std::move(made)).first->second;
}

}  // namespace advisor
