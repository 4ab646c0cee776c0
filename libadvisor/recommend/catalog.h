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
#include "recommend/evidence_counts.h"
#include "recommend/treatments.h"
#include "rules/facts.h"

namespace advisor {

/// A treatment that one question asks about, of one model.
struct AskedTreatment {
  TreatmentChoice choice;
  std::string model;  ///< id
  int same_as = -1;   ///< the treatment of the catalog that it is, where the model has it; -1: none
};

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
  bool retrained = false;     ///< somebody published a retrained checkpoint
  double weights_spread = 0;  ///< sd of the bytes of the weights as a share
  double active_params = 0;
  std::optional<KvLayout> kv;
  std::optional<ModelWork> work;  ///< of compressing it
  bool backend = false;           ///< libadvisor's own backend runs it
  PreparedModel quality;
  const SpeedEstimator::Measured* speeds = nullptr;
  FactLayer facts{FactLayerId::model};
  std::vector<Applied> applied;  ///< by treatment
};

/// Of one step of making a treatment; nullptr: the backend cannot, or nothing is known of it.
struct StepWork {
  const TechniqueWork *own = nullptr, *tool = nullptr;
};

struct CatalogTreatment {
  TreatmentChoice choice;
  std::string id_tail;  ///< of the variant's id, after the model
  SchemeInfo scheme;
  std::vector<PreparedTreatment> parts;
  std::optional<EvidenceCount> evidence;  ///< what kind of measurements speaks for it
  const Technique* technique = nullptr;
  FactLayer facts{FactLayerId::treatment};  ///< what holds on all hardware
  /// Facts of each candidate that the treatment alone decides; the rest is left open.
  FactLayer of_candidates{FactLayerId::candidate}, of_estimates{FactLayerId::estimate};
  std::vector<StepWork> work;  ///< of each step of making it
  double kv_value_bytes = 2;
  double kv_bits = 16;
  double upper_bits = 0;    ///< mixed precision: bits per weight of the larger scheme
  bool whole = false;       ///< as published, with a whole cache
  int engine = 0;           ///< into Catalog::engines
  int runs_as = 0;          ///< the first treatment of the same scheme and format on the engine: its terms of speed
  int kept_as = 0;          ///< number of what it does to quality, which engines, formats and tools may share
  int weights_kept_as = 0;  ///< the same of its weights alone, with a whole cache
  std::string only_for{};   ///< asked about: the one model; "" = every model that it makes sense for
  int same_as = -1;         ///< asked about: AskedTreatment::same_as
  /// The work of a step for a model: of libadvisor's backend where it can, unless others are to do it.
  const TechniqueWork* work_of(const CatalogModel& model, std::size_t step, bool by_tool) const {
    if (step >= work.size()) return nullptr;
    return model.backend && !by_tool && work[step].own != nullptr ? work[step].own : work[step].tool;
  }
  bool asked() const { return !only_for.empty(); }
  int stored_as = 0;  ///< the first treatment with the same weights in the same format, whatever the engine and tool
};

using SupportRows = std::vector<const EngineSupport*>;

class Catalog {
 public:
  Catalog(const Knowledge& knowledge, const Estimator& estimator);
  /// The same and, behind its treatments, those that a question asks about.
  Catalog(const Catalog& general, const std::vector<AskedTreatment>& asked);

  const std::vector<CatalogModel>& models() const { return models_; }              ///< by id
  const std::vector<CatalogTreatment>& treatments() const { return treatments_; }  ///< in a fixed order
  std::size_t general_treatments() const { return general_; }  ///< of them, before those that were asked about
  const std::vector<std::string>& engines() const { return engines_; }
  int find(const std::string& model) const;           ///< index, or -1
  int kept() const { return kept_; }                  ///< how many numbers CatalogTreatment::kept_as has
  int weights_kept() const { return weights_kept_; }  ///< and weights_kept_as
  /// That have treatments which were asked about, sorted.
  const std::vector<int>& asked_models() const { return asked_models_; }
  /// Treatments of all models together.
  std::size_t most_cells() const { return most_cells_; }

  /// A model that is in no catalog: a checkpoint at hand. It must outlive the result.
  CatalogModel prepare(const Model& model) const;

  /// Facts of all treatments on a generation of hardware; made when first asked for.
  const std::vector<FactLayer>& facts(const std::string& generation) const;

 private:
  struct Alike;  ///< what is stored alike, and the same with a whole cache
  void add_treatments();
  void add_treatment(TreatmentChoice choice, Alike& alike);
  bool has(const CatalogModel& entry, const CatalogTreatment& treatment) const;
  void apply(CatalogModel& entry, std::size_t treatment, const Layout* layout, const Applied* alike) const;
  /// What the engine matrix says about a treatment on one generation; nullptr: nothing.
  const EngineSupport* support(const CatalogTreatment& treatment, const SupportRows& generation) const;
  void add_published(CatalogModel& entry, std::size_t first) const;

  const Knowledge& knowledge_;
  const Estimator& estimator_;
  std::shared_ptr<const EvidenceCounts> evidence_;
  std::vector<CatalogTreatment> treatments_;
  std::vector<std::string> engines_;
  std::vector<CatalogModel> models_;
  std::vector<int> asked_models_;
  std::size_t general_ = 0;
  std::size_t most_cells_ = 0;
  int kept_ = 0, weights_kept_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::unique_ptr<const std::vector<FactLayer>>> facts_;
};

/// What the engine matrix says about (engine, format, scheme family, generation); nullptr: nothing.
/// Whether the row is about files of this format that hold this scheme. Rows read "<format>:<scheme>", where "W4A16"
/// covers all groups, or the format alone when they speak for all schemes.
bool speaks_for(const EngineSupport& row, const std::string& format, const std::string& scheme);

const EngineSupport* find_support(const Knowledge& knowledge, const Variant& variant, const std::string& generation);

}  // namespace advisor
