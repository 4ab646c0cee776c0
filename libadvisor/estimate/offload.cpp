#include "estimate/offload.h"

#include <algorithm>
#include <array>

namespace advisor {

namespace {

using Role = TensorRole;

/// Outside the blocks, or of a tower that llama.cpp loads apart.
bool is_of_a_layer(const TensorGroup& group) {
  return group.role != Role::embedding && group.role != Role::head && group.role != Role::wide;
}

/// The stated size without layers' shapes: what is linear is shared out evenly.
void spread_evenly(double bytes, std::vector<double>& by_layer) {
  for (auto& layer : by_layer) layer += bytes / static_cast<double>(by_layer.size());
}

}  // namespace

std::string_view name(OffloadKind kind) {
  static constexpr std::array<std::string_view, 3> names{"none", "experts", "layers"};
  return names[static_cast<std::size_t>(kind)];
}

std::optional<LayerBytes> layer_bytes(const Layout& layout, const WeightFormat& format) {
  const auto layers = layout.gguf.layers;
  if (layers <= 0 || layers > 10000) return std::nullopt;
  const bool mixture = layout.used_experts < 1;
  const bool routed =
      std::any_of(layout.groups.begin(), layout.groups.end(), [](const TensorGroup& group) { return group.routed; });
  if (mixture && !routed) return std::nullopt;
  LayerBytes bytes;
  bytes.kind = mixture ? OffloadKind::experts : OffloadKind::layers;
  bytes.used = mixture ? layout.used_experts : 1;
  std::vector<double> by_layer(static_cast<std::size_t>(layers), 0);
  for (const auto& group : layout.groups) {
    if (group.role == Role::embedding)
      (layout.gguf.tied ? bytes.copy : bytes.embedding) += stored_bytes(group, layout, format);
    if (!is_of_a_layer(group) || group.routed != mixture) continue;
    if (layout.basis == "parameters" && !group.routed) {
      spread_evenly(stored_bytes(group, layout, format), by_layer);
      continue;
    }
    auto one = group;
    one.layers = 1;
    for (auto layer = group.first_layer; layer < std::min(group.first_layer + group.layers, layers); ++layer) {
      one.first_layer = layer;
      by_layer[static_cast<std::size_t>(layer)] += stored_bytes(one, layout, format);
    }
  }
  bytes.moved.reserve(by_layer.size() + 1);
  bytes.moved.push_back(0);
  for (const double layer : by_layer) bytes.moved.push_back(bytes.moved.back() + layer);
  bytes.largest = *std::max_element(by_layer.begin(), by_layer.end());
  return bytes;
}

Placement place(const LayerBytes& bytes, std::int64_t layers) {
  Placement placed;
  placed.of = bytes.layers();
  placed.layers = std::clamp<std::int64_t>(layers, 0, placed.of);
  if (placed.layers == 0) return placed;
  placed.kind = bytes.kind;
  const double moved = bytes.moved[static_cast<std::size_t>(placed.layers)];
  placed.left = moved + bytes.embedding;
  placed.host_weights = placed.left + bytes.copy;
  placed.host_read = moved * bytes.used;
  placed.host_rest = moved - placed.host_read;
  if (bytes.kind == OffloadKind::layers)
    placed.cache_share = static_cast<double>(placed.layers) / static_cast<double>(placed.of);
  placed.staging = bytes.largest;
  return placed;
}

std::optional<Placement> placement(const Model& model, const Variant& variant, const HostShare& host) {
  const auto layout = layout_of(model);
  const auto bytes = layout ? layer_bytes(*layout, weight_format(variant, model)) : std::nullopt;
  return bytes ? std::optional(place(*bytes, host.layers)) : std::nullopt;
}

double usable_host_memory(const Hardware& hardware) {
  return has_host_memory(hardware) ? 0.9 * hardware.host_memory.value_or(0) : 0;
}

}  // namespace advisor
