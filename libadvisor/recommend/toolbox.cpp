#include "recommend/toolbox.h"

#include <string_view>

namespace advisor {

namespace {

/// "W4A16" in the matrix covers "W4A16-g128", "W8A8" covers "W8A8-int8" but not "W8A8-fp8".
bool covers(std::string_view row, const std::string& scheme) {
  if (row == scheme) return true;
  if (row.empty() || !std::string_view(scheme).starts_with(std::string(row) + "-")) return false;
  const auto grid = describe_scheme(scheme).grid;
  return grid.empty() || grid == "int8" || grid == "int4" || row.find(grid) != std::string_view::npos;
}

/// Rows read "<format>:<scheme>", or the format alone when they speak for all schemes.
bool speaks_for(const EngineSupport& row, const Variant& variant) {
  const auto colon = row.format.find(':');
  if (std::string_view(row.format).substr(0, colon) != variant.format) return false;
  return colon == std::string::npos || covers(std::string_view(row.format).substr(colon + 1), variant.scheme);
}

int permissiveness(const EngineSupport& row) {
  return row.supported == "yes" ? 2 : row.supported == "emulated" ? 1 : 0;
}

}  // namespace

Toolbox::Toolbox(const Knowledge& snapshot)
    : knowledge(snapshot),
      quality(snapshot),
      scores(snapshot),
      speed(snapshot),
      rules(RuleSet::compile(snapshot.rules)) {
  for (const auto& technique : snapshot.techniques) techniques[technique.id] = &technique;
  for (const auto& task : snapshot.tasks) tasks[task.id] = &task;
}

const EngineSupport* find_support(const Knowledge& knowledge, const Variant& variant, const Device& device) {
  // Several lines may speak (kernels, versions): one that runs it is enough; then by source, so no order matters.
  const EngineSupport* best = nullptr;
  for (const auto& row : knowledge.engine_support) {
    if (row.engine != variant.engine || row.generation != device.generation || !speaks_for(row, variant)) continue;
    if (best == nullptr || permissiveness(row) > permissiveness(*best) ||
        (permissiveness(row) == permissiveness(*best) && row.source < best->source))
      best = &row;
  }
  return best;
}

}  // namespace advisor
