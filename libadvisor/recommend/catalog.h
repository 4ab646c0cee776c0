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
#include "estimate/effort.h"
#include "estimate/estimator.h"
#include "estimate/kv_cache.h"
#include "estimate/offload.h"
#include "recommend/treatments.h"
#include "rules/facts.h"

namespace advisor {

/// A treatment that a model can have.
struct Applied {
  int treatment = 0;                               ///< into Catalog::treatments
  double stored = 0, read = 0;                     ///< bytes of the weights; of them for a decode step of one sequence
  std::shared_ptr<const LayerBytes> layers{};      ///< GGUF: what can move to the host's memory; nullptr: nothing
  double upper_stored = 0, upper_read = 0;         ///< mixed precision: if all layers had the larger scheme
  const PublishedCheckpoint* published = nullptr;  ///< the best one: official ones first, then by name
  const PublishedCheckpoint* official = nullptr;  ///< an official one of this family of schemes, whatever the technique
  const PublishedCheckpoint* qat = nullptr;       ///< a retrained one with weights of at most these bits
};

struct CatalogModel {
  const Model* model = nullptr;
  Native native = Native::sixteen_bit;
  bool has_size = false;      ///< parameters, geometry or tensors: its memory can be estimated
  bool mixture = false;       ///< of experts
  double weights_spread = 0;  ///< sd of the bytes of the weights as a share
  double active_params = 0;
  std::optional<KvLayout> kv;
  std::optional<ModelWork> work;  ///< of compressing it
  PreparedModel quality;
  const SpeedEstimator::Measured* speeds = nullptr;
  FactLayer facts{FactLayerId::model};
  std::vector<Applied> applied;  ///< by treatment
};

struct CatalogTreatment {
  TreatmentChoice choice;
  std::string id_tail;  ///< of the variant's id, after the model
  SchemeInfo scheme;
  std::vector<PreparedTreatment> parts;
  const Technique* technique = nullptr;
  FactLayer facts{FactLayerId::treatment};  ///< what holds on all hardware
  std::vector<const TechniqueWork*> work;   ///< of each step of making it; nullptr: nothing is known of it
  double kv_value_bytes = 2;
  double kv_bits = 16;
  double upper_bits = 0;  ///< mixed precision: bits per weight of the larger scheme
  int engine = 0;         ///< into Catalog::engines
  int base = 0;           ///< the treatment with the same weights and a whole cache
  int kept_as = 0;        ///< number of what it does to quality, which engines, formats and tools may share
  int stored_as = 0;  ///< the first treatment with the same weights in the same format, whatever the engine and tool
};

using SupportRows = std::vector<const EngineSupport*>;

class Catalog {
 public:
  Catalog(const Knowledge& knowledge, const Estimator& estimator);

  const std::vector<CatalogModel>& models() const { return models_; }              ///< by id
  const std::vector<CatalogTreatment>& treatments() const { return treatments_; }  ///< in a fixed order
  const std::vector<std::string>& engines() const { return engines_; }
  int find(const std::string& model) const;  ///< index, or -1
  int kept() const { return kept_; }         ///< how many numbers CatalogTreatment::kept_as has
  /// Treatments of all models together.
  std::size_t most_cells() const { return most_cells_; }

  /// A model that is in no catalog: a checkpoint at hand. It must outlive the result.
  CatalogModel prepare(const Model& model) const;

  /// Facts of all treatments on a generation of hardware; made when first asked for.
  const std::vector<FactLayer>& facts(const std::string& generation) const;

 private:
  void add_treatments();
  /// What the engine matrix says about a treatment on one generation; nullptr: nothing.
  const EngineSupport* support(const CatalogTreatment& treatment, const SupportRows& generation) const;
  void add_published(CatalogModel& entry) const;

  const Knowledge& knowledge_;
  const Estimator& estimator_;
  std::vector<CatalogTreatment> treatments_;
  std::vector<std::string> engines_;
  std::vector<CatalogModel> models_;
  std::size_t most_cells_ = 0;
  int kept_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::unique_ptr<const std::vector<FactLayer>>> facts_;
};

/// What the engine matrix says about (engine, format, scheme family, generation); nullptr: nothing.
const EngineSupport* find_support(const Knowledge& knowledge, const Variant& variant, const std::string& generation);

}  // namespace advisor
