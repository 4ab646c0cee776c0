// Rotary embedding in config.json: "rope_theta" and "rope_scaling", or since transformers 5 "rope_parameters".
#include <algorithm>
#include <cmath>
#include <numbers>

#include "checkpoint/config_parts.h"

namespace advisor {

double llama3_stretch(const RopeScaling& scaling, double original_context, double frequency) {
  const double turns = original_context * frequency / (2 * std::numbers::pi);
  const double kept = std::clamp((turns - scaling.low_freq) / (scaling.high_freq - scaling.low_freq), 0.0, 1.0);
  return 1 / ((1 - kept) / scaling.factor + kept);
}

namespace config {
namespace {

using json::Json;

const Json* find_object(const Json& root, const char* key, const std::string& where) {
  const Json* value = json::find(root, key);
  if (value != nullptr && !value->is_object()) bad(where, std::string("\"") + key + "\" must be an object or null");
  return value;
}

std::vector<double> factors(const Json& object, const char* key, const std::string& where) {
  std::vector<double> out;
  const Json* value = json::find(object, key);
  if (value == nullptr) return out;
  if (!value->is_array()) bad(where, std::string("\"") + key + "\" must be a list of numbers");
  for (const Json& factor : *value) {
    if (!factor.is_number() || !(factor.get<double>() > 0)) {
      bad(where, std::string("\"") + key + "\" must hold positive numbers");
    }
    out.push_back(factor.get<double>());
  }
  return out;
}

double need_number(const Json& object, const char* key, const std::string& where) {
  if (json::find(object, key) == nullptr) bad(where, std::string("the rotary embedding lacks \"") + key + "\"");
  return number_or(object, key, 0, where);
}

/// 0.1 m ln(s) + 1, YaRN's growth of scores with the stretch, eq. 22.
double yarn_growth(double factor, double m) { return factor <= 1 ? 1.0 : 0.1 * m * std::log(factor) + 1; }

std::string scaling_type(const Json& object, const Family& family, const std::string& where) {
  auto type = json::find_string(object, "rope_type", where);
  if (!type) type = json::find_string(object, "type", where);
  if (!type) return json::find(object, "factor") != nullptr ? "unknown" : "";
  if (*type == "default") return "";
  // the names under which Phi-3 was published
  return family.partial_rotary && (*type == "su" || *type == "yarn") ? "longrope" : *type;
}

void read_yarn(const Json& object, const std::string& where, ModelConfig& config) {
  RopeScaling& out = config.rope_scaling;
  out.beta_fast = number_or(object, "beta_fast", out.beta_fast, where);
  out.beta_slow = number_or(object, "beta_slow", out.beta_slow, where);
  const double scores = number_or(object, "mscale", 0, where), all = number_or(object, "mscale_all_dim", 0, where);
  if (!out.magnitude && scores > 0 && all > 0) {
    out.magnitude = yarn_growth(out.factor, scores) / yarn_growth(out.factor, all);
  }
  if (!json::find_bool(object, "truncate", where).value_or(true)) {
    config.unsupported = "rotary embedding scaled by \"yarn\" without truncation is not implemented";
  }
}

void read_scaling(const Json& root, const Json& object, const Family& family, const std::string& where,
                  ModelConfig& config) {
  RopeScaling& out = config.rope_scaling;
  out.type = scaling_type(object, family, where);
  if (out.type.empty()) return;
  const std::int64_t inner = size_or(object, "original_max_position_embeddings", config.max_context, where);
  out.original_context = size_or(root, "original_max_position_embeddings", inner, where);
  if (json::find(object, "attention_factor") != nullptr) {
    out.magnitude = number_or(object, "attention_factor", 1, where);
  }
  const double stretch = static_cast<double>(config.max_context) / static_cast<double>(out.original_context);
  if (out.type == "linear") {
    out.factor = need_number(object, "factor", where);
  } else if (out.type == "llama3") {
    out.factor = need_number(object, "factor", where);
    out.low_freq = need_number(object, "low_freq_factor", where);
    out.high_freq = need_number(object, "high_freq_factor", where);
  } else if (out.type == "yarn") {
    out.factor = number_or(object, "factor", stretch, where);
    read_yarn(object, where, config);
  } else if (out.type == "longrope") {
    out.factor = number_or(object, "factor", stretch, where);
    out.short_factor = factors(object, "short_factor", where);
    out.long_factor = factors(object, "long_factor", where);
  }
}

void read_partial(const Json& root, const Json* parameters, const Family& family, const std::string& where,
                  ModelConfig& config) {
  double part = number_or(root, "partial_rotary_factor", 1, where);
  if (parameters != nullptr) part = number_or(*parameters, "partial_rotary_factor", part, where);
  if (part == 1) return;
  config.rotary_dim = static_cast<std::int64_t>(static_cast<double>(config.head_dim) * part);
  if (config.rotary_dim < 1 || config.rotary_dim > config.head_dim) {
    bad(where, "\"partial_rotary_factor\" must lie between 0 and 1");
  }
  if (!family.partial_rotary) {
    config.unsupported = "\"partial_rotary_factor\" is not implemented for " + config.architecture;
  }
}

}  // namespace

void read_rope(const Json& root, const Family& family, const std::string& where, ModelConfig& config) {
  config.rope_theta = number_or(root, "rope_theta", family.rope_theta, where);
  config.rope_local_theta = number_or(root, "rope_local_base_freq", family.rope_local_theta, where);
  const Json* parameters = find_object(root, "rope_parameters", where);
  if (parameters != nullptr) {
    if (const Json* local = find_object(*parameters, "sliding_attention", where)) {
      config.rope_local_theta = number_or(*local, "rope_theta", config.rope_local_theta, where);
      if (!scaling_type(*local, family, where).empty()) {
        config.unsupported = "a scaled rotary embedding in layers with a sliding window is not implemented";
      }
    }
    if (const Json* global = find_object(*parameters, "full_attention", where)) parameters = global;
    config.rope_theta = number_or(*parameters, "rope_theta", config.rope_theta, where);
  }
  if (!(config.rope_theta > 0)) bad(where, "\"rope_theta\" is out of range");
  if (family.rope_local_theta == 0 && config.rope_local_theta > 0 && family.architecture == config.architecture) {
    config.unsupported =
        "a rotary embedding of its own for layers with a window is not implemented for " + config.architecture;
  }
  const Json* scaling = find_object(root, "rope_scaling", where);
  if (scaling == nullptr) scaling = parameters;
  if (scaling != nullptr) read_scaling(root, *scaling, family, where, config);
  read_partial(root, parameters, family, where, config);
}

}  // namespace config
}  // namespace advisor
