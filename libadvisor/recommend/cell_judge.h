// One candidate after the other against rules and estimates, as numbers. What is the same for the whole question, for a
// treatment or for a model is looked up once; between two cells of one model there is arithmetic only.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "estimate/effort.h"
#include "estimate/memory.h"
#include "recommend/accuracy.h"
#include "recommend/cells.h"
#include "recommend/question.h"
#include "recommend/toolbox.h"

namespace advisor {

class CellJudge {
 public:
  /// Both must outlive it. Not for several threads: each makes its own.
  CellJudge(const Toolbox& tools, const Question& question);
  /// Of another question about the device of `like`, however much memory it has: how treatments run there is known
  /// from it. nullptr: as above.
  CellJudge(const Toolbox& tools, const Question& question, const CellJudge* like);

  /// Forbids whatever the variant, by rules about the profile and about the question alone.
  const std::vector<const RuleSource*>& profile_rules() const { return profile_rules_; }

  /// The following cells are of this model. Returns the rule that forbids it whatever the treatment; nullptr: none.
  const RuleSource* enter(int model);
  /// The treatments of the model that run on an engine that is tried, and those that were asked about; each once.
  bool is_tried(const Applied& applied) const;
  Action action_of(const Applied& applied) const;
  Cell judge(const Applied& applied);
  void judge(const Applied& applied, Cell& cell);  ///< the same in place; `cell` is new
  /// Whether judge() of it would for certain neither be feasible nor come before `best` in quality. Decides on quality
  /// alone, so it costs a fraction of judge().
  bool is_behind(const Applied& applied, const Objectives& best);
  /// The same of all treatments of a model at once, which need not be entered.
  bool is_behind(int model, const Objectives& best) const;
  /// The uncompressed model on the yardstick.
  Accuracy uncompressed(int model) const;

  /// The same candidate once more, with all its facts for rules in words.
  const Facts& facts_of(const Cell& cell);
  const QualityWords& quality() const { return shown_.quality; }  ///< of the last facts_of()
  const Facts& facts() const { return facts_; }                   ///< of the model that was entered last
  /// What rules about the profile read: as it was given, without the default limit.
  Findings profile_findings();
  const Applied& applied(const Cell& cell) const;
  const std::optional<Estimate>& usd_per_hour() const { return price_; }
  const std::optional<JobRates>& job_rates() const { return rates_; }
  /// Of the last cell.
  const MemoryNumbers& memory() const { return memory_; }
  /// What of it lies with the host; layers 0: nothing.
  const Placement& placed() const { return placed_; }
  std::optional<HostShare> host_share() const;
  Distribution host_need() const;  ///< bytes of it; 0 where nothing lies there

 private:
  struct EngineSide {
    bool tried = false, offloads = false;
    UsableMemory usable;
    std::int64_t prefill = 0;
    EngineTraits traits;
    // of the model at hand
    bool entered = false;
    EngineBuffers overhead;
    struct Cache {
      double value_bytes = 0, bytes = 0;
    };
    std::array<Cache, 2> caches{};  ///< of the last two types of cache
    bool speeds_asked = false;
    const SpeedEstimator::Observations* speeds = nullptr;  ///< what was measured of it here
    std::optional<double> whole_decode;  ///< tokens per second of the uncompressed model, where it fits
  };
  struct Prefilter {
    bool asked = false;
    const RuleSource* rule = nullptr;
    RuleMask open;  ///< can still fire when the model is known
  };
  using Site = std::optional<SpeedEstimator::Site>;
  struct Sites {
    std::unique_ptr<const Site> of[2];  ///< of dense models, of mixtures of experts; nullptr: not asked yet
  };

  void check_profile();
  EngineSide& side_of(const CatalogTreatment& treatment);
  double weights_of(const CatalogTreatment& treatment, const Applied& applied, EngineSide& side, Cell& cell);
  double cache_bytes(const CatalogTreatment& treatment, EngineSide& side);
  double chance_of_memory(const CatalogTreatment& treatment, double weights, EngineSide& side);
  double chance_of(const MemoryTerms& terms);
  bool make_room(const Applied& applied, Cell& cell);
  const RuleSource* treatment_rule(const Applied& applied);
  const RuleSource* candidate_rule(const Applied& applied, Action action);
  void set_model(bool current);
  void set_candidate(const Applied& applied, Action action);
  /// `wanted`: only these, by slot; nullptr: all.
  void set_estimates(const Cell& cell, const EngineSide& side, const std::vector<char>* wanted);
  /// Of the model at hand under a treatment: all that follows from what is left of its score.
  struct Quality {
    std::optional<Distribution> recovery;
    Accuracy accuracy;
    Objectives objectives;  ///< quality and predicted
    bool is_of(int wanted) const { return model && *model == wanted; }
    std::optional<int> model{};
  };
  const Quality& quality_of(const Applied& applied, double mixed_bits);
  void judge_quality(const Applied& applied, Cell& cell);
  Objectives quality_of(int model, const Accuracy& accuracy) const;
  void judge_speed(const CatalogTreatment& treatment, const Applied& applied, EngineSide& side, Cell& cell);
  void judge_effort(const CatalogTreatment& treatment, const Applied& applied, Cell& cell);
  std::optional<Distribution> hours_of(const CatalogTreatment& treatment, double bytes, bool by_tool) const;
  void judge_cost(Cell& cell);
  const SpeedEstimator::Site* site(const Applied& applied);

  const Toolbox& tools_;
  const Question& q_;
  const std::vector<FactLayer>& treatment_facts_;
  FactLayer query_facts_, given_facts_;
  FactLayer candidate_facts_{FactLayerId::candidate}, estimate_facts_{FactLayerId::estimate};
  Facts facts_;
  std::vector<const RuleSource*> profile_rules_;
  std::vector<EngineSide> sides_;
  std::vector<char> tried_;  ///< by treatment: on an engine that is tried, or asked about
  std::vector<Prefilter> prefilters_;
  RuleMask open_question_;                     ///< what the question leaves of the rules about models
  RuleMask open_pairs_;                        ///< of those that are asked of a model and a treatment together
  RuleMask read_candidate_;                    ///< those that read what set_candidate() sets
  RuleMask asked_model_, open_model_;          ///< of the model at hand: those asked so far, and what it leaves of them
  RuleMask open_;                              ///< of the pair
  std::vector<char> read_of_estimates_;        ///< by slot: what forbids that the question leaves read of estimates
  std::shared_ptr<std::vector<Sites>> sites_;  ///< by treatment
  std::vector<Quality> qualities_;             ///< by CatalogTreatment::kept_as
  std::optional<Estimate> price_;
  std::optional<JobRates> rates_;
  Load load_;
  MemoryTerms terms_;  ///< of the last cell, all of it on the devices
  MemoryNumbers memory_;
  struct Shown {
    int model = own_model, treatment = -1;
    QualityWords quality;
  } shown_;  ///< whose facts are all set
  Placement placed_;
  double host_usable_ = 0;
  std::array<std::optional<HostRates>, 3> host_rates_{};  ///< by OffloadKind
  int model_ = own_model;
  const CatalogModel* entry_ = nullptr;
  const Applied* described_ = nullptr;  ///< whose candidate facts are set
  Action described_action_ = Action::keep;
  std::optional<OffloadKind> told_placement_;  ///< that the facts of the estimate state
};

}  // namespace advisor
