// Rotary scaling in GGUF files: keys for "linear" and "yarn", tensors with a factor per frequency for the others.
#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/gguf.h"

namespace advisor::gguf {
namespace {

constexpr std::string_view any_length = "rope_freqs.weight", up_to = "rope_factors_short.weight",
                           beyond = "rope_factors_long.weight";

std::vector<float> narrow(const std::vector<double>& values) {
  std::vector<float> out;
  for (const double value : values) out.push_back(static_cast<float>(value));
  return out;
}

/// Factors that do not depend on the length of the sequence, as read from a file with rope_freqs.
bool holds_at_any_length(const RopeScaling& s) {
  return s.type == "longrope" && s.short_factor == s.long_factor && s.magnitude.value_or(0) == 1;
}

bool is_llama(const ModelConfig& config) { return find_family(config.architecture)->gguf == "llama"; }

}  // namespace

std::vector<RotaryFactors> rotary_factors(const ModelConfig& config) {
  const RopeScaling& s = config.rope_scaling;
  if (holds_at_any_length(s) && is_llama(config)) return {{std::string(any_length), narrow(s.long_factor)}};
  if (s.type == "longrope") {
    return {{std::string(beyond), narrow(s.long_factor)}, {std::string(up_to), narrow(s.short_factor)}};
  }
  if (s.type != "llama3") return {};
  RotaryFactors out{std::string(any_length), {}};
  for (std::int64_t i = 0; i < config.head_dim; i += 2) {
    const double frequency =
        std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(config.head_dim));
    out.values.push_back(static_cast<float>(llama3_stretch(s, static_cast<double>(s.original_context), frequency)));
  }
  return {std::move(out)};
}

bool is_rotary_factors(std::string_view tensor) { return tensor == any_length || tensor == up_to || tensor == beyond; }

void set_rotary_factors(const RotaryFactors& factors, ModelConfig& config) {
  RopeScaling& s = config.rope_scaling;
  const std::vector<double> values(factors.values.begin(), factors.values.end());
  s.type = "longrope";
  if (factors.name != beyond) s.short_factor = values;
  if (factors.name != up_to) s.long_factor = values;
  if (factors.name == any_length) {
    s.magnitude = 1;
  } else {
    s.factor = static_cast<double>(config.max_context) / static_cast<double>(s.original_context);
  }
}

std::optional<std::string> rotary_refuses(const ModelConfig& config) {
  const Family& family = *find_family(config.architecture);
  const RopeScaling& s = config.rope_scaling;
  const bool gemma = family.norm_offset != 0;
  if (config.rope_local_theta != (family.gguf == "gemma3" ? 10000 : 0)) {
    return "llama.cpp does not read the rotation of layers with a window from the file";
  }
  if (config.rotary_dim != 0 && family.gguf != "phi3") return "llama.cpp rotates whole heads of this architecture";
  if (s.type.empty() || s.type == "linear") return std::nullopt;
  const bool usual = s.beta_fast == 32 && s.beta_slow == 1 && !s.magnitude;
  const bool possible = (s.type == "yarn" && usual && !gemma) || (s.type == "llama3" && family.gguf == "llama") ||
                        (s.type == "longrope" && family.gguf == "phi3") ||
                        (holds_at_any_length(s) && family.gguf == "llama");
  if (possible) return std::nullopt;
  return "llama.cpp cannot rotate this architecture with scaling \"" + s.type + "\" and these parameters";
}

void add_rotary_metadata(const ModelConfig& config, const std::string& prefix, Metadata& out) {
  const RopeScaling& s = config.rope_scaling;
  const auto number = [&](const char* key, double value) {
    out.emplace_back(prefix + key, Value{ValueType::f32, static_cast<double>(static_cast<float>(value))});
  };
  if (s.type == "linear" || s.type == "yarn") {
    out.emplace_back(prefix + "rope.scaling.type", Value{ValueType::string, s.type});
    number("rope.scaling.factor", s.factor);
  }
  if (s.type == "longrope" && !holds_at_any_length(s)) {
    const double context = static_cast<double>(s.original_context);
    number("rope.scaling.attn_factor",
           s.magnitude.value_or(s.factor > 1 ? std::sqrt(1 + std::log(s.factor) / std::log(context)) : 1.0));
  }
  if (s.type == "yarn" || (s.type == "longrope" && !holds_at_any_length(s))) {
    out.emplace_back(prefix + "rope.scaling.original_context_length", Value{ValueType::u32, s.original_context});
  }
}

}  // namespace advisor::gguf
