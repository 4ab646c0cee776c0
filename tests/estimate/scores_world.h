// A world of models and benchmarks whose abilities and difficulties are known: what the fit has to find again.
#pragma once

#include <cmath>
#include <string>

#include "core/knowledge.h"

namespace advisor {

/// Scores of `models` models of 1e9 to 64e9 parameters on `tasks` benchmarks with four choices, by harness "h" (and "g"
/// for every third model). Ability rises with size; each model has a bent of its own and each score some noise, both
/// from a fixed sequence.
inline Knowledge world_of_scores(int models = 24, int tasks = 8) {
  Knowledge k;
  std::uint32_t state = 12345;
  const auto noise = [&state] {  // sum of four uniform numbers: variance 1/3, near enough to normal
    double sum = -2;
    for (int i = 0; i < 4; ++i) {
      state = state * 1664525u + 1013904223u;
      sum += (state >> 8) / 16777216.0;
    }
    return sum;
  };
  const auto family_of = [](int task) { return task % 3 == 0 ? "knowledge" : task % 3 == 1 ? "math" : "code"; };
  k.families = {{"general", "", ""},
                {"knowledge", "", "general"},
                {"math", "", "general"},
                {"code", "", "general"},
                {"vision_language", "", "general"}};
  for (int t = 0; t < tasks; ++t)
    k.tasks.push_back({"task" + std::to_string(t), "benchmark", family_of(t), 0.25, true, ""});
  for (int m = 0; m < models; ++m) {
    Model model;
    model.id = "lab/model" + std::to_string(m);
    model.developer = "lab", model.family = "model";
    model.params = 1e9 * std::pow(64.0, m / (models - 1.0));
    model.released = "2024-01";
    model.modalities_in = {"text"};
    const double ability = 0.5 * std::log(*model.params / 8e9) + 0.5 * noise();
    for (int t = 0; t < tasks; ++t)
      for (const char* harness : {"h", "g"}) {
        if (*harness == 'g' && m % 3 != 0) continue;
        const double logit = 0.4 * (t - tasks / 2) + (*harness == 'g' ? 0.2 : 0) + ability + 0.3 * noise();
        k.scores.push_back({model.id, "task" + std::to_string(t), family_of(t), "acc", "5", "", harness,
                            0.25 + 0.75 / (1 + std::exp(-logit)), "https://" + std::string(harness), "", "proportion"});
      }
    k.models.push_back(std::move(model));
  }
  return k;
}

}  // namespace advisor
