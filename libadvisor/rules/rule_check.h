// What is checked of rules before their expressions are compiled, and in which order facts are derived. Private to
// rules/.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "core/rule.h"
#include "rules/facts.h"

namespace advisor {

inline constexpr std::array<std::string_view, 3> rule_scopes{"variant", "step", "profile"};

/// Throws parse_error at a place; or at a key of the rule, and at the rule where it has no such key.
[[noreturn]] void fail_rule(const RuleSource& rule, const SourceLocation& where, const std::string& message);
[[noreturn]] void fail_rule(const RuleSource& rule, const std::string& key, const std::string& message);

/// Keys that must or must not be there by kind, words from closed sets.
void check_keys(const RuleSource& rule);

/// From when on an expression can be decided: the deepest layer that it reads. A model and a treatment are looked at
/// apart from each other, so what reads both is decided where they come together, with the candidate.
FactLayerId layer_of(const Expression& expression, const Vocabulary& names);

/// No id twice, no fact with two writers.
void check_unique(const std::vector<const RuleSource*>& rules);

/// Derive rules, each behind those whose facts it reads. Throws naming the cycle when there is one.
std::vector<const RuleSource*> in_order(const std::vector<const RuleSource*>& derives);

}  // namespace advisor
