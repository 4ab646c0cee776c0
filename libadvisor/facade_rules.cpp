// Rules as the commands show and check them; a rule file can be checked without loading the knowledge.
#include <algorithm>

#include "facade_resolve.h"
#include "rules/rule_set.h"

namespace advisor {

namespace fs = std::filesystem;

std::vector<RuleInfo> Advisor::rules() const {
  return RuleSet::compile(rules_in_use(find_data(state_->data_dir), state_->rules)).describe();
}

std::vector<RuleInfo> Advisor::check_rules(const std::vector<fs::path>& paths, bool alone) const {
  const std::vector<RuleSource> asked = rules_of(paths);
  const auto is_asked = [&](const std::string& file) {
    return std::any_of(asked.begin(), asked.end(), [&](const RuleSource& rule) {
      std::error_code ec;
      return rule.where.file == file || fs::equivalent(rule.where.file, file, ec);
    });
  };
  std::vector<RuleSource> all = asked;
  if (!alone) {
    // a file that is in use already is checked in its own place, not beside itself
    for (RuleSource& rule : rules_in_use(find_data(state_->data_dir), state_->rules)) {
      if (!is_asked(rule.where.file)) all.push_back(std::move(rule));
    }
  }
  std::vector<RuleInfo> loaded = RuleSet::compile(all).describe();
  std::erase_if(loaded, [&](const RuleInfo& rule) { return !is_asked(rule.source.where.file); });
  return loaded;
}

std::vector<FactInfo> rule_facts() {
  const Vocabulary& names = vocabulary();
  std::vector<FactInfo> facts;
  for (const std::string& path : names.paths()) {
    const Symbol& symbol = *names.find(path);
    facts.push_back(
        {path, name(symbol.type), symbol.doc, std::string(name(static_cast<FactLayerId>(symbol.layer))), ""});
  }
  return facts;
}

}  // namespace advisor
