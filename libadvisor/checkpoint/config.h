// Geometry and special tokens of a checkpoint, from config.json or GGUF metadata.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace advisor {

/// How rotary positions are stretched beyond the context of pre-training.
struct RopeScaling {
  std::string
      type;  ///< "" for none, else as config.json says it ("llama3", "linear"): a decoder must know it or refuse
  double factor = 1;                     ///< linear, llama3, yarn
  double low_freq = 1, high_freq = 4;    ///< llama3: full turns within original_context that bound the transition
  std::int64_t original_context = 0;     ///< llama3, yarn, longrope; 0 when not said
  double beta_fast = 32, beta_slow = 1;  ///< yarn: turns within original_context that bound the transition
  std::optional<double> magnitude;       ///< yarn, longrope: of rotated queries and keys, when said
  std::vector<double> short_factor, long_factor;  ///< longrope: per frequency, up to and beyond original_context
  bool operator==(const RopeScaling&) const = default;
};

/// By what Llama 3.1 divides a frequency (radians per position): high ones are kept, low ones stretched.
double llama3_stretch(const RopeScaling& scaling, double original_context, double frequency);

struct ModelConfig {
  std::string architecture;  ///< HF class, "LlamaForCausalLM"
  std::string name;
  std::int64_t hidden = 0, intermediate = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, vocab = 0,
               max_context = 0;
  double rms_norm_eps = 1e-5, rope_theta = 10000;
  std::string activation = "silu";
  bool tie_embeddings = false;
  std::string torch_dtype;  ///< "bfloat16", ...
  RopeScaling rope_scaling;
  double rope_local_theta = 0;        ///< of layers with a window, never scaled; 0: as all others
  std::int64_t rotary_dim = 0;        ///< leading elements of a head that are rotated; 0: all
  std::vector<std::int64_t> windows;  ///< per layer: tokens that a token sees, itself included; 0: all before it
  bool attention_bias = false;        ///< of query, key, value and output projections
  bool mlp_bias = false;
  double attention_scale = 0;                                                ///< of the scores; 0: 1/sqrt(head_dim)
  double attention_cap = 0, logit_cap = 0;                                   ///< cap * tanh(x / cap); 0: none
  std::int64_t experts = 0, experts_per_token = 0, expert_intermediate = 0;  ///< 0 when the MLP is dense
  bool normalize_experts = true;                                             ///< weights of the chosen experts sum to 1
  std::string unsupported;  ///< what the configuration asks for and a forward pass would get wrong
  std::optional<std::int64_t> bos, eos, pad;

  bool operator==(const ModelConfig&) const = default;

  std::int64_t window(std::int64_t layer) const {
    return windows.empty() ? 0 : windows[static_cast<std::size_t>(layer)];
  }
};

}  // namespace advisor
