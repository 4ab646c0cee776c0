// Model geometry as GGUF metadata, in both directions. Keys and defaults are those of llama.cpp.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_values.h"
#include "core/error.h"

namespace advisor::gguf {
namespace {

/// Layers without a window come every so often in Gemma; llama.cpp knows the rhythm.
std::int64_t rhythm_of(std::string_view gguf) { return gguf == "gemma2" ? 2 : gguf == "gemma3" ? 6 : 1; }

std::vector<std::int64_t> windows_of(std::string_view gguf, std::int64_t layers, std::int64_t size) {
  std::vector<std::int64_t> out;
  const std::int64_t every = rhythm_of(gguf);
  for (std::int64_t i = 0; i < layers; ++i) out.push_back(every > 1 && (i + 1) % every == 0 ? 0 : size);
  return out;
}

/// llama.cpp derives the scale of Gemma's scores from the size of the model: the 27B ones have their own.
double gemma_scale(std::string_view gguf, const ModelConfig& config) {
  const bool large = config.layers == (gguf == "gemma2" ? 46 : 62);
  return 1 / std::sqrt(static_cast<double>(large ? config.hidden / config.heads : config.head_dim));
}

std::optional<std::string> gemma_refuses(const Family& family, const ModelConfig& config) {
  const std::int64_t size = config.windows.empty() ? 0 : config.windows.front();
  if (size < 1 || config.windows != windows_of(family.gguf, config.layers, size)) {
    return "llama.cpp expects a layer without a sliding window every " + std::to_string(rhythm_of(family.gguf)) +
           " layers";
  }
  if (std::abs(config.attention_scale - gemma_scale(family.gguf, config)) > 1e-9) {
    return "llama.cpp does not read this \"query_pre_attn_scalar\" from the file";
  }
  if (family.gguf == "gemma3" && (config.attention_cap != 0 || config.logit_cap != 0)) {
    return "llama.cpp caps no scores or logits of Gemma 3";
  }
  if (family.gguf == "gemma2" && (config.attention_cap == 0 || config.logit_cap == 0)) {
    return "llama.cpp always caps scores and logits of Gemma 2";
  }
  return std::nullopt;
}

/// Why llama.cpp computes something else for this family, whatever the metadata.
std::optional<std::string> family_refuses(const Family& family, const ModelConfig& config) {
  if (!config.unsupported.empty()) return config.unsupported;
  const bool gemma = family.norm_offset != 0;
  const std::string_view activation = gemma ? "gelu_pytorch_tanh" : "silu";
  if (config.activation != activation) {
    return "llama.cpp runs this architecture with " + std::string(activation) + " only, not " + config.activation;
  }
  if ((config.attention_bias || config.mlp_bias) && family.architecture != "LlamaForCausalLM") {
    return "llama.cpp runs this architecture without these biases";
  }
  if (!family.expert_prefix.empty() && !config.normalize_experts) {
    return "llama.cpp makes the weights of the chosen experts sum to 1, which this model does not";
  }
  if (family.gguf == "phi3" && config.head_dim * config.heads != config.hidden) {
    return "llama.cpp expects heads of hidden size / heads elements";
  }
  return gemma ? gemma_refuses(family, config) : std::nullopt;
}

void add_family_metadata(const Family& family, const ModelConfig& config, const std::string& prefix, Metadata& out) {
  if (config.experts > 0) {
    out.emplace_back(prefix + "expert_count", u32(config.experts));
    out.emplace_back(prefix + "expert_used_count", u32(config.experts_per_token));
    if (family.gguf == "qwen3moe") {
      out.emplace_back(prefix + "expert_feed_forward_length", u32(config.expert_intermediate));
    }
  }
  if (family.gguf == "gemma2" || family.gguf == "gemma3" || family.gguf == "phi3") {
    out.emplace_back(prefix + "attention.sliding_window", u32(config.window(0)));
  }
  if (config.attention_cap > 0) out.emplace_back(prefix + "attn_logit_softcapping", f32(config.attention_cap));
  if (config.logit_cap > 0) out.emplace_back(prefix + "final_logit_softcapping", f32(config.logit_cap));
}

/// The other direction; refuses what this build would run differently from llama.cpp.
void read_family(const Reader& in, const Family& family, const std::string& prefix, const Header& header,
                 ModelConfig& config) {
  const auto has = [&](std::string_view name) {
    return std::any_of(header.tensors.begin(), header.tensors.end(), [&](const auto& t) { return t.name == name; });
  };
  if (!family.expert_prefix.empty()) {
    config.experts = in.dimension(prefix + "expert_count");
    config.experts_per_token = in.dimension(prefix + "expert_used_count");
    config.expert_intermediate = in.dimension(prefix + "expert_feed_forward_length", config.intermediate);
    if (config.experts_per_token > config.experts || config.experts > 1 << 16) {
      in.fail(ErrorCode::parse_error, "the numbers of experts make no sense");
    }
  }
  config.attention_bias = family.gguf == "llama" && has("blk.0.attn_output.bias");
  config.mlp_bias = family.gguf == "llama" && has("blk.0.ffn_down.bias");
  if (config.layers > static_cast<std::int64_t>(header.tensors.size())) {
    in.fail(ErrorCode::parse_error, "there are fewer tensors than layers");
  }
  if (family.norm_offset != 0) {
    config.activation = "gelu_pytorch_tanh";
    config.attention_scale = gemma_scale(family.gguf, config);
    config.attention_cap = in.real(prefix + "attn_logit_softcapping").value_or(0);
    config.logit_cap = in.real(prefix + "final_logit_softcapping").value_or(0);
    config.rope_local_theta = family.gguf == "gemma3" ? 10000 : 0;
    config.windows = windows_of(family.gguf, config.layers, in.dimension(prefix + "attention.sliding_window", 4096));
  } else if (const auto* size = in.find<std::int64_t>(prefix + "attention.sliding_window");
             family.gguf == "phi3" && size != nullptr && *size > 0) {
    config.windows.assign(static_cast<std::size_t>(config.layers), *size);
  }
  const auto* scaling = in.find<std::string>(prefix + "rope.scaling.type");
  if (scaling == nullptr || *scaling == "none" || *scaling == "longrope") return;
  if (*scaling != "linear" && *scaling != "yarn") {
    in.fail(ErrorCode::unsupported, "RoPE scaling '" + *scaling + "' is not supported");
  }
  config.rope_scaling.type = *scaling;
  config.rope_scaling.factor = in.real(prefix + "rope.scaling.factor").value_or(1);
}

}  // namespace

std::optional<std::string> metadata_refuses(const ModelConfig& config, const TokenizerData& tokenizer) {
  const Family* family = find_family(config.architecture);
  if (family == nullptr) return "GGUF has no name for architecture " + config.architecture;
  if (auto reason = family_refuses(*family, config)) return reason;
  if (auto reason = rotary_refuses(config)) return reason;
  for (const std::int64_t value : {config.hidden, config.intermediate, config.layers, config.heads, config.kv_heads,
                                   config.head_dim, config.vocab, config.max_context}) {
    if (value < 1 || value > std::numeric_limits<std::int32_t>::max()) return "config.json lacks part of the geometry";
  }
  if (config.head_dim % 2 != 0) return "rotary embedding needs an even head_dim";
  if (tokenizer.tokens.size() > static_cast<std::size_t>(config.vocab)) {
    return "the tokenizer has " + std::to_string(tokenizer.tokens.size()) + " tokens, the model only " +
           std::to_string(config.vocab);
  }
  return tokenizer_refuses(tokenizer);
}

Metadata to_metadata(const ModelConfig& config, const TokenizerData& tokenizer, GgufMix mix) {
  const Family& family = *find_family(config.architecture);
  const std::string prefix = std::string(family.gguf) + ".";
  Metadata out;
  out.emplace_back("general.architecture", text(std::string(family.gguf)));
  out.emplace_back("general.type", text("model"));
  out.emplace_back("general.name", text(config.name));
  out.emplace_back("general.file_type", u32(gguf_file_type(mix)));  // informative: each tensor names its own type
  if (gguf_block(gguf_base_type(mix)).elements > 1) out.emplace_back("general.quantization_version", u32(2));
  out.emplace_back(prefix + "vocab_size", u32(config.vocab));
  out.emplace_back(prefix + "context_length", u32(config.max_context));
  out.emplace_back(prefix + "embedding_length", u32(config.hidden));
  out.emplace_back(prefix + "block_count", u32(config.layers));
  out.emplace_back(prefix + "feed_forward_length", u32(config.intermediate));
  out.emplace_back(prefix + "attention.head_count", u32(config.heads));
  out.emplace_back(prefix + "attention.head_count_kv", u32(config.kv_heads));
  out.emplace_back(prefix + "attention.key_length", u32(config.head_dim));
  out.emplace_back(prefix + "attention.value_length", u32(config.head_dim));
  out.emplace_back(prefix + "attention.layer_norm_rms_epsilon", f32(config.rms_norm_eps));
  out.emplace_back(prefix + "rope.dimension_count", u32(config.rotary_dim != 0 ? config.rotary_dim : config.head_dim));
  out.emplace_back(prefix + "rope.freq_base", f32(config.rope_theta));
  add_rotary_metadata(config, prefix, out);
  add_family_metadata(family, config, prefix, out);
  add_tokenizer(config, tokenizer, out);
  return out;
}

ModelConfig to_config(const Header& header, const std::string& where) {
  const Reader in(header, where);
  const auto& arch = in.get<std::string>("general.architecture");
  const std::string prefix = arch + ".";
  const auto* experts = in.find<std::int64_t>(prefix + "expert_count");
  const Family* family = find_family_in_file(arch, experts != nullptr && *experts > 0);
  if (family == nullptr) in.fail(ErrorCode::unsupported, "GGUF architecture '" + arch + "' is not supported");
  ModelConfig config;
  config.architecture = family->architecture;
  if (const auto* name = in.find<std::string>("general.name")) config.name = *name;
  config.hidden = in.dimension(prefix + "embedding_length");
  config.intermediate = in.dimension(prefix + "feed_forward_length");
  config.layers = in.dimension(prefix + "block_count");
  config.heads = in.dimension(prefix + "attention.head_count");
  config.kv_heads = in.dimension(prefix + "attention.head_count_kv", config.heads);
  config.head_dim = in.dimension(prefix + "attention.key_length", config.hidden / config.heads);
  config.max_context = in.dimension(prefix + "context_length");
  const auto* tokens = in.find<std::vector<std::string>>("tokenizer.ggml.tokens");
  config.vocab = in.dimension(prefix + "vocab_size", tokens ? static_cast<std::int64_t>(tokens->size()) : 0);
  const std::int64_t rotary = in.dimension(prefix + "rope.dimension_count", config.head_dim);
  if (rotary != config.head_dim) config.rotary_dim = rotary;
  if (config.heads % config.kv_heads != 0 || rotary % 2 != 0 || rotary > config.head_dim ||
      (rotary != config.head_dim && family->gguf != "phi3") ||
      in.dimension(prefix + "attention.value_length", config.head_dim) != config.head_dim) {
    in.fail(ErrorCode::unsupported, "heads, key length and RoPE dimensions do not fit together");
  }
  const auto epsilon = in.real(prefix + "attention.layer_norm_rms_epsilon");
  if (!epsilon) in.fail(ErrorCode::parse_error, "'" + prefix + "attention.layer_norm_rms_epsilon' is missing");
  config.rms_norm_eps = *epsilon;
  config.rope_theta = in.real(prefix + "rope.freq_base").value_or(10000.0);
  config.rope_scaling.original_context =
      in.dimension(prefix + "rope.scaling.original_context_length", config.max_context);
  config.rope_scaling.magnitude = in.real(prefix + "rope.scaling.attn_factor");
  read_family(in, *family, prefix, header, config);
  config.bos = in.token_id("tokenizer.ggml.bos_token_id", config.vocab);
  config.eos = in.token_id("tokenizer.ggml.eos_token_id", config.vocab);
  config.pad = in.token_id("tokenizer.ggml.padding_token_id", config.vocab);
  return config;
}

}  // namespace advisor::gguf
