#include <algorithm>
#include <array>

#include "compress/technique.h"
#include "core/error.h"

namespace advisor {
namespace {

// An explicit list: self-registering objects would be dropped by the linker from a static library.
constexpr std::array<const TechniqueImpl*, 5> kTechniques{&rtn_technique, &gptq_technique, &awq_technique,
                                                          &awq_gptq_technique, &smoothquant_technique};

bool admits(std::string_view values, std::string_view value) {
  while (!values.empty()) {
    const auto bar = values.find('|');
    const std::string_view one = values.substr(0, bar);
    // "<number>" stands for any text here; the technique's check() reads it.
    if (one == value || (one.starts_with('<') && !value.empty())) return true;
    values = bar == std::string_view::npos ? std::string_view{} : values.substr(bar + 1);
  }
  return false;
}

}  // namespace

std::span<const TechniqueImpl* const> techniques() { return kTechniques; }

const TechniqueImpl& find_technique(std::string_view id) {
  std::string known;
  for (const TechniqueImpl* technique : kTechniques) {
    if (technique->id == id) return *technique;
    known += (known.empty() ? "" : ", ") + std::string(technique->id);
  }
  throw Error(ErrorCode::not_found, "unknown technique '" + std::string(id) + "'; this build has: " + known +
                                        " (and 'none' to convert without quantizing)");
}

TechniqueParams complete_params(const TechniqueImpl& technique, const TechniqueParams& given) {
  TechniqueParams params;
  for (const TechniqueParam& param : technique.params)
    params.emplace(std::string(param.id), std::string(param.default_value));
  for (const auto& [key, value] : given) {
    const auto row = std::ranges::find(technique.params, key, &TechniqueParam::id);
    if (row == technique.params.end()) {
      std::string known;
      for (const auto& entry : params) known += (known.empty() ? "" : ", ") + entry.first;
      throw Error(ErrorCode::invalid_argument, "technique " + std::string(technique.id) + " has no parameter '" + key +
                                                   "'; it has: " + (known.empty() ? "none" : known));
    }
    if (!admits(row->values, value))
      throw Error(ErrorCode::invalid_argument, "parameter " + key + " of technique " + std::string(technique.id) +
                                                   " is '" + value + "'; it must be " + std::string(row->values));
    params[key] = value;
  }
  return params;
}

}  // namespace advisor
