#include "rules/rule_set.h"

#include <algorithm>
#include <array>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/topological_sort.hpp>
#include <map>
#include <set>

#include "core/document.h"
#include "core/error.h"
#include "core/suggest.h"

namespace advisor {
namespace {

const std::vector<std::string> kinds{"derive", "forbid", "warn"};
const std::vector<std::string> scopes{"variant", "step", "profile"};
const std::vector<std::string> codes{"memory", "rule", "quality", "latency", "budget", "licence", "engine", "modality"};

[[noreturn]] void fail(const RuleSource& rule, const std::string& message) {
  throw Error(ErrorCode::parse_error, prefix(rule.where) + "rule \"" + rule.id + "\": " + message);
}

void require_one_of(const RuleSource& rule, const std::string& key, const std::string& value,
                    const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  fail(rule, key + " is \"" + value + "\"; it must be one of " + join(allowed) + did_you_mean(value, allowed));
}

/// Keys that must or must not be there, by kind.
void check_keys(const RuleSource& rule) {
  if (rule.id.empty()) throw Error(ErrorCode::parse_error, prefix(rule.where) + "a rule needs an id");
  require_one_of(rule, "kind", rule.kind, kinds);
  require_one_of(rule, "applies_to", rule.applies_to, scopes);
  if (rule.sources.empty()) fail(rule, "needs at least one source");
  const bool derives = rule.kind == "derive";
  if (derives && (rule.fact.empty() || rule.value.empty())) fail(rule, "a derive rule needs `fact` and `value`");
  if (derives && (!rule.when.empty() || !rule.because.empty() || !rule.code.empty())) {
    fail(rule, "a derive rule has no `when`, `because` or `code`");
  }
  if (!derives && (rule.when.empty() || rule.because.empty())) fail(rule, "needs `when` and `because`");
  if (!derives && (!rule.fact.empty() || !rule.value.empty())) fail(rule, "only a derive rule has `fact` and `value`");
  if (!rule.code.empty()) require_one_of(rule, "code", rule.code, codes);
  if (derives && rule.fact.compare(0, 8, "derived.") != 0)
    fail(rule, "the name of a derived fact starts with \"derived.\"");
}

/// A rule about a profile is judged before there is any variant.
void check_scope(const RuleSource& rule, const std::vector<std::string>& reads) {
  if (rule.applies_to != "profile") return;
  for (const std::string& path : reads) {
    if (path.compare(0, 8, "variant.") == 0 || path.compare(0, 7, "memory.") == 0) {
      fail(rule, "applies to the profile, where \"" + path + "\" is not known yet");
    }
  }
}

void check_unique(const std::vector<const RuleSource*>& rules) {
  std::map<std::string, const RuleSource*> ids, writers;
  for (const RuleSource* rule : rules) {
    const auto [other, fresh] = ids.emplace(rule->id, rule);
    if (!fresh) fail(*rule, "the id is used twice, also at " + prefix(other->second->where) + "give each rule its own");
    if (rule->kind != "derive") continue;
    const auto [writer, first] = writers.emplace(rule->fact, rule);
    if (!first) {
      fail(*rule, "fact \"" + rule->fact + "\" is also written by rule \"" + writer->second->id + "\"");
    }
  }
}

/// Follows the dependencies until a fact comes back: "derived.a -> derived.b -> derived.a".
std::string describe_cycle(const std::map<std::string, std::vector<std::string>>& reads) {
  std::map<std::string, int> state;  // 1 = on the path, 2 = done
  std::vector<std::string> path;
  const auto visit = [&](const auto& self, const std::string& fact) -> bool {
    path.push_back(fact);
    state[fact] = 1;
    for (const std::string& next : reads.at(fact)) {
      if (state[next] == 1) {
        path.push_back(next);
        return true;
      }
      if (state[next] == 0 && self(self, next)) return true;
    }
    state[fact] = 2;
    path.pop_back();
    return false;
  };
  for (const auto& [fact, next] : reads) {
    if (state[fact] == 0 && visit(visit, fact)) break;
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), path.back()));
  return join(path, " -> ");
}

/// Derive rules, each behind those whose facts it reads.
std::vector<const RuleSource*> in_order(const std::vector<const RuleSource*>& derives) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < derives.size(); ++i) index[derives[i]->fact] = i;
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
  Graph graph(derives.size());
  std::map<std::string, std::vector<std::string>> reads;
  for (std::size_t i = 0; i < derives.size(); ++i) {
    std::vector<std::string>& own = reads[derives[i]->fact];
    for (const std::string& name : names_in(derives[i]->value, derives[i]->value_where)) {
      const auto writer = index.find(name);
      if (writer == index.end() || std::find(own.begin(), own.end(), name) != own.end()) continue;
      own.push_back(name);
      boost::add_edge(i, writer->second, graph);
    }
  }
  // edges point to what is read, so the reverse topological order that Boost writes is the order of evaluation
  std::vector<std::size_t> order;
  try {
    boost::topological_sort(graph, std::back_inserter(order));
  } catch (const boost::not_a_dag&) {
    const std::string cycle = describe_cycle(reads);
    const std::size_t first = index.at(cycle.substr(0, cycle.find(' ')));
    fail(*derives[first], "the facts depend on each other in a cycle: " + cycle);
  }
  std::vector<const RuleSource*> sorted;
  for (const std::size_t i : order) sorted.push_back(derives[i]);
  return sorted;
}

