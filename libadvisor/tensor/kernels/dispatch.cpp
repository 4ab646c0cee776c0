// Which SIMD target runs. The only place that knows Highway's global state.
#include <hwy/highway.h>

#include <algorithm>

#include "core/error.h"
#include "tensor/kernels/kernels.h"

namespace advisor::kernels {
namespace {

/// What the machine can do and this build holds; asked once, because set_target changes Highway's own answer.
const std::vector<std::int64_t>& available() {
  static const std::vector<std::int64_t> found = hwy::SupportedAndGeneratedTargets();
  return found;
}

}  // namespace

std::vector<std::string> targets() {
  std::vector<std::string> names;
  for (const std::int64_t t : available()) names.emplace_back(hwy::TargetName(t));
  return names;
}

std::string target() {
  available();
  return hwy::TargetName(hwy::SupportedAndGeneratedTargets().front());
}

void set_target(std::string_view name) {
  const std::vector<std::string> names = targets();
  std::int64_t mask = 0;  // Highway's word for no restriction
  if (!name.empty()) {
    const auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) {
      std::string list;
      for (const std::string& n : names) list += (list.empty() ? "" : ", ") + n;
      throw Error(ErrorCode::invalid_argument,
                  "no kernel target '" + std::string(name) + "' on this machine; choose one of " + list);
    }
    mask = available()[static_cast<std::size_t>(it - names.begin())];
  }
  hwy::SetSupportedTargetsForTest(mask);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace advisor::kernels
