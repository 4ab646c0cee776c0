// Names and row order of the Llama family in GGUF files, as llama.cpp's converter gives them.
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

constexpr std::array<NamePair, 9> inner{{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};

constexpr NamePair layer_prefix{"model.layers.", "blk."};

/// One direction of the map: `from` and `to` choose the spelling.
std::optional<std::string> translate(std::string_view name, std::string_view NamePair::*from,
                                     std::string_view NamePair::*to) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view kind = name.substr(dot);
  if (kind != ".weight" && kind != ".bias") return std::nullopt;
  name = name.substr(0, dot);
  for (const NamePair& pair : outer) {
    if (name == pair.*from) return std::string(pair.*to).append(kind);
  }
  if (!name.starts_with(layer_prefix.*from)) return std::nullopt;
  name.remove_prefix((layer_prefix.*from).size());
  const std::size_t end = name.find('.');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view layer = name.substr(0, end);
  unsigned index = 0;  // "007" and "+7" are not names of layer 7
  const auto [stop, error] = std::from_chars(layer.data(), layer.data() + layer.size(), index);
  if (error != std::errc() || std::to_string(index) != layer || stop != layer.data() + layer.size()) {
    return std::nullopt;
  }
  for (const NamePair& pair : inner) {
    if (name.substr(end + 1) == pair.*from) {
      return std::string(layer_prefix.*to).append(layer).append(".").append(pair.*to).append(kind);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> to_gguf_name(std::string_view hugging_face) {
  return translate(hugging_face, &NamePair::hugging_face, &NamePair::gguf);
}

std::optional<std::string> to_hugging_face_name(std::string_view gguf) {
  return translate(gguf, &NamePair::gguf, &NamePair::hugging_face);
}

std::int64_t RowOrder::in_file(std::int64_t row) const {
  if (head_dim == 0) return row;
  const std::int64_t within = row % head_dim, half = head_dim / 2;
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1);
}

RowOrder row_order(std::string_view hugging_face, const ModelConfig& config) {
  const bool rotated = hugging_face.find(".self_attn.q_proj.") != std::string_view::npos ||
                       hugging_face.find(".self_attn.k_proj.") != std::string_view::npos;
  return {rotated ? config.head_dim : 0};
}

}  // namespace advisor::gguf
