#include "checkpoint/config.h"

#include "checkpoint/config_parts.h"
#include "checkpoint/folder.h"
#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {

void config::bad(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::parse_error, where + ": " + why);
}

namespace {

using config::bad;
using config::size_or;
using json::Json;

std::int64_t checked_size(std::int64_t value, const char* key, const std::string& where) {
  // Far above any model, far below where products of two of them overflow.
  constexpr std::int64_t limit = std::int64_t{1} << 31;
  if (value <= 0 || value > limit)
    bad(where, std::string("\"") + key + "\" is " + std::to_string(value) + ", which is not a size");
  return value;
}

std::int64_t need_size(const Json& root, const char* key, const std::string& where) {
  const auto value = json::find_integer(root, key, where);
  if (!value) bad(where, std::string("the field \"") + key + "\" is missing");
  return checked_size(*value, key, where);
}

/// A token id, or the first of a list of them (Llama 3 names several end tokens).
std::optional<std::int64_t> find_token(const Json& root, const char* key, const std::string& where) {
  const Json* value = json::find(root, key);
  if (value == nullptr || !value->is_array()) return json::find_integer(root, key, where);
  if (value->empty() || !value->front().is_number_integer())
    bad(where, std::string("\"") + key + "\" must hold token ids");
  return value->front().get<std::int64_t>();
}

}  // namespace

std::int64_t config::size_or(const Json& root, const char* key, std::int64_t fallback, const std::string& where) {
  const auto value = json::find_integer(root, key, where);
  return value ? checked_size(*value, key, where) : fallback;
}

ModelConfig parse_model_config(std::string_view text, const std::string& where) {
  const Json root = json::parse(text, where);
  if (!root.is_object()) bad(where, "must be a JSON object");
  ModelConfig config;
  const Json* architectures = json::find(root, "architectures");
  if (architectures == nullptr) bad(where, "the field \"architectures\" is missing");
  if (!architectures->is_array() || architectures->empty() || !architectures->front().is_string()) {
    bad(where, "\"architectures\" must be a list with the name of a class");
  }
  config.architecture = architectures->front().get<std::string>();
  const config::Family& family = config::family_of(config.architecture);
  config.hidden = need_size(root, "hidden_size", where);
  config.intermediate = need_size(root, "intermediate_size", where);
  config.layers = need_size(root, "num_hidden_layers", where);
  config.heads = need_size(root, "num_attention_heads", where);
  config.kv_heads = size_or(root, "num_key_value_heads", config.heads, where);
  config.vocab = need_size(root, "vocab_size", where);
  config.max_context = need_size(root, "max_position_embeddings", where);
  if (config.heads % config.kv_heads != 0) {
    bad(where, "\"num_attention_heads\" (" + std::to_string(config.heads) +
                   ") is not a multiple of \"num_key_value_heads\" (" + std::to_string(config.kv_heads) + ")");
  }
  if (json::find(root, "head_dim") == nullptr && family.head_dim == 0 && config.hidden % config.heads != 0) {
    bad(where, "\"hidden_size\" is not a multiple of \"num_attention_heads\", and there is no \"head_dim\"");
  }
  config.head_dim =
      size_or(root, "head_dim", family.head_dim != 0 ? family.head_dim : config.hidden / config.heads, where);
  config.rms_norm_eps = config::number_or(root, "rms_norm_eps", family.rms_norm_eps, where);
  const std::string activation_key(family.activation_key);
  config.activation = json::find_string(root, activation_key.c_str(), where).value_or(std::string(family.activation));
  config.tie_embeddings = json::find_bool(root, "tie_word_embeddings", where).value_or(family.tie_embeddings);
  config::read_rope(root, family, where, config);
  config::read_attention(root, family, where, config);
  config::read_experts(root, family, where, config);
  const char* dtype_key = json::find(root, "torch_dtype") != nullptr ? "torch_dtype" : "dtype";
  config.torch_dtype = json::find_string(root, dtype_key, where).value_or("");
  config.bos = find_token(root, "bos_token_id", where);
  config.eos = find_token(root, "eos_token_id", where);
  config.pad = find_token(root, "pad_token_id", where);
  return config;
}

}  // namespace advisor
