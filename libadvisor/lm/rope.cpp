#include "lm/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace advisor {
namespace {

constexpr double turn = 2 * std::numbers::pi;

std::int64_t rotary_dim(const ModelConfig& config) {
  return config.rotary_dim != 0 ? config.rotary_dim : config.head_dim;
}

std::int64_t original_context(const ModelConfig& config) {
  return config.rope_scaling.original_context != 0 ? config.rope_scaling.original_context : config.max_context;
}

/// YaRN (Peng et al. 2023, section 3.2), with the ramp over dimensions rounded to whole ones as its reference code has
/// it.
void stretch_yarn(const RopeScaling& s, double theta, double context, std::vector<double>& frequencies) {
  auto half = static_cast<double>(frequencies.size());
  auto dimension = [&](double turns) { return half * std::log(context / (turns * turn)) / std::log(theta); };
  double low = std::max(std::floor(dimension(s.beta_fast)), 0.0);
  double high = std::min(std::ceil(dimension(s.beta_slow)), 2 * half - 1);
  double width = high == low ? 0.001 : high - low;  // the reference's guard against a division by zero
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    double stretched = std::clamp((static_cast<double>(i) - low) / width, 0.0, 1.0);
    frequencies[i] *= stretched / s.factor + (1 - stretched);
  }
}

void stretch(const ModelConfig& config, std::int64_t length, Rope& rope) {
  const RopeScaling& s = config.rope_scaling;
  auto context = static_cast<double>(original_context(config));
  if (s.type == "linear") {
    for (double& f : rope.inverse_frequency) {
      f /= s.factor;
    }
  } else if (s.type == "llama3") {
    for (double& f : rope.inverse_frequency) {
      f /= llama3_stretch(s, context, f);
    }
  } else if (s.type == "yarn") {
    stretch_yarn(s, config.rope_theta, context, rope.inverse_frequency);
    rope.magnitude = s.magnitude.value_or(s.factor > 1 ? 0.1 * std::log(s.factor) + 1 : 1.0);  // YaRN, eq. 22
  } else if (s.type == "longrope") {
    const std::vector<double>& factors = length > original_context(config) ? s.long_factor : s.short_factor;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      rope.inverse_frequency[i] /= factors[i];
    }
    // LongRoPE (Ding et al. 2024) as Phi-3 uses it
    rope.magnitude = s.magnitude.value_or(s.factor > 1 ? std::sqrt(1 + std::log(s.factor) / std::log(context)) : 1.0);
  }
}

}  // namespace

void Rope::rotate(float* x, std::int64_t position, std::int64_t heads, std::int64_t head_dim) const {
  std::size_t half = inverse_frequency.size();
  std::vector<float> cosine(half), sine(half);
  for (std::size_t i = 0; i < half; ++i) {
    double angle = static_cast<double>(position) * inverse_frequency[i];
    cosine[i] = static_cast<float>(std::cos(angle) * magnitude);
    sine[i] = static_cast<float>(std::sin(angle) * magnitude);
  }
  for (std::int64_t h = 0; h < heads; ++h, x += head_dim) {
    for (std::size_t i = 0; i < half; ++i) {
      float a = x[i], b = x[i + half];
      x[i] = a * cosine[i] - b * sine[i];
      x[i + half] = b * cosine[i] + a * sine[i];
    }
  }
}

std::string rope_refuses(const ModelConfig& config) {
  const RopeScaling& s = config.rope_scaling;
  std::int64_t dim = rotary_dim(config);
  if (dim % 2 != 0 || dim < 0 || dim > config.head_dim) {
    return "rotary embedding needs an even head_dim, not " + std::to_string(dim);
  }
  if (s.type.empty()) {
    return "";
  }
  if (s.type != "linear" && s.type != "llama3" && s.type != "yarn" && s.type != "longrope") {
    return "rotary embedding scaled by \"" + s.type + "\" is not implemented";
  }
  if (!(s.factor > 0) || (s.type == "llama3" && !(s.high_freq > s.low_freq))) {
    return "the factors of its rotary embedding scaled by \"" + s.type + "\" make no sense";
  }
  auto half = static_cast<std::size_t>(dim / 2);
  if (s.type == "longrope" && (s.short_factor.size() != half || s.long_factor.size() != half)) {
    return "rotary embedding scaled by \"longrope\" needs " + std::to_string(half) + " short and long factors";
  }
  return "";
}

Rope rope_of(const ModelConfig& config, std::int64_t layer, std::int64_t length) {
  if (std::string why = rope_refuses(config); !why.empty()) {
    throw Error(ErrorCode::unsupported, "cannot run the model \"" + config.name + "\": " + why);
  }
  bool local = config.rope_local_theta > 0 && config.window(layer) > 0;
  double theta = local ? config.rope_local_theta : config.rope_theta;
  auto dim = static_cast<double>(rotary_dim(config));
  Rope rope;
  for (double i = 0; i < dim / 2; ++i) {
    rope.inverse_frequency.push_back(std::pow(theta, -2 * i / dim));  // RoFormer, section 3.2.2
  }
  if (!local) {
    stretch(config, length, rope);
  }
  return rope;
}

}  // namespace advisor
