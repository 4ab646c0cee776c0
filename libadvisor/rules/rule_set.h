// Rules decide what is admissible; they carry no weights. Compiled once: a rule set that loads cannot fail at run time,
// and neither the order of files nor of entries can matter.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/recommendation.h"
#include "core/rule.h"
#include "rules/facts.h"

namespace advisor {

/// A rule whose condition is true.
struct Finding {
  std::string rule, kind, code, reason;  ///< kind: forbid | warn; reason: filled in
  std::vector<std::string> sources;
  std::vector<std::pair<std::string, std::string>> read;  ///< fact -> value as text ("unknown" when unknown)
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
};

class RuleSet {
 public:
  /// Throws parse_error naming file:line:column: unknown fact, wrong type, missing reason or source, duplicate id, two
  /// writers of a fact, a cycle of facts, a derived fact that nothing reads.
  static RuleSet compile(std::span<const RuleSource> sources);

  /// Judges with the rules of one scope (variant, step or profile), or with all.
  Findings apply(const Facts& facts, std::string_view applies_to = "") const;

  std::size_t size() const { return derives_.size() + judges_.size(); }
  std::vector<std::string> ids() const;  ///< sorted

 private:
  struct Derive {
    std::string id, fact;
    Expression value;
  };
  struct Piece {
    std::string text, fact;  ///< literal text, then the value of a fact ("" = none)
  };
  struct Judge {
    RuleSource source;
    Expression when;
    std::vector<Piece> reason;
  };
  static Judge compile_judge(const RuleSource& rule, const Vocabulary& names);
  /// Unknown facts behind an expression; for a derived one, those that it is derived from.
  std::vector<std::string> missing(const Expression& expression, const Values& values) const;

  Vocabulary vocabulary_;        ///< with derived facts
  std::vector<Derive> derives_;  ///< in dependency order
  std::vector<Judge> judges_;    ///< by id
};

}  // namespace advisor
