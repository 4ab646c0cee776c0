// config.json of a model that has none (it came from GGUF): the inverse of parse_model_config.
#include <algorithm>
#include <array>
#include <cmath>

#include "checkpoint/config_parts.h"
#include "checkpoint/folder.h"

namespace advisor {
namespace {

using json::OrderedJson;

struct ModelType {
  std::string_view architecture, name;
};
constexpr std::array<ModelType, 9> model_types{{
    {"LlamaForCausalLM", "llama"},
    {"MistralForCausalLM", "mistral"},
    {"MixtralForCausalLM", "mixtral"},
    {"Qwen2ForCausalLM", "qwen2"},
    {"Qwen3ForCausalLM", "qwen3"},
    {"Qwen3MoeForCausalLM", "qwen3_moe"},
    {"Gemma2ForCausalLM", "gemma2"},
    {"Gemma3ForCausalLM", "gemma3_text"},
    {"Phi3ForCausalLM", "phi3"},
}};

OrderedJson or_null(double value) { return value > 0 ? OrderedJson(value) : OrderedJson(nullptr); }

void add_rope(const ModelConfig& c, OrderedJson& root) {
  root["rope_theta"] = c.rope_theta;
  if (c.rope_local_theta > 0) root["rope_local_base_freq"] = c.rope_local_theta;
  if (c.rotary_dim != 0) {
    root["partial_rotary_factor"] = static_cast<double>(c.rotary_dim) / static_cast<double>(c.head_dim);
  }
  const RopeScaling& s = c.rope_scaling;
  if (s.type.empty()) return;
  OrderedJson scaling = {{"rope_type", s.type}, {"factor", s.factor}};
  if (s.type == "llama3") {
    scaling["low_freq_factor"] = s.low_freq;
    scaling["high_freq_factor"] = s.high_freq;
  } else if (s.type == "yarn") {
    scaling["beta_fast"] = s.beta_fast;
    scaling["beta_slow"] = s.beta_slow;
  } else if (s.type == "longrope") {
    scaling["short_factor"] = s.short_factor;
    scaling["long_factor"] = s.long_factor;
  }
  if (s.type != "linear") scaling["original_max_position_embeddings"] = s.original_context;
  if (s.magnitude) scaling["attention_factor"] = *s.magnitude;
  root["rope_scaling"] = std::move(scaling);
}

void add_windows(const ModelConfig& c, const config::Family& family, OrderedJson& root) {
  if (family.windows == config::Windows::none) return;
  const std::int64_t size = c.windows.empty() ? 0 : *std::max_element(c.windows.begin(), c.windows.end());
  root["sliding_window"] = size > 0 ? OrderedJson(size) : OrderedJson(nullptr);
  if (family.windows == config::Windows::later_layers) root["use_sliding_window"] = size > 0;
  if (size == 0) return;
  OrderedJson types = OrderedJson::array();
  for (const std::int64_t window : c.windows) types.push_back(window > 0 ? "sliding_attention" : "full_attention");
  root["layer_types"] = std::move(types);
}

void add_family(const ModelConfig& c, const config::Family& family, OrderedJson& root) {
  if (family.attention_bias) root["attention_bias"] = c.attention_bias;
  if (family.mlp_bias) root["mlp_bias"] = c.mlp_bias;
  if (family.gemma) {
    root["query_pre_attn_scalar"] = std::round(1 / (c.attention_scale * c.attention_scale));
    root["attn_logit_softcapping"] = or_null(c.attention_cap);
    root["final_logit_softcapping"] = or_null(c.logit_cap);
  }
  if (!family.experts) return;
  const bool mixtral = c.architecture == "MixtralForCausalLM";
  root[mixtral ? "num_local_experts" : "num_experts"] = c.experts;
  root["num_experts_per_tok"] = c.experts_per_token;
  if (mixtral) return;
  root["moe_intermediate_size"] = c.expert_intermediate;
  root["norm_topk_prob"] = c.normalize_experts;
}

}  // namespace

std::string write_model_config(const ModelConfig& c) {
  const config::Family& family = config::family_of(c.architecture);
  const auto type = std::find_if(model_types.begin(), model_types.end(),
                                 [&](const ModelType& t) { return t.architecture == c.architecture; });
  OrderedJson root;
  root["architectures"] = OrderedJson::array({c.architecture});
  if (type != model_types.end()) root["model_type"] = type->name;
  root["vocab_size"] = c.vocab;
  root["hidden_size"] = c.hidden;
  root["intermediate_size"] = c.intermediate;
  root["num_hidden_layers"] = c.layers;
  root["num_attention_heads"] = c.heads;
  root["num_key_value_heads"] = c.kv_heads;
  root["head_dim"] = c.head_dim;
  root["max_position_embeddings"] = c.max_context;
  root["rms_norm_eps"] = c.rms_norm_eps;
  add_rope(c, root);
  add_windows(c, family, root);
  root[family.activation_key] = c.activation;
  root["tie_word_embeddings"] = c.tie_embeddings;
  add_family(c, family, root);
  if (c.bos) root["bos_token_id"] = *c.bos;
  if (c.eos) root["eos_token_id"] = *c.eos;
  if (c.pad) root["pad_token_id"] = *c.pad;
  return root.dump(2);
}

}  // namespace advisor
