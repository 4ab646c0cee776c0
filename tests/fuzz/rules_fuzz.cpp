// Any text as a rule file: it is refused with file:line, or it compiles and can be asked without failing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "io/yaml.h"
#include "rules/rule_set.h"

namespace {

/// Half of the facts are known, so that both sides of the three-valued logic are walked.
advisor::FactSheet some_facts() {
  advisor::Hardware hardware;
  hardware.device.memory = 80e9;
  hardware.device.generation = "Ampere";
  return advisor::collect(advisor::Profile(), hardware, advisor::Model(), advisor::Variant(), advisor::Task());
}

void ask(const advisor::RuleSet& rules) {
  static const advisor::FactSheet facts = some_facts();
  const advisor::Findings findings = rules.apply(facts, "variant");
  bool forbidden = false;
  for (std::size_t layer = 0; layer < advisor::fact_layers; ++layer) {
    forbidden = rules.forbidden(facts.facts(), static_cast<advisor::FactLayerId>(layer)) != nullptr || forbidden;
  }
  if (forbidden != (findings.decisive() != nullptr)) std::abort();
  if (rules.describe().size() != rules.size()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    ask(advisor::RuleSet::compile(advisor::parse_rules(text, "f.yaml")));
  } catch (const advisor::Error& error) {
    if (error.code() != advisor::ErrorCode::parse_error) std::abort();
    if (std::string(error.what()).rfind("f.yaml:", 0) != 0) std::abort();
  }
  return 0;
}
