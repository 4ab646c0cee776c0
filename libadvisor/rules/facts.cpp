#include "rules/facts.h"

#include "core/error.h"

namespace advisor {
namespace {

/// Where the slots of each layer are.
struct Layout {
  std::array<int, fact_layers + 1> first{};
  std::vector<std::uint8_t> layer_of;
  std::vector<TypeKind> kinds;

  Layout() {
    const Vocabulary& names = vocabulary();
    for (std::size_t slot = 0; slot < names.size(); ++slot) {
      const int layer = names.at(static_cast<int>(slot)).layer;
      if (!layer_of.empty() && layer < layer_of.back()) {
        throw Error(ErrorCode::internal, "the vocabulary is not ordered by layer");
      }
      layer_of.push_back(static_cast<std::uint8_t>(layer));
      kinds.push_back(names.at(static_cast<int>(slot)).type.kind);
      for (std::size_t next = static_cast<std::size_t>(layer) + 1; next < first.size(); ++next)
        first[next] = static_cast<int>(slot) + 1;
    }
  }
};

const Layout& layout() {
  static const Layout layout;
  return layout;
}

[[noreturn]] void misuse(const std::string& path, const std::string& what) {
  throw Error(ErrorCode::internal, "fact \"" + path + "\" " + what);
}

}  // namespace

std::string_view name(FactLayerId layer) {
  constexpr std::array<std::string_view, fact_layers> names{"query", "model", "treatment", "candidate", "estimate"};
  return names[static_cast<std::size_t>(layer)];
}

int fact_slot(std::string_view path) {
  const int slot = vocabulary().slot(path);
  if (slot < 0) misuse(std::string(path), "is not declared");
  return slot;
}

FactLayer::FactLayer(FactLayerId id) : id_(id), kinds_(layout().kinds.data()) {
  const std::size_t layer = static_cast<std::size_t>(id);
  first_ = layout().first[layer];
  values_.resize(static_cast<std::size_t>(layout().first[layer + 1] - first_));
}

void FactLayer::refuse(int slot) const {
  const Symbol& symbol = vocabulary().at(slot);
  if (symbol.layer != static_cast<int>(id_)) misuse(symbol.path, "is not of the layer " + std::string(name(id_)));
  misuse(symbol.path, "has another type");
}

void FactLayer::set(int slot, Value value) {
  const auto place = static_cast<std::size_t>(slot - first_);
  if (place >= values_.size() || value.index() != static_cast<std::size_t>(kinds_[slot])) refuse(slot);
  values_[place] = std::move(value);
}

void FactLayer::clear(int slot) {
  const auto place = static_cast<std::size_t>(slot - first_);
  if (place >= values_.size()) refuse(slot);
  values_[place].reset();
}

void FactLayer::clear() {
  for (std::optional<Value>& value : values_) value.reset();
}

Facts::Facts() : layer_of_(layout().layer_of.data()) {}

void Facts::use(const FactLayer& layer) { layers_[static_cast<std::size_t>(layer.id())] = &layer; }

const Value* Facts::at(int slot) const {
  const FactLayer* layer = layers_[layer_of_[slot]];
  return layer == nullptr ? nullptr : layer->at(slot);
}

FactSheet::FactSheet() {
  for (std::size_t layer = 0; layer < fact_layers; ++layer) layers_.emplace_back(static_cast<FactLayerId>(layer));
}

void FactSheet::use(FactLayer layer) { layers_[static_cast<std::size_t>(layer.id())] = std::move(layer); }

const Value* FactSheet::at(int slot) const {
  return layers_[layout().layer_of[static_cast<std::size_t>(slot)]].at(slot);
}

Facts FactSheet::facts() const {
  Facts facts;
  for (const FactLayer& layer : layers_) facts.use(layer);
  return facts;
}

FactLayer& FactSheet::owner(std::string_view path) {
  return layers_[layout().layer_of[static_cast<std::size_t>(fact_slot(path))]];
}

}  // namespace advisor
