// The parts of config.json that differ between families of models. Private to checkpoint/config*.cpp.
#pragma once

#include <string>
#include <string_view>

#include "checkpoint/config.h"
#include "checkpoint/json.h"

namespace advisor::config {

enum class Windows {
  none,
  all_layers,   ///< "sliding_window" unless null
  later_layers  ///< Qwen: only with "use_sliding_window", from layer "max_window_layers"
};

/// What the configuration class of a family means by a key, and by its absence.
struct Family {
  std::string_view architecture;
  double rms_norm_eps = 1e-6, rope_theta = 10000;
  std::int64_t head_dim = 0;  ///< 0: hidden / heads
  bool tie_embeddings = false;
  std::string_view activation_key = "hidden_act", activation = "silu";
  bool attention_bias = false, mlp_bias = false;  ///< whether such a key exists
  Windows windows = Windows::none;
  std::int64_t window = 0;      ///< default of "sliding_window"
  std::int64_t every_full = 0;  ///< Gemma: every so manieth layer has no window; 0: as `windows` says
  double rope_local_theta = 0;  ///< Gemma 3
  bool gemma = false;           ///< query_pre_attn_scalar and the caps
  double attention_cap = 0, logit_cap = 0;
  bool partial_rotary = false;  ///< whether a part of a head may be rotated
  bool experts = false;
};

/// The row of the architecture, or one with what most families do.
const Family& family_of(std::string_view architecture);

[[noreturn]] void bad(const std::string& where, const std::string& why);
std::int64_t size_or(const json::Json& root, const char* key, std::int64_t fallback, const std::string& where);
/// Finite and not negative, or parse_error.
double number_or(const json::Json& root, const char* key, double fallback, const std::string& where);

/// Both need sizes and architecture of `config` and fill in the rest of their part.
void read_rope(const json::Json& root, const Family& family, const std::string& where, ModelConfig& config);
void read_attention(const json::Json& root, const Family& family, const std::string& where, ModelConfig& config);
void read_experts(const json::Json& root, const Family& family, const std::string& where, ModelConfig& config);

}  // namespace advisor::config
