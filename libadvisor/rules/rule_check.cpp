#include "rules/rule_check.h"

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/topological_sort.hpp>
#include <map>

#include "core/document.h"
#include "core/error.h"
#include "core/suggest.h"
#include "expr/expr.h"
#include "rules/rule_set.h"

namespace advisor {
namespace {

const std::vector<std::string> kinds{"derive", "forbid", "warn"};
/// In the order of code_order().
const std::vector<std::string> codes{"modality", "licence", "engine", "rule", "quality", "memory", "budget", "latency"};

void require_one_of(const RuleSource& rule, const std::string& key, const std::string& value,
                    const std::vector<std::string>& allowed) {
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
  const std::string what = value.empty() ? "needs a `" + key + "`" : "`" + key + "` is \"" + value + "\"";
  fail_rule(rule, key, what + "; it must be one of " + join(allowed) + did_you_mean(value, allowed));
}

void refuse(const RuleSource& rule, const std::string& key, const std::string& value, const std::string& message) {
  if (!value.empty()) fail_rule(rule, key, message);
}

/// Follows the dependencies until a fact comes back: "derived.a -> derived.b -> derived.a".
std::vector<std::string> find_cycle(const std::map<std::string, std::vector<std::string>>& reads) {
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
  return path;
}

}  // namespace

int code_order(std::string_view code) {
  return static_cast<int>(std::find(codes.begin(), codes.end(), code) - codes.begin());
}

void fail_rule(const RuleSource& rule, const SourceLocation& where, const std::string& message) {
  throw Error(ErrorCode::parse_error, prefix(where) + "rule \"" + rule.id + "\": " + message);
}

void fail_rule(const RuleSource& rule, const std::string& key, const std::string& message) {
  fail_rule(rule, rule.place(key), message);
}

void check_keys(const RuleSource& rule) {
  if (rule.id.empty()) throw Error(ErrorCode::parse_error, prefix(rule.where) + "a rule needs an id");
  require_one_of(rule, "kind", rule.kind, kinds);
  require_one_of(rule, "applies_to", rule.applies_to, {rule_scopes.begin(), rule_scopes.end()});
  if (rule.sources.empty() || std::find(rule.sources.begin(), rule.sources.end(), "") != rule.sources.end()) {
    fail_rule(rule, "sources",
              "needs at least one source: `sources: [...]` with a file of data/, an address, or \"profile\" for what "
              "the user said");
  }
  if (rule.kind == "derive") {
    if (rule.fact.empty() || rule.value.empty()) fail_rule(rule, "kind", "a derive rule needs `fact` and `value`");
    refuse(rule, "when", rule.when, "a derive rule has no `when`; its condition can be its `value`");
    refuse(rule, "because", rule.because, "a derive rule has no `because`; the rules that read its fact have one");
    refuse(rule, "code", rule.code, "a derive rule has no `code`; it rejects nothing");
    if (rule.fact.compare(0, 8, "derived.") != 0) {
      fail_rule(rule, "fact",
                "the name of a derived fact starts with \"derived.\", as \"derived." +
                    rule.fact.substr(rule.fact.rfind('.') + 1) + "\"");
    }
    return;
  }
  if (rule.when.empty()) fail_rule(rule, "when", "needs `when`, the condition in which it speaks");
  if (rule.because.empty()) fail_rule(rule, "because", "needs `because`, the reason that users read");
  refuse(rule, "fact", rule.fact, "only a derive rule has a `fact`");
  refuse(rule, "value", rule.value, "only a derive rule has a `value`");
  if (!rule.code.empty()) require_one_of(rule, "code", rule.code, codes);
}

FactLayerId layer_of(const Expression& expression, const Vocabulary& names) {
  const auto deepest = static_cast<FactLayerId>(expression.layer());
  if (deepest != FactLayerId::treatment) return deepest;
  const bool reads_model = std::any_of(expression.slots().begin(), expression.slots().end(), [&](int slot) {
    return names.at(slot).layer == static_cast<int>(FactLayerId::model);
  });
  return reads_model ? FactLayerId::candidate : deepest;
}

void check_unique(const std::vector<const RuleSource*>& rules) {
  std::map<std::string, const RuleSource*> ids, writers;
  const auto written = [](const SourceLocation& where) {
    const std::string place = prefix(where);
    return place.substr(0, place.rfind(':'));
  };
  for (const RuleSource* rule : rules) {
    const auto [other, fresh] = ids.emplace(rule->id, rule);
    if (!fresh) {
      fail_rule(*rule, "id",
                "the id is used twice, also at " + written(other->second->place("id")) + "; give each rule its own");
    }
    if (rule->kind != "derive") continue;
    const auto [writer, first] = writers.emplace(rule->fact, rule);
    if (!first) {
      fail_rule(*rule, "fact",
                "fact \"" + rule->fact + "\" is also written by rule \"" + writer->second->id + "\" at " +
                    written(writer->second->place("fact")) + "; give one of them another name");
    }
  }
}

std::vector<const RuleSource*> in_order(const std::vector<const RuleSource*>& derives) {
  std::map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < derives.size(); ++i) index[derives[i]->fact] = i;
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS>;
  Graph graph(derives.size());
  std::map<std::string, std::vector<std::string>> reads;
  std::map<std::pair<std::string, std::string>, SourceLocation> places;
  for (std::size_t i = 0; i < derives.size(); ++i) {
    std::vector<std::string>& own = reads[derives[i]->fact];
    for (const NameInText& name : names_in(derives[i]->value, derives[i]->place("value"))) {
      const auto writer = index.find(name.name);
      if (writer == index.end() || std::find(own.begin(), own.end(), name.name) != own.end()) continue;
      own.push_back(name.name);
      places[{derives[i]->fact, name.name}] = name.where;
      boost::add_edge(i, writer->second, graph);
    }
  }
  // edges point to what is read, so the reverse topological order that Boost writes is the order of evaluation
  std::vector<std::size_t> order;
  try {
    boost::topological_sort(graph, std::back_inserter(order));
  } catch (const boost::not_a_dag&) {
    const std::vector<std::string> cycle = find_cycle(reads);
    fail_rule(*derives[index.at(cycle[0])], places.at({cycle[0], cycle[1]}),
              "the facts depend on each other in a cycle: " + join(cycle, " -> ") +
                  "; one of them must do without the others");
  }
  std::vector<const RuleSource*> sorted;
  for (const std::size_t i : order) sorted.push_back(derives[i]);
  return sorted;
}

}  // namespace advisor
