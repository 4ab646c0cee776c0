// Any text as a profile, a rules file and JSON: refused with an Error, or read and written back to the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/json.h"
#include "io/yaml.h"

namespace {

template <class Read>
void tolerate(Read read) {
  try {
    read();
  } catch (const advisor::Error& error) {
    if (error.code() == advisor::ErrorCode::internal) std::abort();
  }
}

void check_round_trip(const advisor::Profile& profile) {
  const std::string json = advisor::profile_to_json(profile);
  if (advisor::profile_to_json(advisor::profile_from_json(json)) != json) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  tolerate([&] { check_round_trip(advisor::parse_profile(text, "p.yaml")); });
  tolerate([&] { check_round_trip(advisor::profile_from_json(text)); });
  tolerate([&] { advisor::parse_rules(text, "r.yaml"); });
  return 0;
}
