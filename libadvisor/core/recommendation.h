// The answer: outcome, verdict, ranked options, what was rejected and why, what is not known.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/hardware.h"
#include "core/measurement.h"
#include "core/profile.h"
#include "core/recipe.h"
#include "core/variant.h"

namespace advisor {

enum class Outcome { recommended, infeasible, insufficient_evidence };
enum class Verdict { keep, compress, switch_model, compress_and_switch, portfolio };
std::string_view name(Outcome outcome);
std::string_view name(Verdict verdict);  ///< "keep", "compress", "switch", "compress_and_switch", "portfolio"

/// A rule or measurement that spoke for or against something.
struct Evidence {
  std::string kind;  ///< rule, measurement, prediction, comparison, published_checkpoint
  std::string id;    ///< rule id, source id
  std::string text;  ///< filled-in reason
  std::vector<std::string> sources;
};

struct MemoryEstimate {
  double total = 0, weights = 0, kv_cache = 0, overhead = 0;  ///< bytes over all devices
  double available = 0;                                       ///< bytes usable by the engine over all devices
  std::string basis;                                          ///< "checkpoint", "geometry" or "parameters"
  std::int64_t context = 0, concurrency = 1;                  ///< what was assumed
  double activations = 0;  ///< of the overhead: what a step computes with; the rest is the engine's own
  double weights_sd = 0, kv_cache_sd = 0, overhead_sd = 0, available_sd = 0;  ///< standard deviations, bytes
  std::string assumed{};               ///< the engine and settings that the overhead is for
  std::vector<std::string> sources{};  ///< of the overhead
};

struct QualityEstimate {
  std::string task;
  Estimate value;                     ///< absolute score, fraction of 1, when the baseline is known
  std::optional<Estimate> retention;  ///< value / uncompressed value
  std::optional<double> probability;  ///< P(the accuracy limit is met)
};

struct Option {
  int rank = 0;
  std::string action;  ///< keep | compress | switch | compress_and_switch
  Variant variant;
  std::optional<std::string> published_checkpoint;
  MemoryEstimate memory;
  std::optional<QualityEstimate> quality;
  std::optional<Estimate> decode_tokens_per_second, ttft_seconds, usd_per_hour, usd_per_million_tokens;
  std::vector<std::string> steps;
  std::optional<Recipe> recipe;
  std::map<std::string, std::string> launch;
  std::string decided_by;  ///< the comparison that put it ahead of the next
  std::vector<Evidence> evidence;
  std::vector<std::string> warnings;
};

struct Rejection {
  std::string action, model, scheme, engine, format;
  std::string code;  ///< memory|rule|quality|latency|budget|licence|engine|modality
  std::string rule;  ///< rule id; empty for a limit
  std::string because;
  std::optional<std::string> memory_detail;
};

/// Something that is not known, and what would decide it.
struct Gap {
  std::string subject, needs;
};

struct Counterfactual {
  std::string field, from, to;
  std::string then_verdict;
};

struct Recommendation {
  Outcome outcome = Outcome::insufficient_evidence;
  std::optional<Verdict> verdict;
  Profile profile;                              ///< as it was used, defaults applied
  Hardware hardware;                            ///< as it was used
  std::map<std::string, std::string> defaults;  ///< field -> value, for each default that was applied
  std::vector<Option> options;
  std::vector<Rejection> rejections;
  std::vector<Counterfactual> counterfactuals;
  std::vector<Gap> gaps;
  std::string knowledge_digest;
  std::int64_t knowledge_rules = 0, knowledge_measurements = 0;
};

}  // namespace advisor
