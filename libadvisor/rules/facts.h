// What rules may read: the vocabulary with types, and the values for one profile, machine, model and variant.
//
// Prefix = who says it: profile.<field of the field table> (the user), task.* (data/tasks.csv), model.*, hardware.*
// (catalog, probe or explicit numbers), variant.* (the state under judgement), technique.*, plan.*, engine.*, memory.*,
// quality.* (set by the caller when it has looked them up or estimated them).
//
// Unknown stays unknown, with one exception: a missing rate of a hardware generation that is known to lack the unit
// (FP8 before Ada, FP4 before Blackwell, ...) is 0, because catalogs leave the cell blank for exactly that reason.
#pragma once

#include <map>
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

/// Every fact a rule may read, except those that derive rules add.
const Vocabulary& vocabulary();

class Facts : public Values {
 public:
  const Value* find(std::string_view path) const override;
  /// Throws internal when the vocabulary has no such fact or gives it another type.
  void set(std::string_view path, Value value);
  void set(std::string_view path, const char* text) { set(path, Value(std::string(text))); }
  void clear(std::string_view path);  ///< makes it unknown again
  const std::map<std::string, Value, std::less<>>& values() const { return values_; }

 private:
  std::map<std::string, Value, std::less<>> values_;
};

/// Fills profile.*, task.*, model.*, hardware.* and variant.*; the rest stays unknown until set.
Facts collect(const Profile& profile, const Hardware& hardware, const Model& model, const Variant& variant,
              const Task& task);

/// technique.kind, technique.needs_calibration, technique.implemented.
void set_technique(Facts& facts, const Technique& technique);

}  // namespace advisor
