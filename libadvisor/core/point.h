// One deployable state of a model on one machine under one load, and all that is known about it: what
// `advisor estimate` asks and gets. A decision looks at many of these.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/profile.h"
#include "core/variant.h"

namespace advisor {

/// The question in a user's words. Of the profile it uses model, hardware and workload.
struct PointRequest {
  Profile profile;
  Variant variant;                     ///< model and engine may be empty: those of the profile
  std::vector<std::string> tasks;      ///< task types or benchmarks; empty = nothing is said about quality
  std::optional<double> usd_per_hour;  ///< the user's own price of the whole machine; wins over the catalog's
  std::optional<double> utilisation;   ///< share of the hour in which tokens are produced
  double level = 0.9;                  ///< of the intervals
};

/// One number with its interval and what it rests on, or the reason why there is none.
struct NamedEstimate {
  std::string name;  ///< "quality.value", "memory.total", "decode_tokens_per_second" ...
  std::string task;  ///< of a quality; empty otherwise
  std::string unit;  ///< "fraction", "bytes", "seconds", "tokens/s", "USD/h", "USD/1e6 tokens", "probability"
  std::optional<Estimate> estimate;
  std::string how;      ///< what the estimate rests on, in a sentence
  std::string missing;  ///< without an estimate: what would be needed
};

/// A rule that fires for the point.
struct PointRule {
  std::string rule, kind, code;  ///< kind: forbid | warn
  std::string task;              ///< that it fires for; empty: whatever the task
  std::string because;
  std::vector<std::string> sources;
};

struct PointEstimate {
  PointRequest request;  ///< every default filled in
  Hardware hardware;
  std::map<std::string, std::string> defaults;  ///< what nobody asked for, as used
  std::vector<NamedEstimate> estimates;
  std::vector<PointRule> rules;  ///< what forbids first, then by id
  std::vector<std::string> warnings;
  std::string knowledge_digest;
};

}  // namespace advisor