/// Facts plus what the derive rules add.
class WithDerived : public Values {
 public:
  explicit WithDerived(const Facts& facts) : facts_(facts) {}
  const Value* find(std::string_view path) const override {
    const auto found = derived_.find(path);
    return found == derived_.end() ? facts_.find(path) : &found->second;
  }
  void add(const std::string& path, Value value) { derived_.insert_or_assign(path, std::move(value)); }

 private:
  const Facts& facts_;
  std::map<std::string, Value, std::less<>> derived_;
};

}  // namespace

Evidence Finding::evidence() const { return {"rule", rule, reason, sources}; }

Gap Undecided::gap() const { return {"rule " + rule, join(missing)}; }

RuleSet RuleSet::compile(std::span<const RuleSource> sources) {
  std::vector<const RuleSource*> rules;
  for (const RuleSource& rule : sources) rules.push_back(&rule);
  std::stable_sort(rules.begin(), rules.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
  for (const RuleSource* rule : rules) check_keys(*rule);
  check_unique(rules);

  std::vector<const RuleSource*> derives;
  std::copy_if(rules.begin(), rules.end(), std::back_inserter(derives),
               [](const auto* r) { return r->kind == "derive"; });
  RuleSet set;
  set.vocabulary_ = vocabulary();
  std::set<std::string> used;
  for (const RuleSource* rule : in_order(derives)) {
    Expression value = Expression::compile(rule->value, set.vocabulary_, rule->value_where);
    check_scope(*rule, value.reads());
    if (set.vocabulary_.find(rule->fact) != nullptr) fail(*rule, "fact \"" + rule->fact + "\" already exists");
    set.vocabulary_.add({rule->fact, value.type(), "derived by rule " + rule->id});
    used.insert(value.reads().begin(), value.reads().end());
    set.derives_.push_back({rule->id, rule->fact, std::move(value)});
  }
  for (const RuleSource* rule : rules) {
    if (rule->kind == "derive") continue;
    Judge judge = compile_judge(*rule, set.vocabulary_);
    used.insert(judge.when.reads().begin(), judge.when.reads().end());
    for (const Piece& piece : judge.reason) used.insert(piece.fact);
    set.judges_.push_back(std::move(judge));
  }
  for (const RuleSource* rule : derives) {
    if (used.count(rule->fact) == 0) fail(*rule, "nothing reads fact \"" + rule->fact + "\"");
  }
  return set;
}

RuleSet::Judge RuleSet::compile_judge(const RuleSource& rule, const Vocabulary& names) {
  Judge judge{rule, Expression::compile(rule.when, names, rule.when_where), {}};
  if (judge.when.type().kind != TypeKind::boolean)
    fail(rule, "`when` must be a condition, not " + name(judge.when.type()));
  if (judge.when.reads().empty()) fail(rule, "`when` reads no fact");
  check_scope(rule, judge.when.reads());
  if (judge.source.code.empty()) judge.source.code = "rule";
  std::string rest = rule.because;
  while (!rest.empty()) {
    const std::size_t open = rest.find('{');
    const std::size_t close = open == std::string::npos ? std::string::npos : rest.find('}', open);
    if (open != std::string::npos && close == std::string::npos) fail(rule, "`because` has a \"{\" without \"}\"");
    const std::string fact = open == std::string::npos ? "" : rest.substr(open + 1, close - open - 1);
    if (open != std::string::npos && names.find(fact) == nullptr) {
      fail(rule, "`because` names an unknown fact \"" + fact + "\"" + did_you_mean(fact, names.paths()));
    }
    judge.reason.push_back({rest.substr(0, open), fact});
    rest = open == std::string::npos ? "" : rest.substr(close + 1);
  }
  return judge;
}

Findings RuleSet::apply(const Facts& facts, std::string_view applies_to) const {
  WithDerived values(facts);
  for (const Derive& derive : derives_) {
    if (std::optional<Value> value = derive.value.evaluate(values); value) values.add(derive.fact, std::move(*value));
  }
  const auto shown = [&](const std::string& path) {
    const Value* value = values.find(path);
    return value == nullptr ? std::string("unknown") : format_value(*value, vocabulary_.find(path)->type);
  };
  Findings findings;
  for (const Judge& judge : judges_) {
    if (!applies_to.empty() && judge.source.applies_to != applies_to) continue;
    const std::optional<bool> holds = judge.when.evaluate_condition(values);
    if (!holds) {
      findings.unknowns.push_back({judge.source.id, judge.source.kind, missing(judge.when, values)});
      continue;
    }
    if (!*holds) continue;
    Finding finding{judge.source.id, judge.source.kind, judge.source.code, "", judge.source.sources, {}};
    for (const Piece& piece : judge.reason)
      finding.reason += piece.text + (piece.fact.empty() ? "" : shown(piece.fact));
    for (const std::string& path : judge.when.reads()) finding.read.emplace_back(path, shown(path));
    (judge.source.kind == "forbid" ? findings.forbids : findings.warns).push_back(std::move(finding));
  }
  return findings;
}

std::vector<std::string> RuleSet::missing(const Expression& expression, const Values& values) const {
  std::set<std::string> names;
  for (const std::string& path : expression.missing(values)) {
    const auto derive = std::find_if(derives_.begin(), derives_.end(), [&](const Derive& d) { return d.fact == path; });
    std::vector<std::string> below;
    if (derive != derives_.end()) below = missing(derive->value, values);
    names.insert(below.begin(), below.end());
    if (below.empty()) names.insert(path);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> RuleSet::ids() const {
  std::vector<std::string> ids;
  for (const Derive& derive : derives_) ids.push_back(derive.id);
  for (const Judge& judge : judges_) ids.push_back(judge.source.id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace advisor
