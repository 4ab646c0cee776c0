// From rules as written to rules that can be asked.
#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/suggest.h"
#include "rules/rule_check.h"
#include "rules/rule_set.h"

namespace advisor {
namespace {

/// A rule about a profile is judged before there is any variant.
void check_scope(const RuleSource& rule, const std::string& key, const Expression& expression,
                 const Vocabulary& names) {
  if (rule.applies_to != "profile") return;
  for (const std::string& path : expression.reads()) {
    if (names.find(path)->layer <= static_cast<int>(FactLayerId::model)) continue;
    fail_rule(rule, key,
              "applies to the profile, where \"" + path +
                  "\" is not known yet; write `applies_to: variant`, or read only profile, hardware, task and model");
  }
}

}  // namespace

RuleSet RuleSet::compile(std::span<const RuleSource> sources) {
  std::vector<const RuleSource*> rules;
  for (const RuleSource& rule : sources) rules.push_back(&rule);
  // by place too, so that of two with one id the message is the same whatever the order
  std::sort(rules.begin(), rules.end(), [](const RuleSource* a, const RuleSource* b) {
    return std::tie(a->id, a->where.file, a->where.line) < std::tie(b->id, b->where.file, b->where.line);
  });
  for (const RuleSource* rule : rules) check_keys(*rule);
  check_unique(rules);

  std::vector<const RuleSource*> derives;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(derives),
               [](const RuleSource* rule) { return rule->kind == "derive"; });
  RuleSet set;
  set.vocabulary_ = vocabulary();
  std::set<std::string> used;
  for (const RuleSource* rule : in_order(derives)) {
    Expression value = Expression::compile(rule->value, set.vocabulary_, rule->place("value"));
    check_scope(*rule, "value", value, set.vocabulary_);
    used.insert(value.reads().begin(), value.reads().end());
    set.vocabulary_.add({rule->fact, value.type(), "derived by rule " + rule->id,
                         static_cast<int>(layer_of(value, set.vocabulary_)),
                         std::make_shared<const Expression>(value)});
    set.derives_.push_back({*rule, std::move(value)});
  }
  for (const RuleSource* rule : rules) {
    if (rule->kind == "derive") continue;
    Judge judge = compile_judge(*rule, set.vocabulary_);
    used.insert(judge.when.reads().begin(), judge.when.reads().end());
    for (const Piece& piece : judge.reason)
      if (piece.slot >= 0) used.insert(set.vocabulary_.at(piece.slot).path);
    set.judges_.push_back(std::move(judge));
  }
  for (const RuleSource* rule : derives) {
    if (used.count(rule->fact) == 0) {
      fail_rule(*rule, "fact", "nothing reads fact \"" + rule->fact + "\"; use it in a rule, or remove this one");
    }
  }
  set.sort_forbids();
  return set;
}

RuleSet::Judge RuleSet::compile_judge(const RuleSource& rule, const Vocabulary& names) {
  Judge judge{rule, Expression::compile(rule.when, names, rule.place("when")), compile_reason(rule, names)};
  if (judge.when.type().kind != TypeKind::boolean) {
    fail_rule(rule, "when",
              "`when` must be a condition, not " + name(judge.when.type()) + "; compare it with something");
  }
  if (judge.when.reads().empty()) fail_rule(rule, "when", "`when` reads no fact, so it always says the same");
  check_scope(rule, "when", judge.when, names);
  if (judge.source.code.empty()) judge.source.code = "rule";
  return judge;
}

std::vector<RuleSet::Piece> RuleSet::compile_reason(const RuleSource& rule, const Vocabulary& names) {
  const std::string& text = rule.because;
  const auto fail = [&](std::size_t at, const std::string& message) {
    fail_rule(rule, place_in(text, rule.place("because"), at), message);
  };
  std::vector<Piece> reason;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t open = text.find('{', at);
    if (open == std::string::npos) {
      reason.push_back({text.substr(at)});
      break;
    }
    const std::size_t close = text.find('}', open);
    if (close == std::string::npos) fail(open, "`because` has a \"{\" without \"}\"");
    const std::string fact = text.substr(open + 1, close - open - 1);
    if (names.find(fact) == nullptr) {
      fail(open + 1, "`because` names an unknown fact \"" + fact + "\"" + did_you_mean(fact, names.paths()));
    }
    reason.push_back({text.substr(at, open - at), names.slot(fact)});
    at = close + 1;
  }
  return reason;
}

void RuleSet::sort_forbids() {
  for (std::size_t i = 0; i < judges_.size(); ++i) {
    const RuleSource& source = judges_[i].source;
    if (source.kind != "forbid") continue;
    const auto scope = static_cast<std::size_t>(std::find(rule_scopes.begin(), rule_scopes.end(), source.applies_to) -
                                                rule_scopes.begin());
    const FactLayerId layer = layer_of(judges_[i].when, vocabulary_);
    forbids_[scope][static_cast<std::size_t>(layer)].push_back(i);
  }
  for (auto& layers : forbids_) {
    for (std::vector<std::size_t>& order : layers) {
      // judges_ are sorted by id, and the sort keeps that order among equals
      std::stable_sort(order.begin(), order.end(), [this](std::size_t a, std::size_t b) {
        return code_order(judges_[a].source.code) < code_order(judges_[b].source.code);
      });
    }
  }
}

}  // namespace advisor
