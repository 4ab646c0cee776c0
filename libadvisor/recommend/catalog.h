// Everything about models and treatments that no question changes, looked up once: layouts, bytes, prepared quality
// terms, facts for rules, published checkpoints. Built with the toolbox, shared by all threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "estimate/kv_cache.h"
#include "estimate/quality.h"
#include "estimate/weights.h"
#include "recommend/pooled_quality.h"
#include "recommend/treatments.h"
#include "rules/facts.h"

namespace advisor {

class Estimator;

/// A treatment that a model can have.
struct Applied {
  int treatment = 0;                               ///< into Catalog::treatments
  double stored = 0;                               ///< bytes of the weights
  double read = 0;                                 ///< of them for one decode step of one sequence
  double upper_stored = 0, upper_read = 0;         ///< mixed precision: if all layers kept the larger scheme
  const PublishedCheckpoint* published = nullptr;  ///< the best one: official ones first, then by name
};

struct CatalogModel {
  const Model* model = nullptr;
  Native native = Native::sixteen_bit;
  bool has_size = false;   ///< parameters and a layout: its memory can be estimated
  std::string_view basis;  ///< of the layout
  double active_params = 0;
  std::optional<KvLayout> kv;
  PreparedModel quality;
  std::vector<Applied> applied;                           ///< by treatment
  std::vector<const PublishedCheckpoint*> official, qat;  ///< by name
};

struct CatalogTreatment {
  TreatmentChoice choice;
  SchemeInfo scheme;
  std::vector<PreparedTreatment> parts;
  double kv_value_bytes = 2;
  int engine = 0;  ///< into Catalog::engines
};

class Catalog {
 public:
  Catalog(const Knowledge& knowledge, const Estimator& estimator);

  const std::vector<CatalogModel>& models() const { return models_; }              ///< by id
  const std::vector<CatalogTreatment>& treatments() const { return treatments_; }  ///< fixed order
  const std::vector<std::string>& engines() const { return engines_; }
  int find(const std::string& model) const;  ///< index, or -1

  /// The same for a model that is in no catalog: a checkpoint at hand. It must outlive the result.
  CatalogModel prepare(const Model& model) const;

 private:
  const Knowledge& knowledge_;
  const Estimator& estimator_;
  std::vector<CatalogTreatment> treatments_;
  std::vector<std::string> engines_;
  std::vector<CatalogModel> models_;
};

}  // namespace advisor
