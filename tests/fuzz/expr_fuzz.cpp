// Any text as a condition: it is refused with a parse error, or it compiles and evaluates without failing.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "rules/facts.h"

namespace {

/// Half of the facts are known, so that both sides of the three-valued logic are walked.
advisor::FactSheet some_facts() {
  advisor::Profile profile;
  advisor::Hardware hardware;
  hardware.device.memory = 80e9;
  hardware.device.generation = "Ampere";
  return advisor::collect(profile, hardware, advisor::Model(), advisor::Variant(), advisor::Task());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const advisor::FactSheet facts = some_facts();
  const std::string text(reinterpret_cast<const char*>(data), size);
  try {
    const advisor::Expression expression = advisor::Expression::compile(text, advisor::vocabulary(), {"f", 1, 1});
    const std::optional<advisor::Value> value = expression.evaluate(facts);
    if (value && value->index() != static_cast<std::size_t>(expression.type().kind)) std::abort();
    if (value) advisor::format_value(*value, expression.type());
    expression.missing(facts);
  } catch (const advisor::Error& error) {
    if (error.code() != advisor::ErrorCode::parse_error) std::abort();
  }
  return 0;
}
