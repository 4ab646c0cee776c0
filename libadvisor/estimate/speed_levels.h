// What a measurement has in common with others, level by level, and which levels each term of the speed model is the
// sum of (a crossed random-effects model; Gelman and Hill, Data Analysis Using Regression and Multilevel Models, ch.
// 13).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/hardware.h"
#include "core/variant.h"
#include "estimate/speed_model.h"

namespace advisor {

/// vLLM runs its rewritten engine by default since 0.8; a version that is not stated counts as today's.
bool is_rewritten_vllm(const std::string& version);

enum class SpeedField { engine, era, hardware, format, scheme, arithmetic, device };

struct SpeedLevels {
  std::string engine;      ///< empty: one that does not compare
  std::string era;         ///< "old" or "new" where an engine's own history splits it, else "any"
  std::string hardware;    ///< hbm, gpu, unified, apple, cpu, tpu
  std::string format;      ///< gguf4, w4, w8a8-fp8, 16 ...
  std::string scheme;      ///< of eager engines, whose kernels differ by technique; else empty
  std::string arithmetic;  ///< what is multiplied: 16, w4, fp8, int8 ...
  std::string device;      ///< catalog id; empty for explicit numbers
  bool mixture = false;
  const std::string& operator[](SpeedField field) const;
};

SpeedLevels speed_levels(const Variant& variant, const Device& device, bool mixture,
                         const std::string& engine_version = "");

/// Of a term: levels of the first fields of the block; the effect exists for each combination of its own fields.
struct SpeedEffect {
  std::vector<SpeedField> fields;
  double sd = 0;  ///< a priori, in the term's link space
};

/// Effects whose sum is stored and looked up together, most specific first, then without the last field and so on.
struct SpeedBlock {
  std::string_view name;
  SpeedTerm term = memory_efficiency;
  std::vector<SpeedField> fields;
  std::vector<SpeedEffect> effects;
  double mean = 0;           ///< a priori
  bool of_mixtures = false;  ///< applies to mixtures of experts only
  std::size_t required = 0;  ///< fields that must be known for the block to say anything
};
const std::vector<SpeedBlock>& speed_blocks();

/// Levels of the first `count` fields, joined by '|'.
std::string speed_key(const SpeedLevels& levels, std::span<const SpeedField> fields);

}  // namespace advisor
