// Any bytes as a choice file: either every item makes sense, or advisor::Error.
#include <cstdint>
#include <string_view>

#include "core/error.h"
#include "evaluate/suite.h"

using namespace advisor;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const ChoiceItem& item : parse_choices({reinterpret_cast<const char*>(data), size}, "fuzz")) {
      if (item.options.size() < 2 || item.answer < 0 || item.answer >= static_cast<std::int64_t>(item.options.size())) {
        __builtin_trap();  // accepted although no option is right
      }
    }
  } catch (const Error&) {
  }
  return 0;
}
