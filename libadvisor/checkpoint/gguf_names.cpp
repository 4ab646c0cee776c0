// Names, row order and stored form of tensors in GGUF files, as llama.cpp's converters give them.
#include <algorithm>
#include <array>
#include <charconv>

#include "checkpoint/gguf.h"

namespace advisor::gguf {
namespace {

struct NamePair {
  std::string_view hugging_face, gguf;
};

constexpr std::array<NamePair, 3> outer{{
    {"model.embed_tokens", "token_embd"},
    {"model.norm", "output_norm"},
    {"lm_head", "output"},
}};

constexpr std::array<NamePair, 12> inner{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
    {"mlp.gate", "ffn_gate_inp"},
}};

/// What a family calls differently; looked up before `inner`.
constexpr std::array<NamePair, 3> gemma{{
    {"post_attention_layernorm", "post_attention_norm"},
    {"pre_feedforward_layernorm", "ffn_norm"},
    {"post_feedforward_layernorm", "post_ffw_norm"},
}};
constexpr std::array<NamePair, 2> phi3{{
    {"self_attn.qkv_proj", "attn_qkv"},
    {"mlp.gate_up_proj", "ffn_up"},
}};
constexpr std::array<NamePair, 1> mixtral{{{"block_sparse_moe.gate", "ffn_gate_inp"}}};

/// Matrices of experts, stacked in the file.
constexpr std::array<NamePair, 3> mixtral_experts{{
    {"w1", "ffn_gate_exps"},
    {"w3", "ffn_up_exps"},
    {"w2", "ffn_down_exps"},
}};
constexpr std::array<NamePair, 3> qwen_experts{{
    {"gate_proj", "ffn_gate_exps"},
    {"up_proj", "ffn_up_exps"},
    {"down_proj", "ffn_down_exps"},
}};

constexpr std::array<Family, 9> families{{
    {.architecture = "LlamaForCausalLM", .gguf = "llama", .interleaved = true},
    {.architecture = "MistralForCausalLM", .gguf = "llama", .interleaved = true},
    {.architecture = "MixtralForCausalLM",
     .gguf = "llama",
     .interleaved = true,
     .expert_prefix = "block_sparse_moe.experts."},
    {.architecture = "Qwen2ForCausalLM", .gguf = "qwen2"},
    {.architecture = "Qwen3ForCausalLM", .gguf = "qwen3"},
    {.architecture = "Qwen3MoeForCausalLM", .gguf = "qwen3moe", .expert_prefix = "mlp.experts."},
    {.architecture = "Gemma2ForCausalLM", .gguf = "gemma2", .norm_offset = 1},
    {.architecture = "Gemma3ForCausalLM", .gguf = "gemma3", .norm_offset = 1},
    {.architecture = "Phi3ForCausalLM", .gguf = "phi3"},
}};

constexpr NamePair layer_prefix{"model.layers.", "blk."};

std::span<const NamePair> own_names(const Family& family) {
  if (family.norm_offset != 0) return gemma;
  if (family.gguf == "phi3") return phi3;
  if (family.architecture == "MixtralForCausalLM") return mixtral;
  return {};
}

std::span<const NamePair> expert_names(const Family& family) {
  if (family.expert_prefix.empty()) return {};
  return family.architecture == "MixtralForCausalLM" ? std::span(mixtral_experts) : std::span(qwen_experts);
}

std::optional<std::string_view> look_up(std::span<const NamePair> names, std::string_view name,
                                        std::string_view NamePair::*from, std::string_view NamePair::*to) {
  const auto at = std::find_if(names.begin(), names.end(), [&](const NamePair& pair) { return pair.*from == name; });
  return at == names.end() ? std::nullopt : std::optional((*at).*to);
}

/// Takes the number in front of a dot: "12.rest" -> "12". "007" and "+7" are not names of layer 7.
std::optional<std::string_view> take_index(std::string_view& name) {
  const std::size_t end = name.find('.');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view digits = name.substr(0, end);
  unsigned index = 0;
  const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || std::to_string(index) != digits || stop != digits.data() + digits.size()) {
    return std::nullopt;
  }
  name.remove_prefix(end + 1);
  return digits;
}

/// A name cut into its parts: "model.layers." "3" "mlp.up_proj" ".weight"; no layer outside of the blocks.
struct Cut {
  std::optional<std::string_view> layer;
  std::string_view part, kind;
};

