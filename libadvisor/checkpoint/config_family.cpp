// Families of models: defaults of their configuration classes (transformers 5.23), windows and experts.
#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/config_parts.h"
#include "core/error.h"

namespace advisor::config {
namespace {

using json::Json;

constexpr Family other = {.architecture = "", .rms_norm_eps = 1e-5};

constexpr std::array<Family, 9> families{{
    {.architecture = "LlamaForCausalLM", .attention_bias = true, .mlp_bias = true},
    {.architecture = "MistralForCausalLM", .windows = Windows::all_layers, .window = 4096},
    {.architecture = "MixtralForCausalLM",
     .rms_norm_eps = 1e-5,
     .rope_theta = 1e6,
     .windows = Windows::all_layers,
     .experts = true},
    {.architecture = "Qwen2ForCausalLM", .windows = Windows::later_layers, .window = 4096},
    {.architecture = "Qwen3ForCausalLM",
     .head_dim = 128,
     .attention_bias = true,
     .windows = Windows::later_layers,
     .window = 4096},
    {.architecture = "Qwen3MoeForCausalLM",
     .attention_bias = true,
     .windows = Windows::later_layers,
     .window = 4096,
     .experts = true},
    {.architecture = "Gemma2ForCausalLM",
     .head_dim = 256,
     .tie_embeddings = true,
     .activation_key = "hidden_activation",
     .activation = "gelu_pytorch_tanh",
     .attention_bias = true,
     .windows = Windows::all_layers,
     .window = 4096,
     .every_full = 2,
     .gemma = true,
     .attention_cap = 50,
     .logit_cap = 30},
    {.architecture = "Gemma3ForCausalLM",
     .rope_theta = 1e6,
     .head_dim = 256,
     .tie_embeddings = true,
     .activation_key = "hidden_activation",
     .activation = "gelu_pytorch_tanh",
     .attention_bias = true,
     .windows = Windows::all_layers,
     .window = 4096,
     .every_full = 6,
     .rope_local_theta = 10000,
     .gemma = true},
    {.architecture = "Phi3ForCausalLM", .rms_norm_eps = 1e-5, .windows = Windows::all_layers, .partial_rotary = true},
}};

/// The default of a cap is the family's; null says that there is none.
double cap(const Json& root, const char* key, double fallback, const std::string& where) {
  return root.contains(key) ? number_or(root, key, 0, where) : fallback;
}

/// Size of the window of layers that have one, 0 for none.
std::int64_t window_size(const Json& root, const Family& family, const std::string& where) {
  if (family.windows == Windows::none) return 0;
  if (family.windows == Windows::later_layers && !json::find_bool(root, "use_sliding_window", where).value_or(false)) {
    return 0;
  }
  return root.contains("sliding_window") ? size_or(root, "sliding_window", 0, where) : family.window;
}

/// Which layers have a window, as "layer_types" says it.
std::vector<bool> listed_layers(const Json& types, const std::string& where, const ModelConfig& config) {
  std::vector<bool> out;
  if (!types.is_array() || static_cast<std::int64_t>(types.size()) != config.layers) {
    bad(where, "\"layer_types\" must list one type per layer");
  }
  for (const Json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      throw Error(ErrorCode::unsupported, where + ": layer type " + type.dump() +
                                              " is not known, only \"full_attention\" and \"sliding_attention\"");
    }
    out.push_back(type == "sliding_attention");
  }
  return out;
}

void read_windows(const Json& root, const Family& family, const std::string& where, ModelConfig& config) {
  const std::int64_t size = window_size(root, family, where);
  const Json* types = json::find(root, "layer_types");
  const std::vector<bool> listed =
      types != nullptr && family.windows != Windows::none ? listed_layers(*types, where, config) : std::vector<bool>();
  if (size == 0) {
    if (std::find(listed.begin(), listed.end(), true) != listed.end()) {
      bad(where, "\"layer_types\" has layers with a sliding window, but \"sliding_window\" gives none");
    }
    return;
  }
  // all of the layers slide in Qwen3-MoE, which has no "max_window_layers"
  const std::int64_t first = family.windows == Windows::later_layers && !family.experts
                                 ? json::find_integer(root, "max_window_layers", where).value_or(28)
                                 : 0;
  const std::int64_t every = json::find_integer(root, "sliding_window_pattern", where).value_or(family.every_full);
  if (every < 0) bad(where, "\"sliding_window_pattern\" is negative");
  if (config.layers > 1 << 16) bad(where, "\"num_hidden_layers\" is beyond any model");
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const bool slides = !listed.empty() ? listed[static_cast<std::size_t>(i)]
                        : every > 0     ? (i + 1) % every != 0
                                        : i >= first;
    config.windows.push_back(slides ? size : 0);
  }
}

}  // namespace

const Family& family_of(std::string_view architecture) {
  const auto at = std::find_if(families.begin(), families.end(),
                               [&](const Family& family) { return family.architecture == architecture; });
  return at == families.end() ? other : *at;
}

double number_or(const Json& root, const char* key, double fallback, const std::string& where) {
  const double value = json::find_number(root, key, where).value_or(fallback);
  if (!std::isfinite(value) || value < 0) bad(where, std::string("\"") + key + "\" is out of range");
  return value;
}

void read_attention(const Json& root, const Family& family, const std::string& where, ModelConfig& config) {
  read_windows(root, family, where, config);
  if (family.attention_bias) config.attention_bias = json::find_bool(root, "attention_bias", where).value_or(false);
  if (family.mlp_bias) config.mlp_bias = json::find_bool(root, "mlp_bias", where).value_or(false);
  if (!family.gemma) return;
  const double scalar = number_or(root, "query_pre_attn_scalar", 256, where);
  if (!(scalar > 0)) bad(where, "\"query_pre_attn_scalar\" is out of range");
  config.attention_scale = 1 / std::sqrt(scalar);
  config.attention_cap = cap(root, "attn_logit_softcapping", family.attention_cap, where);
  config.logit_cap = cap(root, "final_logit_softcapping", family.logit_cap, where);
  if (json::find_bool(root, "use_bidirectional_attention", where).value_or(false)) {
    config.unsupported = "attention in both directions is not implemented";
  }
}

void read_experts(const Json& root, const Family& family, const std::string& where, ModelConfig& config) {
  if (!family.experts) return;
  const bool mixtral = family.architecture == "MixtralForCausalLM";
  config.experts = size_or(root, "num_local_experts", size_or(root, "num_experts", mixtral ? 8 : 128, where), where);
  config.experts_per_token = size_or(root, "num_experts_per_tok", mixtral ? 2 : 8, where);
  config.expert_intermediate = mixtral ? config.intermediate : size_or(root, "moe_intermediate_size", 768, where);
  config.normalize_experts = mixtral || json::find_bool(root, "norm_topk_prob", where).value_or(false);
  if (config.experts_per_token > config.experts) bad(where, "a token cannot go to more experts than there are");
  const Json* dense = json::find(root, "mlp_only_layers");
  if ((dense != nullptr && !dense->empty()) || size_or(root, "decoder_sparse_step", 1, where) != 1) {
    config.unsupported = "a mixture of experts in only some of the layers is not implemented";
  }
}

}  // namespace advisor::config
