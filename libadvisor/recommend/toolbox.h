// Everything that a decision needs and that no question changes: one estimator, compiled rules, the prepared catalog.
// Built once per knowledge; const, and safe to share between threads.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/knowledge.h"
#include "estimate/estimator.h"
#include "recommend/catalog.h"
#include "recommend/pooled_quality.h"
#include "rules/rule_set.h"

namespace advisor {

/// Where an uncompressed model stands on the yardstick of a question, as numbers.
struct Standing {
  std::optional<Baseline> baseline;  ///< the same in words
  bool known = false, predicted = false;
  double value = 0;             ///< fraction of 1
  double below = 0, above = 0;  ///< standard deviation to either side
  double low = 0, high = 0;     ///< central 90 %
  PreparedTask task;            ///< what compression does to it there
};

/// What is left of one model on the yardstick, by CatalogTreatment::weights_kept_as; nullopt: nobody can say. Only what
/// the model's own treatments of fixed bits leave is told, and nothing of retrained checkpoints.
using WeightsKept = std::vector<std::optional<Distribution>>;
/// The product of what the parts of a treatment leave.
std::optional<Distribution> weights_kept(const Estimator& estimator, const CatalogModel& model,
                                         const CatalogTreatment& treatment, const PreparedTask& task);

/// Of all models of the catalog, in its order.
struct Standings {
  std::vector<Standing> models;
  const Retention* cache = nullptr;  ///< what a KV cache of 8 bits leaves on such tasks
  /// What is left of each model, worked out when somebody first asks.
  struct Kept {
    std::once_flag once;
    WeightsKept weights;
  };
  mutable std::vector<Kept> kept;
};

struct Toolbox {
  explicit Toolbox(const Knowledge& snapshot);
  /// The same with treatments that one question asks about; shares all else with `general`, which must outlive it.
  Toolbox(const Toolbox& general, const std::vector<AskedTreatment>& asked);
  Toolbox(const Toolbox&) = delete;

 private:
  struct Shared {
    explicit Shared(const Knowledge& snapshot);
    const Estimator estimator;
    const PooledQuality pooled;
    const RuleSet rules;
  };
  const std::unique_ptr<const Shared> own_;
  const Toolbox* const general_ = nullptr;

 public:
  const Knowledge& knowledge;
  const Estimator& estimator;
  const PooledQuality& pooled;
  const RuleSet& rules;
  const Catalog catalog;
  std::map<std::string, const Task*> tasks;
  /// Looked up when first asked for. `only`: of this model of the catalog (own_model: of none); where no switch may
  /// come, nobody asks for the others.
  std::shared_ptr<const Standings> standings(const ScoreTable* table, const Yardstick& yardstick,
                                             std::optional<int> only = {}) const;
  /// What people pay for such a machine an hour, looked up once for each.
  const std::optional<Estimate>& price(const Hardware& hardware) const;
  /// Of a model of the catalog.
  const WeightsKept& kept(const Standings& standings, int model) const;
  Standing standing(const Model& model, const ScoreTable* table, const Yardstick& yardstick) const;

 private:
  mutable std::map<std::pair<std::string, std::int64_t>, std::optional<Estimate>> prices_;  ///< by device and count
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, double, std::optional<int>>;
  mutable std::mutex mutex_;
  mutable std::map<Key, std::shared_ptr<const Standings>> standings_;
};

}  // namespace advisor