std::optional<Cut> cut(std::string_view name, std::string_view prefix) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  Cut out{std::nullopt, name.substr(0, dot), name.substr(dot)};
  if (out.kind != ".weight" && out.kind != ".bias") return std::nullopt;
  if (out.part.starts_with(prefix)) {
    out.part.remove_prefix(prefix.size());
    out.layer = take_index(out.part);
    if (!out.layer) return std::nullopt;
  }
  return out;
}

std::string join(std::string_view prefix, const Cut& name, std::string_view part) {
  std::string out = name.layer ? std::string(prefix).append(*name.layer).append(".") : std::string();
  return out.append(part).append(name.kind);
}

/// One direction of the map for tensors that are not stacked.
std::optional<std::string> translate(const Family& family, const Cut& name, std::string_view NamePair::*from,
                                     std::string_view NamePair::*to) {
  if (!name.layer) {
    const auto part = look_up(outer, name.part, from, to);
    return part ? std::optional(join("", name, *part)) : std::nullopt;
  }
  auto part = look_up(own_names(family), name.part, from, to);
  if (!part) {
    part = look_up(inner, name.part, from, to);
    // a name that the family calls differently is not that of another one
    if (part && look_up(own_names(family), *part, to, from)) return std::nullopt;
  }
  const bool mixture = !family.expert_prefix.empty();
  if (!part || (part->starts_with("ffn_gate_inp") && !mixture) || (name.part == "ffn_gate_inp" && !mixture)) {
    return std::nullopt;
  }
  return join(layer_prefix.*to, name, *part);
}

}  // namespace

const Family* find_family(std::string_view architecture) {
  const auto at = std::find_if(families.begin(), families.end(),
                               [&](const Family& family) { return family.architecture == architecture; });
  return at == families.end() ? nullptr : &*at;
}

const Family* find_family_in_file(std::string_view gguf, bool experts) {
  const auto at = std::find_if(families.begin(), families.end(), [&](const Family& family) {
    return family.gguf == gguf && family.expert_prefix.empty() != experts;
  });
  return at == families.end() ? nullptr : &*at;
}

std::optional<Place> place_of(std::string_view hugging_face, const ModelConfig& config) {
  const Family* family = find_family(config.architecture);
  auto name = cut(hugging_face, layer_prefix.hugging_face);
  if (family == nullptr || !name) return std::nullopt;
  Place place;
  if (!family->expert_prefix.empty() && name->layer && name->part.starts_with(family->expert_prefix)) {
    name->part.remove_prefix(family->expert_prefix.size());
    const auto index = take_index(name->part);
    const auto part = look_up(expert_names(*family), name->part, &NamePair::hugging_face, &NamePair::gguf);
    if (!index || !part || name->kind != ".weight") return std::nullopt;
    std::from_chars(index->data(), index->data() + index->size(), place.part);
    place.parts = config.experts;
    if (place.part >= place.parts) return std::nullopt;
    place.tensor = join(layer_prefix.gguf, *name, *part);
    return place;
  }
  const auto tensor = translate(*family, *name, &NamePair::hugging_face, &NamePair::gguf);
  if (!tensor) return std::nullopt;
  place.tensor = *tensor;
  const bool rotated = name->part == "self_attn.q_proj" || name->part == "self_attn.k_proj";
  if (family->interleaved && rotated) place.order.head_dim = config.head_dim;
  if (name->part.ends_with("norm")) place.offset = family->norm_offset;
  return place;
}

std::vector<std::string> hugging_face_names(std::string_view tensor, const ModelConfig& config) {
  const Family* family = find_family(config.architecture);
  const auto name = cut(tensor, layer_prefix.gguf);
  if (family == nullptr || !name) return {};
  const auto part = look_up(expert_names(*family), name->part, &NamePair::gguf, &NamePair::hugging_face);
  std::vector<std::string> out;
  if (name->layer && part && name->kind == ".weight") {
    for (std::int64_t e = 0; e < config.experts; ++e) {
      out.push_back(join(layer_prefix.hugging_face, *name,
                         std::string(family->expert_prefix) + std::to_string(e) + "." + std::string(*part)));
    }
  } else if (auto one = translate(*family, *name, &NamePair::gguf, &NamePair::hugging_face)) {
    out.push_back(std::move(*one));
  }
  return out;
}

std::int64_t RowOrder::in_file(std::int64_t row) const {
  if (head_dim == 0) return row;
  const std::int64_t within = row % head_dim, half = head_dim / 2;
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

}  // namespace advisor::gguf
