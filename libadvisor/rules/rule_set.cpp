#include "rules/rule_set.h"

#include <algorithm>
#include <bit>

#include "core/suggest.h"
#include "rules/rule_check.h"

namespace advisor {
namespace {

constexpr std::size_t last_bit = 63;  ///< of a RuleMask
constexpr std::uint64_t bit_of(std::size_t place) { return std::uint64_t{1} << std::min(place, last_bit); }

std::size_t scope_index(std::string_view scope) {
  if (scope.data() == variant_scope.data()) return 0;  // asked a million times, and by default
  return static_cast<std::size_t>(std::find(rule_scopes.begin(), rule_scopes.end(), scope) - rule_scopes.begin());
}
static_assert(rule_scopes[0] == variant_scope);

}  // namespace

Evidence Finding::evidence() const { return {"rule", rule, reason, sources}; }

Gap Undecided::gap() const { return {"rule " + rule, join(missing)}; }

const Finding* Findings::decisive() const {
  // sorted by id, so the first of the least code is the one
  const auto found = std::min_element(forbids.begin(), forbids.end(), [](const Finding& a, const Finding& b) {
    return code_order(a.code) < code_order(b.code);
  });
  return found == forbids.end() ? nullptr : &*found;
}

std::string RuleSet::show(int slot, const Values& facts) const {
  const Symbol& symbol = vocabulary_.at(slot);
  if (symbol.definition) {
    const std::optional<Value> value = symbol.definition->evaluate(facts);
    return value ? format_value(*value, symbol.type) : "unknown";
  }
  const Value* value = facts.at(slot);
  return value == nullptr ? "unknown" : format_value(*value, symbol.type);
}

Findings RuleSet::apply(const Values& facts, std::string_view applies_to) const {
  Findings findings;
  for (const Judge& judge : judges_) {
    if (!applies_to.empty() && judge.source.applies_to != applies_to) continue;
    const std::optional<bool> holds = judge.when.evaluate_condition(facts);
    if (!holds) {
      findings.unknowns.push_back({judge.source.id, judge.source.kind, judge.when.missing(facts)});
      continue;
    }
    if (!*holds) continue;
    Finding finding{judge.source.id, judge.source.kind, judge.source.code, "", judge.source.sources};
    for (const Piece& piece : judge.reason)
      (finding.reason += piece.text) += piece.slot < 0 ? "" : show(piece.slot, facts);
    (judge.source.kind == "forbid" ? findings.forbids : findings.warns).push_back(std::move(finding));
  }
  return findings;
}

const RuleSource* RuleSet::forbidden(const Values& facts, FactLayerId layer, std::string_view applies_to) const {
  const std::size_t scope = scope_index(applies_to);
  if (scope == scopes) return nullptr;
  for (const std::size_t judge : forbids_[scope][static_cast<std::size_t>(layer)]) {
    if (judges_[judge].when.evaluate_condition(facts).value_or(false)) return &judges_[judge].source;
  }
  return nullptr;
}

const RuleSource* RuleSet::forbidden(const Values& facts, FactLayerId layer, const RuleMask& open,
                                     std::string_view applies_to) const {
  const std::size_t scope = scope_index(applies_to);
  if (scope == scopes) return nullptr;
  const std::vector<std::size_t>& order = forbids_[scope][static_cast<std::size_t>(layer)];
  for (std::uint64_t bits = open.bits[static_cast<std::size_t>(layer)]; bits != 0; bits &= bits - 1) {
    const auto first = static_cast<std::size_t>(std::countr_zero(bits));
    const std::size_t end = first == last_bit ? order.size() : first + 1;
    for (std::size_t i = first; i < end; ++i) {
      if (judges_[order[i]].when.evaluate_condition(facts).value_or(false)) return &judges_[order[i]].source;
    }
  }
  return nullptr;
}

RuleMask RuleSet::can_fire(const Facts& so_far, std::string_view applies_to, const RuleMask& among) const {
  RuleMask mask;
  const std::size_t scope = scope_index(applies_to);
  if (scope == scopes) return mask;
  for (std::size_t layer = 0; layer < fact_layers; ++layer) {
    const std::vector<std::size_t>& order = forbids_[scope][layer];
    for (std::size_t i = 0; i < order.size(); ++i) {
      const std::uint64_t bit = bit_of(i);
      if ((among.bits[layer] & bit) == 0) continue;
      if (judges_[order[i]].when.evaluate_condition(so_far).value_or(true)) mask.bits[layer] |= bit;
    }
  }
  return mask;
}

std::vector<bool> RuleSet::reads(FactLayerId layer, const RuleMask& open, std::string_view applies_to) const {
  std::vector<bool> read(vocabulary_.size());
  const std::size_t scope = scope_index(applies_to);
  if (scope == scopes) return read;
  for (std::size_t of = 0; of < fact_layers; ++of) {
    const std::vector<std::size_t>& order = forbids_[scope][of];
    for (std::size_t i = 0; i < order.size(); ++i) {
      if ((open.bits[of] & bit_of(i)) == 0) continue;
      for (const int slot : judges_[order[i]].when.slots())
        read[static_cast<std::size_t>(slot)] =
            read[static_cast<std::size_t>(slot)] || vocabulary_.at(slot).layer == static_cast<int>(layer);
    }
  }
  return read;
}

RuleMask RuleSet::readers(FactLayerId layer, std::string_view applies_to) const {
  RuleMask mask;
  const std::size_t scope = scope_index(applies_to);
  if (scope == scopes) return mask;
  for (std::size_t of = 0; of < fact_layers; ++of)
    for (std::size_t i = 0; i < forbids_[scope][of].size(); ++i) {
      const auto& slots = judges_[forbids_[scope][of][i]].when.slots();
      const bool reads = std::any_of(slots.begin(), slots.end(),
                                     [&](int slot) { return vocabulary_.at(slot).layer == static_cast<int>(layer); });
      if (reads) mask.bits[of] |= bit_of(i);
    }
  return mask;
}

std::vector<std::string> RuleSet::ids() const {
  std::vector<std::string> ids;
  for (const Derive& derive : derives_) ids.push_back(derive.source.id);
  for (const Judge& judge : judges_) ids.push_back(judge.source.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

RuleInfo RuleSet::describe(const RuleSource& source, const Expression& expression) const {
  const auto layer_name = [](int layer) { return std::string(name(static_cast<FactLayerId>(layer))); };
  RuleInfo info{source, std::string(name(layer_of(expression, vocabulary_))), {}};
  for (const std::string& path : expression.reads()) {
    const Symbol& symbol = *vocabulary_.find(path);
    const auto writer = std::find_if(derives_.begin(), derives_.end(),
                                     [&](const Derive& derive) { return derive.source.fact == path; });
    info.reads.push_back({path, name(symbol.type), symbol.doc, layer_name(symbol.layer),
                          writer == derives_.end() ? "" : writer->source.id});
  }
  return info;
}

std::vector<RuleInfo> RuleSet::describe() const {
  std::vector<RuleInfo> all;
  for (const Derive& derive : derives_) all.push_back(describe(derive.source, derive.value));
  for (const Judge& judge : judges_) all.push_back(describe(judge.source, judge.when));
  std::sort(all.begin(), all.end(), [](const RuleInfo& a, const RuleInfo& b) { return a.source.id < b.source.id; });
  return all;
}

}  // namespace advisor
