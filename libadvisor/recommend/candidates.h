// What could be done at all: keep, compress, switch, switch and compress, per engine and format. Nothing here looks at
// memory, so that more memory can only ever add options.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "core/profile.h"
#include "core/variant.h"

namespace advisor {

/// A way to store weights, the engines that run it and the tool that makes it.
struct SchemeChoice {
  std::string technique, scheme, format;
  std::vector<std::string> engines;
  double sparsity = 0;
  std::string pattern;
  bool common = false;      ///< also tried on models to switch to
  std::string gguf_type;    ///< libadvisor writes it: the type of the GGUF file
  bool executable = false;  ///< libadvisor makes it today
  std::string tool;         ///< who makes it otherwise
};
const std::vector<SchemeChoice>& scheme_choices();

struct Candidate {
  std::string action;  ///< keep | compress | switch | compress_and_switch
  const Model* model = nullptr;
  const SchemeChoice* choice = nullptr;  ///< nullptr: as published
  Variant variant;
};

/// Engines that are tried: the profile's, or for "any" vLLM and llama.cpp (only the latter off GPUs).
std::vector<std::string> engines_to_try(const Profile& profile, const Device& device);

/// The model as published, for each engine.
std::vector<Candidate> as_published(const Model& model, const std::string& action,
                                    const std::vector<std::string>& engines);
/// Every compression of it, whether or not rules will admit it; only common schemes when `common_only`.
std::vector<Candidate> compressed(const Model& model, const std::string& action,
                                  const std::vector<std::string>& engines, bool common_only);

/// A published checkpoint of this variant; official ones first, then by name. Only the format may differ.
const PublishedCheckpoint* find_published(const Knowledge& knowledge, const Variant& variant);

}  // namespace advisor
