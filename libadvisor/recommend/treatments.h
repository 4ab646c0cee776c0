// What can be done to a model, whatever the model: ways to store weights and cache, the engines that run them and the
// tools that make them. Nothing here looks at memory, so that more memory can only ever add options.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/hardware.h"
#include "core/knowledge.h"
#include "core/profile.h"
#include "core/recipe.h"
#include "core/variant.h"

namespace advisor {

/// What the publisher ships.
enum class Native : std::uint8_t { sixteen_bit, fp8, mxfp4 };
Native native_of(const Model& model);

enum class Origin : std::uint8_t {
  as_published,  ///< the publisher's own weights, for llama.cpp converted
  made,          ///< compressed by a tool, or by somebody who published the result
  found          ///< retrained for these bits: only as somebody published it
};

/// A tool's part in it, in order of execution.
struct MakingStep {
  std::string kind;                ///< prune, sparsify, quantize, convert, quantize_kv
  std::string technique;           ///< data/techniques.csv
  std::string tool;                ///< who does it where libadvisor's backend does not
  std::optional<Recipe> recipe{};  ///< by which the backend does it
};

struct TreatmentChoice {
  Variant variant;  ///< without a model
  Origin origin = Origin::made;
  Native native = Native::sixteen_bit;  ///< of as_published: what it is the form of
  std::vector<MakingStep> steps;
  /// What each step does to quality is estimated for it alone and multiplied; empty: nothing is lost.
  std::vector<Variant> parts;
  bool quantized_kv = false;  ///< is one of the factors, beside `parts`
  std::string upper{};        ///< mixed precision: the scheme of the layers that keep more bits than variant.scheme
  /// By which the backend makes all of it, of models that it runs (backend.h); nullptr: it cannot.
  const Recipe* recipe() const;
  std::string kind() const;  ///< none, quantization, pruning or mixed, as rules read it
};

/// The publisher's own weights on an engine.
TreatmentChoice as_published(const std::string& engine, Native native);

/// The same with another KV cache; below 16 bits that is a step of its own.
void set_cache(TreatmentChoice& choice, const std::string& kv);

/// Every treatment, in a fixed order: as published, then by technique. `knowledge` adds the forms in which retrained
/// checkpoints are published.
std::vector<TreatmentChoice> all_treatments(const Knowledge& knowledge);

/// Engines that are tried: the profile's, or for "any" those that run on such a device.
std::vector<std::string> engines_to_try(const Profile& profile, const Device& device);

/// Whether the treatment makes sense for what the publisher ships: nothing is quantized upwards, and only 16-bit
/// weights are pruned.
bool applies(const TreatmentChoice& choice, Native native);

/// A published checkpoint holds this variant (the engine may differ). Several schemes of one row are joined by ';'.
bool holds(const PublishedCheckpoint& row, const TreatmentChoice& choice);

}  // namespace advisor
