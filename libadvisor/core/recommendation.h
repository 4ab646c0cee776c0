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

/// What lies in the host's memory because the devices have no room for it, and what of llama.cpp's settings puts it
/// there.
struct HostShare {
  std::string kind;                                ///< "experts": --n-cpu-moe; "layers": the first ones, whole
  std::int64_t layers = 0, of = 0;                 ///< how many of how many
  double weights = 0, kv_cache = 0, overhead = 0;  ///< bytes
  double available = 0;                            ///< bytes that the host leaves for it
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
  std::optional<HostShare> host{};     ///< the other numbers are of the devices alone then
};

struct QualityEstimate {
  std::string task;
  Estimate value;                     ///< absolute score, fraction of 1, when the baseline is known
  std::optional<Estimate> retention;  ///< value / uncompressed value
  std::optional<double> probability;  ///< P(the accuracy limit is met)
};

/// One step on the way from the model in use to an option.
struct PlanStep {
  std::string kind;     ///< switch_model, use_published, prune, sparsify, quantize, convert, quantize_kv, serve
  std::string text;     ///< what to do, in a sentence
  std::string command;  ///< the command that does it; empty where there is none
  std::optional<Estimate> hours;
  std::optional<double> usd, peak_memory;  ///< money and bytes that the step itself takes
};

/// A way to an option that no other way beats in quality, hours, money and memory of the job at once.
struct PlanRoute {
  std::vector<PlanStep> steps;
  std::optional<Estimate> hours;           ///< of all steps
  std::optional<double> usd, peak_memory;  ///< sum, and the largest of the steps
};

struct Option {
  int rank = 0;
  std::string action;  ///< keep | compress | switch | compress_and_switch
  Variant variant;
  std::optional<std::string> published_checkpoint;
  MemoryEstimate memory;
  std::optional<QualityEstimate> quality;
  std::optional<Estimate> decode_tokens_per_second, ttft_seconds, tpot_seconds, usd_per_hour, usd_per_million_tokens;
  std::map<std::string, double> probabilities;  ///< limit -> chance that it is met: memory, accuracy, ttft, tpot ...
  PlanRoute route;                              ///< the one that is advised
  std::vector<PlanRoute> other_routes;          ///< not dominated, other order of preference
  std::vector<std::string> steps;               ///< the sentences of `route`
  std::optional<Recipe> recipe;
  std::map<std::string, std::string> launch;  ///< engine settings that make the estimates true
  std::string launch_command;                 ///< the same as one command line
  std::string apply_command, verify_command;  ///< make it, and prove it; empty where libadvisor cannot
  std::string decided_by;                     ///< the comparison that put it ahead of the next
  std::vector<Evidence> evidence;
  std::vector<std::string> warnings;
};

/// Options that meet every limit but are no better than another in anything that counts.
struct Dominated {
  std::string by;                     ///< variant id of the option that is at least as good in everything
  std::vector<std::string> variants;  ///< their ids
};

struct Rejection {
  std::string action, model, scheme, engine, format;
  std::string code;  ///< memory|rule|quality|latency|budget|licence|engine|modality
  std::string rule;  ///< rule id; empty for a limit
  std::string because;
  std::optional<std::string> memory_detail;
  std::int64_t count = 1;  ///< variants with the same cause
};

enum class Judgement { option, dominated, rejected, undecided };
std::string_view name(Judgement judgement);  ///< as it is spelled

/// What became of a variant that the profile asks about (Profile::consider).
struct Answered {
  std::string asked;  ///< as in the profile, in short
  std::string task;   ///< of a portfolio: the task that it was judged for; empty otherwise
  Judgement judgement = Judgement::undecided;
  int option = 0;          ///< its rank; of a dominated one that of the option that is at least as good in everything
  std::string code, rule;  ///< of a rejected one, as in Rejection
  std::string because;     ///< the place of an option, what beats it, why it was rejected, or what is missing
  std::vector<std::string> also;  ///< what else speaks against a rejected one
  Option judged;                  ///< the variant with estimates as far as they were made, probabilities and warnings
};

/// Something that is not known, and what would decide it.
struct Gap {
  std::string subject, needs;
};

/// A change of one field of the profile that changes the outcome; tried by deciding again.
struct Counterfactual {
  std::string field, from, to;  ///< `to` as set_field() reads it
  std::string then_verdict;
  std::string then_variant{};  ///< id of the first option after the change
  std::string text{};          ///< "with 3.1 GiB more memory per device"
};

/// What to measure when the evidence does not suffice, most telling first.
struct NextMeasurement {
  std::string model, technique, scheme, task;
  double probability = 0;  ///< that the result decides in favour of this option
  std::string because;     ///< what it would settle
  std::string command;     ///< how to do it with advisor, where that is possible
};

/// Which option serves which task of a portfolio.
struct Assignment {
  std::string task;                 ///< as in the profile: type or benchmark
  double share = 1;                 ///< of all requests, fraction of 1
  int option = 0;                   ///< rank of the option that serves it
  std::optional<Estimate> quality;  ///< absolute score, where known
  std::optional<double> probability;
  std::string because;
};

/// Send a request to the small option when a router is at least this sure that it suffices.
struct RoutingThreshold {
  std::string task;
  int small = 0, large = 0;                                 ///< ranks of options
  double share_small = 0;                                   ///< of the task's requests that may go to the small one
  std::optional<Estimate> quality, usd_per_million_tokens;  ///< expected of the mixture
  std::string because;
};

struct Recommendation {
  Outcome outcome = Outcome::insufficient_evidence;
  std::optional<Verdict> verdict;
  Profile profile;                              ///< as it was used, defaults applied
  Hardware hardware;                            ///< as it was used
  std::map<std::string, std::string> defaults;  ///< field -> value, for each default that was applied
  std::vector<Option> options;
  std::vector<Dominated> dominated;
  std::vector<Rejection> rejections;
  std::vector<Answered> answered;  ///< in the order of Profile::consider
  std::vector<Counterfactual> counterfactuals;
  std::vector<Gap> gaps;
  std::vector<NextMeasurement> measure;
  std::vector<Assignment> assignments;
  std::vector<RoutingThreshold> routing;
  std::int64_t models_considered = 0, variants_considered = 0, variants_feasible = 0;
  std::string knowledge_digest;
  std::int64_t knowledge_rules = 0, knowledge_measurements = 0;
};

}  // namespace advisor
