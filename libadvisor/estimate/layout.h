// The tensors of a decoder: their roles and shapes, from a checkpoint at hand or counted from the geometry in the
// catalog. What weighs how much under a compression follows from this and nothing else.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/catalog.h"
#include "core/gguf_mix.h"

namespace advisor {

struct Layout {
  std::vector<TensorGroup> groups;
  GgufModel gguf;           ///< what decides the types of a GGUF mix
  double used_experts = 1;  ///< share of the routed experts that one token passes through
  std::string_view basis;   ///< "checkpoint", "geometry" or "parameters"
  double elements() const;
};

/// From the model's own tensors; else counted from geometry when that agrees with the stated size within 5 % (10 % of
/// whole billions: these are names); a vision or audio tower on top of it counts as wide. Otherwise the stated size, of
/// which all but embeddings and head is linear. nullopt: the size is unknown.
std::optional<Layout> layout_of(const Model& model);

/// The geometry alone, whatever size is stated. nullopt: not enough of it, or an architecture whose blocks the catalog
/// does not describe (linear attention, state spaces, per-layer embeddings).
std::optional<Layout> layout_from_geometry(const Model& model);

struct NamedShape {
  std::string name;  ///< as in a Hugging Face checkpoint
  std::vector<std::int64_t> shape;
};
/// Tensors of a checkpoint as groups; equal tensors of consecutive layers are one.
std::vector<TensorGroup> group_tensors(std::span<const NamedShape> tensors);

}  // namespace advisor
