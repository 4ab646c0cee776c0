// What rules may read: the vocabulary with types, and the values, in layers.
//
// Prefix = who says it: profile.<field of the field table> (the user), task.* (data/tasks.csv), model.*, hardware.*
// (catalog, probe or explicit numbers), variant.* (the state under judgement), technique.*, engine.* (catalogs), plan.*
// and published.* (how it is reached), memory.*, quality.*, speed.*, cost.*, effort.* (the estimates).
//
// A decision looks at millions of candidates that differ in little. So facts are kept in layers, from what is the same
// for the whole question to what is new in each candidate, and the facts of a candidate are five pointers.
//
// Unknown stays unknown, with one exception: a missing rate of a hardware generation that is known to lack the unit
// (FP8 before Ada, FP4 before Blackwell, ...) is 0, because catalogs leave the cell blank for exactly that reason.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/catalog.h"
#include "core/hardware.h"
#include "core/knowledge.h"
#include "core/profile.h"
#include "core/variant.h"
#include "expr/expr.h"

namespace advisor {

enum class FactLayerId : std::uint8_t {
  query,      ///< profile.*, hardware.*, task.*
  model,      ///< model.*
  treatment,  ///< variant.* but variant.model, technique.*, engine.*
  candidate,  ///< variant.model, plan.*, published.*
  estimate    ///< memory.*, quality.*, speed.*, cost.*, effort.*
};
inline constexpr std::size_t fact_layers = 5;
std::string_view name(FactLayerId layer);

/// Every fact a rule may read, except those that derive rules add. Symbol::layer is a FactLayerId.
const Vocabulary& vocabulary();

/// The slot of a fact, to be asked once for what is set a million times. Throws internal when there is no such fact.
int fact_slot(std::string_view path);

/// Values of one layer.
class FactLayer {
 public:
  explicit FactLayer(FactLayerId id);
  FactLayerId id() const { return id_; }
  /// From now on what is not set may still come: known() of it is undecided, as of a layer that is not there.
  void leave_open() { open_ = true; }
  bool is_open() const { return open_; }
  /// Throws internal when the layer has no such fact or gives it another type.
  void set(std::string_view path, Value value) { set(fact_slot(path), std::move(value)); }
  void set(std::string_view path, const char* text) { set(path, Value(std::string(text))); }
  void set(int slot, Value value);
  /// The same for what is set a million times: a number or a condition takes the place of the one before.
  void set(int slot, double number) { set_plain(slot, number, TypeKind::number); }
  void set(int slot, bool condition) { set_plain(slot, condition, TypeKind::boolean); }
  void clear(std::string_view path) { clear(fact_slot(path)); }  ///< makes it unknown again
  void clear(int slot);
  void clear();                    ///< all of them
  const Value* at(int slot) const  ///< nullptr = unknown; `slot` must be of this layer
  {
    const std::optional<Value>& value = values_[static_cast<std::size_t>(slot - first_)];
    return value ? &*value : nullptr;
  }

 private:
  template <typename Plain>
  void set_plain(int slot, Plain plain, TypeKind kind) {
    const auto place = static_cast<std::size_t>(slot - first_);  // of a slot before the first: beyond the last
    if (place >= values_.size() || kinds_[slot] != kind) refuse(slot);
    auto& value = values_[place];
    if (auto* before = value ? std::get_if<Plain>(&*value) : nullptr) {
      *before = plain;
    } else {
      value.emplace(plain);
    }
  }
  [[noreturn]] void refuse(int slot) const;

  FactLayerId id_;
  bool open_ = false;
  int first_;              ///< slots of a layer are consecutive
  const TypeKind* kinds_;  ///< by slot, of all layers
  std::vector<std::optional<Value>> values_;
};

/// A candidate: one layer of each kind. Of a layer that is not there (yet), nothing is known, not even known().
class Facts final : public Values {
 public:
  Facts();
  void use(const FactLayer& layer);  ///< replaces the one of the same kind; must outlive this
  const Value* at(int slot) const override;
  bool is_asked(int slot) const override {
    const auto* layer = layers_[layer_of_[slot]];
    return layer != nullptr && (!layer->is_open() || layer->at(slot) != nullptr);
  }

 private:
  const std::uint8_t* layer_of_;  ///< by slot
  std::array<const FactLayer*, fact_layers> layers_{};
};

/// A candidate that owns its layers, for one that is looked at alone.
class FactSheet final : public Values {
 public:
  FactSheet();
  FactLayer& layer(FactLayerId id) { return layers_[static_cast<std::size_t>(id)]; }
  void use(FactLayer layer);
  void set(std::string_view path, Value value) { owner(path).set(path, std::move(value)); }
  void set(std::string_view path, const char* text) { owner(path).set(path, text); }
  void clear(std::string_view path) { owner(path).clear(path); }
  const Value* find(std::string_view path) const { return at(fact_slot(path)); }
  const Value* at(int slot) const override;
  Facts facts() const;  ///< of these layers; must not outlive this

 private:
  FactLayer& owner(std::string_view path);
  std::vector<FactLayer> layers_;
};

FactLayer query_facts(const Profile& profile, const Hardware& hardware, const Task& task);
/// model.kv_bytes_per_token only where the catalog states it.
FactLayer model_facts(const Model& model);
/// Whatever the model. nullptr: the catalogs have no such technique, or say nothing of the engine.
FactLayer treatment_facts(const Variant& variant, const Technique* technique, const EngineSupport* support);
/// What the matrix says, to facts of a treatment that were made without.
void add_support(FactLayer& facts, const EngineSupport* support);

/// The first three layers and variant.model; plan.* of the ordinary case, in which compression is done here and nothing
/// is retrained.
FactSheet collect(const Profile& profile, const Hardware& hardware, const Model& model, const Variant& variant,
                  const Task& task, const Technique* technique = nullptr, const EngineSupport* support = nullptr);

}  // namespace advisor
