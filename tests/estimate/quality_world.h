// A small world of quality measurements: sources, two sizes, 4 and 8 bits; damage quadruples for 4 bits fewer and
// shrinks with size.
#pragma once

#include <cmath>

#include "core/knowledge.h"

namespace advisor {

inline Knowledge small_quality_world() {
  Knowledge knowledge;
  knowledge.tasks = {{"mmlu", "benchmark", "knowledge", 0.25, true}, {"average", "average", "mixed", {}, false}};
  for (const char* source : {"a", "b", "c"})
    for (const double params : {1e9, 16e9})
      for (const double bits : {4.0, 8.0}) {
        QualityMeasurement r;
        r.source = source, r.model = params > 2e9 ? "m/16B" : "m/1B", r.params = params, r.technique = "gptq";
        r.weight_bits = bits, r.activation_bits = 16, r.group_size = 128;
        r.scheme = bits == 4 ? "W4A16-g128" : "W8A16-g128";
        r.task = "mmlu", r.family = "knowledge", r.metric = "acc", r.metric_kind = "proportion";
        const double damage = (bits == 4 ? 0.08 : 0.005) * std::pow(params / 1e9, -0.3);
        r.baseline = 0.75, r.value = 0.25 + 0.5 * std::exp(-damage);
        knowledge.quality.push_back(r);
      }
  return knowledge;
}

}  // namespace advisor
