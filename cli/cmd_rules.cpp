#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/suggest.h"
#include "facade.h"

namespace advisor::cli {
namespace {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

std::string place_of(const RuleSource& rule) { return rule.where.file + ":" + std::to_string(rule.where.line); }

std::string text_of(const RuleSource& rule) {
  return rule.kind == "derive" ? rule.fact + " = " + rule.value : rule.when;
}

Json json_of(const RuleInfo& info) {
  const RuleSource& rule = info.source;
  Json reads = Json::array();
  for (const FactInfo& fact : info.reads) {
    Json one{{"fact", fact.path}, {"type", fact.type}, {"meaning", fact.doc}, {"layer", fact.layer}};
    if (!fact.derived_by.empty()) one["derived_by"] = fact.derived_by;
    reads.push_back(std::move(one));
  }
  Json json{{"id", rule.id}, {"kind", rule.kind}, {"applies_to", rule.applies_to}, {"layer", info.layer}};
  if (rule.kind == "derive") {
    json["fact"] = rule.fact;
    json["value"] = rule.value;
  } else {
    json["code"] = rule.code;
    json["when"] = rule.when;
    json["because"] = rule.because;
  }
  json["reads"] = std::move(reads);
  json["sources"] = rule.sources;
  json["file"] = rule.where.file;
  json["line"] = rule.where.line;
  return json;
}

Json json_of(const std::vector<RuleInfo>& rules) {
  Json all = Json::array();
  for (const RuleInfo& rule : rules) all.push_back(json_of(rule));
  return all;
}

Table table_of(const std::vector<RuleInfo>& rules) {
  Table table{{"rule", "kind", "code", "layer", "when"}, {}};
  for (const RuleInfo& rule : rules) {
    const RuleSource& source = rule.source;
    table.rows.push_back({source.id, source.kind, cell(source.code), rule.layer, text_of(source)});
  }
  return table;
}

int list(const Advisor& advisor, bool as_json) {
  const std::vector<RuleInfo> rules = advisor.rules();
  std::cout << (as_json ? json_of(rules).dump(2) + "\n" : table_of(rules).text());
  if (!as_json) std::cerr << rules.size() << " rules\n";
  return exit_ok;
}

int check(const Advisor& advisor, const std::vector<std::string>& files, bool alone, bool as_json) {
  if (files.empty()) throw Error(ErrorCode::invalid_argument, "rules check needs a file or folder of rules");
  const std::vector<RuleInfo> rules = advisor.check_rules({files.begin(), files.end()}, alone);
  if (as_json) {
    std::cout << json_of(rules).dump(2) << '\n';
    return exit_ok;
  }
  for (const RuleInfo& rule : rules) {
    std::cout << place_of(rule.source) << ": " << rule.source.kind << ' ' << rule.source.id << '\n';
  }
  std::cout << (rules.size() == 1 ? "1 rule loads" : std::to_string(rules.size()) + " rules load") << '\n';
  return exit_ok;
}

void print(const RuleInfo& info) {
  const RuleSource& rule = info.source;
  const auto row = [](const char* name, const std::string& text) {
    std::cout << "  " << name << std::string(12 - std::string_view(name).size(), ' ') << text << '\n';
  };
  std::cout << "rule " << rule.id << '\n';
  row("kind", rule.kind);
  row("applies to", rule.applies_to);
  if (rule.kind == "derive") {
    row("fact", rule.fact);
    row("value", rule.value);
  } else {
    row("when", rule.when);
    row("because", rule.because);
    if (rule.kind == "forbid") row("code", rule.code);
  }
  row("decided", "as soon as facts of the layer " + info.layer + " are known");
  for (const std::string& source : rule.sources) row("source", source);
  row("file", place_of(rule));
  std::cout << "  reads\n";
  Table reads{{"fact", "type", "layer", "meaning"}, {}};
  for (const FactInfo& fact : info.reads) reads.rows.push_back({fact.path, fact.type, fact.layer, fact.doc});
  std::cout << reads.text();
}

int explain(const Advisor& advisor, const std::vector<std::string>& ids, bool as_json) {
  if (ids.size() != 1)
    throw Error(ErrorCode::invalid_argument, "rules explain needs one id, as in 'advisor rules explain memory-tight'");
  const std::vector<RuleInfo> rules = advisor.rules();
  const auto found =
      std::find_if(rules.begin(), rules.end(), [&](const auto& rule) { return rule.source.id == ids[0]; });
  if (found == rules.end()) {
    std::vector<std::string> known;
    for (const RuleInfo& rule : rules) known.push_back(rule.source.id);
    throw Error(ErrorCode::not_found,
                "no rule \"" + ids[0] + '"' + did_you_mean(ids[0], known) + " ('advisor rules' lists them)");
  }
  if (as_json) {
    std::cout << json_of(*found).dump(2) << '\n';
  } else {
    print(*found);
  }
  return exit_ok;
}

int facts(const std::vector<std::string>& text, bool as_json) {
  Table table{{"fact", "type", "layer", "meaning"}, {}};
  for (const FactInfo& fact : rule_facts()) table.rows.push_back({fact.path, fact.type, fact.layer, fact.doc});
  if (!text.empty()) table.keep(text[0]);
  std::cout << (as_json ? table.json() + "\n" : table.text());
  return exit_ok;
}

int run(const std::vector<std::string>& args, const Command& self) {
  po::options_description options("options");
  options.add_options()("what", po::value<std::string>()->default_value("list"), "list, check, explain or facts")(
      "argument", po::value<std::vector<std::string>>()->value_name("TEXT"), "files to check, or the id to explain")(
      "rules", po::value<std::vector<std::string>>()->value_name("DIR")->composing(),
      "a file or folder of your own rules, beside the shipped ones (repeatable; default: $ADVISOR_RULES)")(
      "alone", "check: without the rules that are in use");
  po::positional_options_description positional;
  positional.add("what", 1).add("argument", -1);
  po::variables_map values;
  if (!parse_options(self, args, options, positional, values)) return exit_ok;

  const auto what = values["what"].as<std::string>();
  const auto arguments = list_of(values, "argument");
  const bool as_json = values.count("json") != 0, alone = values.count("alone") != 0;
  if (alone && what != "check") throw Error(ErrorCode::invalid_argument, "--alone goes with 'rules check'");
  if (what == "list") return list(open_advisor(values), as_json);
  if (what == "check") return check(open_advisor(values), arguments, alone, as_json);
  if (what == "explain") return explain(open_advisor(values), arguments, as_json);
  if (what == "facts") return facts(arguments, as_json);
  const std::vector<std::string> known{"list", "check", "explain", "facts"};
  throw Error(ErrorCode::invalid_argument,
              "unknown \"rules " + what + '"' + did_you_mean(what, known) + "; known: " + join(known));
}

}  // namespace

const Command rules_command = {
    "rules", "what decides which options are admissible, and whether your own rules load",
    "rules [list] [--rules DIR]... [--json]\n"
    "       advisor rules check FILE|DIR... [--alone]\n"
    "       advisor rules explain ID\n"
    "       advisor rules facts [TEXT]",
    "list     the rules in use: the shipped ones and your own\n"
    "check    whether files load, beside the rules in use; exit code 2 and file:line:column when not\n"
    "explain  one rule: its text, what it reads, from when on it can be decided, its sources\n"
    "facts    what a rule may read (that contain TEXT)\n"
    "Your own rules are found by --rules or ADVISOR_RULES (folders separated by ':'); docs/rules.md says how to write\n"
    "them. Two rules cannot have one id, so a shipped rule is not overridden.\n",
    run};

}  // namespace advisor::cli
