// Speed by a two-term roofline: t = bytes / (η · bandwidth) + c. η is pooled from measured single-stream rows per
// engine, kind of hardware and weight bits; c is a time per layer (kernel launches), per engine. Prefill is bound by
// arithmetic. Every answer is pooled in efficiency space (measured / roofline), so that it carries over to other
// models.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "core/knowledge.h"
#include "core/variant.h"
#include "estimate/distribution.h"
#include "estimate/pooling.h"
#include "estimate/prediction.h"

namespace advisor {

/// What the machine has to do. Closed loop: `concurrency` requests are always under way. Open loop: requests arrive at
/// a rate, and at most `concurrency` are worked on at once.
struct Load {
  std::int64_t input_tokens = 1024, output_tokens = 256, concurrency = 1;
  double requests_per_second = 0;  ///< 0: closed loop
  std::int64_t requests = 0;       ///< in the whole run; 0: steady state
};

struct Rate {
  Distribution log;  ///< of the logarithm
  Basis basis = Basis::prior;
  std::int64_t rows = 0;
  std::vector<std::string> sources;
  Estimate estimate() const { return to_log_estimate(log, basis, rows, sources); }
};

struct SpeedCase;

class SpeedEstimator {
 public:
  explicit SpeedEstimator(const Knowledge& knowledge);

  /// Output tokens per second of all sequences together. nullopt: bandwidth or size unknown.
  std::optional<Rate> decode(const Model& model, const Variant& variant, const Hardware& hardware, Load load) const;
  /// Seconds to the first token of one prompt, without queueing. nullopt: no rate for the dtype, size unknown.
  std::optional<Rate> first_token(const Model& model, const Variant& variant, const Hardware& hardware,
                                  Load load) const;

  /// The quantity that a measured case asks for, in the space of its `observed`.
  std::optional<Prediction> predict(const SpeedCase& question) const;

 private:
  using Cell = std::tuple<std::string, std::string, int>;  ///< engine, kind of hardware ("" = any), bits class
  using Exact = std::tuple<std::string, std::string, std::string, int>;  ///< model, hardware, engine, weight bits
  struct Run {
    double log_rate;
    std::int64_t concurrency, count;
    std::string source;
  };
  struct Efficiency {
    Distribution log;
    std::int64_t rows = 0;
    std::vector<std::string> sources;
  };
  static std::optional<Efficiency> efficiency(const std::map<Cell, std::vector<Sample>>& cells,
                                              const std::string& engine, const std::string& kind, int bits);
  void add_row(const SpeedMeasurement& row, const Model& model, const Device& device);
  std::map<Cell, std::vector<Sample>> decode_, prefill_;
  std::map<Exact, std::vector<Run>> exact_;
};

}  // namespace advisor
