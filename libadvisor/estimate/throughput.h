// Speeds of a variant on a machine: tokens per second, time to the first token, time per token. The formula is in
// speed_model.h, its terms are fitted in speed_fit.h; here they are looked up, and corrected by what was measured of
// the very model with the engine on the device: exact setups outweigh the fit, other formats, counts and loads the
// less the farther.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/variant.h"
#include "estimate/distribution.h"
#include "estimate/offload_fit.h"
#include "estimate/prediction.h"
#include "estimate/speed_levels.h"
#include "estimate/speed_model.h"
#include "estimate/speed_table.h"

namespace advisor {

struct Rate {
  Distribution log;  ///< of the logarithm
  Basis basis = Basis::prior;
  std::int64_t rows = 0;
  std::vector<std::string> sources;
  std::string engine_version;  ///< of the newest row that speaks; empty when none states one
  std::string how;             ///< one sentence on what it rests on
  Estimate estimate() const { return to_log_estimate(log, basis, rows, sources); }
};

struct SpeedCase;
struct SpeedRow;

class SpeedEstimator {
 public:
  explicit SpeedEstimator(const Knowledge& knowledge);

  /// nullopt everywhere: bandwidth or size unknown, or nothing was ever measured with the engine.
  /// Output tokens per second of all sequences together, prompts not counted.
  std::optional<Rate> decode(const Model& model, const Variant& variant, const Hardware& hardware, Load load) const;
  /// The same with the time for the prompts counted: what a machine under load puts out.
  std::optional<Rate> throughput(const Model& model, const Variant& variant, const Hardware& hardware, Load load) const;
  /// Prompt tokens per second.
  std::optional<Rate> prefill(const Model& model, const Variant& variant, const Hardware& hardware, Load load) const;
  /// Seconds to the first token: alone, behind half a batch, or in the queue of an open loop.
  std::optional<Rate> first_token(const Model& model, const Variant& variant, const Hardware& hardware,
                                  Load load) const;
  /// Seconds between two tokens of one stream, the prompts of the others included.
  std::optional<Rate> time_per_token(const Model& model, const Variant& variant, const Hardware& hardware,
                                     Load load) const;

  /// Several of these questions about one setup, which is looked up once.
  struct Asked {
    SpeedQuantity quantity = SpeedQuantity::decode;
    double requests_per_second = 0;  ///< in place of the load's
  };
  std::vector<std::optional<Rate>> rates(const Model& model, const Variant& variant, const Hardware& hardware,
                                         const Load& load, std::span<const Asked> questions) const;

  /// The quantity that a measured case asks for, in the space of its `observed`.
  std::optional<Prediction> predict(const SpeedCase& question) const;

  /// The plain numbers under the five questions above, for those who ask a million of them: the terms of a setup are
  /// resolved once, then each answer is arithmetic (spread: held-out, of the kind of question on that engine).
  std::optional<SpeedSetup> setup(const Model& model, const Variant& variant, const Hardware& hardware) const;
  SpeedSpread spread(const SpeedWork& work, SpeedQuantity quantity, const std::string& engine) const;
  /// ln of the seconds.
  static Distribution answer(const SpeedWork& work, const SpeedSetup& setup, SpeedQuantity quantity,
                             const SpeedSpread& spread);

  /// A treatment on a machine with all its names resolved, for models of one kind (mixtures of experts or not).
  struct Site {
    SpeedLevels levels;
    SpeedSetup setup;
    std::array<SpeedSpread, 9> spreads{};  ///< by kind of question, as in speed_kinds
  };
  std::optional<Site> site(const Variant& variant, const Hardware& hardware, bool mixture) const;
  /// What was measured of a model with an engine on a device; nullptr: nothing. Belongs to the estimator.
  struct Observation;
  using Observations = std::vector<Observation>;
  using Measured = std::map<std::pair<std::string, std::string>, Observations>;  ///< by engine and device
  const Measured* measured(const std::string& model) const;
  static const Observations* observations(const Measured* measured, const SpeedLevels& levels);
  /// The same questions with a part of the weights in the host's memory. Nothing that was measured of the model with
  /// all of it on the device corrects them.
  std::vector<std::optional<Rate>> with_host(const Model& model, const Variant& variant, const Hardware& hardware,
                                             const Load& load, std::span<const Asked> questions,
                                             const Placement& placed) const;
  /// How fast weights in the host's memory are; nullopt: nothing was measured, or the machine has none.
  const OffloadTable& offload() const { return offload_; }
  /// As the five questions answer, corrections by `own` included: ln of tokens per second, or of seconds.
  static Distribution numbers(const Site& site, const SpeedWork& work, SpeedQuantity quantity, const Observations* own);

 private:
  struct Near;
  void learn(const SpeedRow& row);
  void remember(const SpeedRow& row, const std::string& model, const std::string& recorded);
  static Near nearby(const Observations& own, const SpeedLevels& levels, const std::string& kind, const SpeedWork& work,
                     double share, bool words);
  static void correct(Distribution& prior, const Near& near);
  Rate ask(const Measured* measured, const SpeedSetup& setup, const SpeedRow& question) const;
  std::optional<Rate> ask(const Model& model, const Variant& variant, const Hardware& hardware, const Load& load,
                          SpeedQuantity quantity) const;

  SpeedTable table_;
  OffloadTable offload_;
  std::map<std::string, Measured> measured_;  ///< by model
};

struct SpeedEstimator::Observation {
  SpeedLevels levels;
  Load load;
  double count = 1;
  SpeedQuantity quantity = SpeedQuantity::decode;
  double residual = 0;
  bool prompts = false;  ///< a time to the first token
  std::string source, kind, version, recorded;
};

}  // namespace advisor
