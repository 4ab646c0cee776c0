// Rules decide what is admissible; they carry no weights. Compiled once: a rule set that loads cannot fail at run time,
// and neither the order of files nor of entries can matter.
//
// The same rules answer twice. apply() says in words what fires, why, and what is missing; forbidden() only asks
// whether something forbids, for millions of candidates, one layer of facts after the other.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/recommendation.h"
#include "core/rule.h"
#include "rules/facts.h"

namespace advisor {

/// Of rules about candidates; those of steps and of profiles are asked by name.
inline constexpr std::string_view variant_scope = "variant";

/// A rule whose condition is true.
struct Finding {
  std::string rule, kind, code, reason;  ///< kind: forbid | warn; reason: filled in
  std::vector<std::string> sources;
  Evidence evidence() const;
};

/// A rule that cannot be decided because facts are missing.
struct Undecided {
  std::string rule, kind;
  std::vector<std::string> missing;
  Gap gap() const;  ///< "rule x" needs "hardware.fp8_rate"
};

/// All sorted by rule id.
struct Findings {
  std::vector<Finding> forbids, warns;
  std::vector<Undecided> unknowns;
  /// The forbid that forbidden() would name if all rules were of one layer; nullptr: none fires.
  const Finding* decisive() const;
};

/// Which of several rules is named as the reason: what no setting can change comes first (modality, licence), then what
/// other hardware could (engine, rule), then what is estimated (quality, memory, budget, latency). Less is earlier.
int code_order(std::string_view code);

/// Some of the forbids of each layer: a bit for each in the order in which they are asked, the last for all further.
struct RuleMask {
  std::array<std::uint64_t, fact_layers> bits{};
  static constexpr RuleMask all() {
    RuleMask mask;
    mask.bits.fill(~std::uint64_t{0});
    return mask;
  }
  std::uint64_t& of(FactLayerId layer) { return bits[static_cast<std::size_t>(layer)]; }
  std::uint64_t of(FactLayerId layer) const { return bits[static_cast<std::size_t>(layer)]; }
  RuleMask operator&(const RuleMask& other) const {
    RuleMask both;
    for (std::size_t layer = 0; layer < fact_layers; ++layer) both.bits[layer] = bits[layer] & other.bits[layer];
    return both;
  }
  void operator|=(const RuleMask& other) {
    for (std::size_t layer = 0; layer < fact_layers; ++layer) bits[layer] |= other.bits[layer];
  }
  RuleMask without(const RuleMask& other) const {
    RuleMask rest;
    for (std::size_t layer = 0; layer < fact_layers; ++layer) rest.bits[layer] = bits[layer] & ~other.bits[layer];
    return rest;
  }
  bool any() const {
    std::uint64_t all = 0;
    for (const std::uint64_t layer : bits) all |= layer;
    return all != 0;
  }
};

class RuleSet {
 public:
  /// Throws parse_error naming file:line:column: unknown fact, wrong type, missing reason or source, duplicate id, two
  /// writers of a fact, a cycle of facts, a derived fact that nothing reads.
  static RuleSet compile(std::span<const RuleSource> sources);

  /// Judges with the rules of one scope (variant, step or profile), or with all.
  Findings apply(const Values& facts, std::string_view applies_to = "") const;

  /// The first forbid that fires among the rules of `layer`, by code_order() and then by id; nullptr: none. A rule is
  /// of the deepest layer that it reads; one that reads model and treatment is of the candidate, so that a model need
  /// be asked without a treatment, and a treatment without a model, only once. Layers above `layer` must be there (of
  /// model and treatment the other one need not), those below are not looked at. Allocates nothing.
  const RuleSource* forbidden(const Values& facts, FactLayerId layer,
                              std::string_view applies_to = variant_scope) const;

  /// The same for a candidate with several layers known from before: only the forbids that can still fire are asked.
  /// `open` is the conjunction of can_fire() of facts of which those in `facts` are more.
  const RuleSource* forbidden(const Values& facts, FactLayerId layer, const RuleMask& open,
                              std::string_view applies_to = variant_scope) const;

  /// The forbids that can still fire when further layers come: those whose condition is not false yet. Asked once for a
  /// question, and of what that leaves (`among`) once for a model and once for a treatment, it leaves few rules to ask
  /// for each pair of them.
  RuleMask can_fire(const Facts& so_far, std::string_view applies_to = variant_scope,
                    const RuleMask& among = RuleMask::all()) const;

  /// The facts of `layer` that the forbids which `open` leaves read, by slot: the others need not be set.
  std::vector<bool> reads(FactLayerId layer, const RuleMask& open, std::string_view applies_to = variant_scope) const;
  /// The forbids that read any fact of `layer`.
  RuleMask readers(FactLayerId layer, std::string_view applies_to = variant_scope) const;

  std::size_t size() const { return derives_.size() + judges_.size(); }
  std::vector<std::string> ids() const;    ///< sorted
  std::vector<RuleInfo> describe() const;  ///< sorted by id

 private:
  struct Derive {
    RuleSource source;
    Expression value;
  };
  struct Piece {
    std::string text;  ///< literal
    int slot = -1;     ///< then the value of a fact; -1: none
  };
  struct Judge {
    RuleSource source;
    Expression when;
    std::vector<Piece> reason;
  };
  static Judge compile_judge(const RuleSource& rule, const Vocabulary& names);
  static std::vector<Piece> compile_reason(const RuleSource& rule, const Vocabulary& names);
  void sort_forbids();
  std::string show(int slot, const Values& facts) const;
  RuleInfo describe(const RuleSource& source, const Expression& expression) const;

  static constexpr std::size_t scopes = 3;
  Vocabulary vocabulary_;        ///< with derived facts
  std::vector<Derive> derives_;  ///< in dependency order
  std::vector<Judge> judges_;    ///< by id
  /// Indices into judges_: the forbids of each scope and layer, in the order in which they are asked.
  std::array<std::array<std::vector<std::size_t>, fact_layers>, scopes> forbids_;
};

}  // namespace advisor
