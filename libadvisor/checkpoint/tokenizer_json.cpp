// tokenizer.json (+ tokenizer_config.json) -> TokenizerData.
#include <algorithm>
#include <cctype>

#include "checkpoint/folder.h"
#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {
namespace {

using json::Json;

constexpr std::int64_t file_limit = 256 << 20;
constexpr std::int64_t id_limit = 1 << 24;  // so that one absurd id cannot make us allocate a table for it

[[noreturn]] void bad(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::parse_error, where + ": " + why);
}

const Json& need(const Json& object, const char* key, Json::value_t type, const std::string& where) {
  const Json* value = json::find(object, key);
  if (value == nullptr) bad(where, std::string("the field \"") + key + "\" is missing");
  if (value->type() != type) bad(where, std::string("\"") + key + "\" has the wrong type: " + value->type_name());
  return *value;
}

void place(TokenizerData& data, const Json& id, const std::string& content, const std::string& where) {
  if (!id.is_number_integer() || id.get<double>() < 0 || id.get<double>() >= static_cast<double>(id_limit)) {
    bad(where, "the token \"" + content + "\" has the id " + id.dump() + ", which is not a token id");
  }
  const auto index = id.get<std::size_t>();
  if (data.tokens.size() <= index) data.tokens.resize(index + 1);
  data.tokens[index] = content;
}

void read_vocabulary(const Json& model, TokenizerData& data, const std::string& where) {
  for (const auto& [token, id] : need(model, "vocab", Json::value_t::object, where).items()) {
    place(data, id, token, where);
  }
  for (const Json& merge : need(model, "merges", Json::value_t::array, where)) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      data.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else if (merge.is_string() && merge.get_ref<const std::string&>().find(' ') != std::string::npos) {
      data.merges.push_back(merge.get<std::string>());
    } else {
      bad(where, "a merge must be \"a b\" or [\"a\", \"b\"], but is " + merge.dump());
    }
  }
}

void read_added_tokens(const Json& root, TokenizerData& data, const std::string& where) {
  const Json* added = json::find(root, "added_tokens");
  if (added == nullptr) return;
  if (!added->is_array()) bad(where, "\"added_tokens\" must be a list");
  for (const Json& token : *added) {
    if (!token.is_object()) bad(where, "\"added_tokens\" must hold objects");
    const auto content = json::find_string(token, "content", where);
    const Json* id = json::find(token, "id");
    if (!content || id == nullptr) bad(where, "an added token needs \"id\" and \"content\"");
    place(data, *id, *content, where);
    data.special.push_back(id->get<std::int64_t>());
  }
}

/// One step of the pre-tokenizer, or what a Sequence of them amounts to. Anything that is not byte-level with at most
/// one split is passed on by its type name, for the tokenizer to refuse.
void read_pre_tokenizer(const Json& step, TokenizerData& data, const std::string& where) {
  if (!step.is_object()) bad(where, "\"pre_tokenizer\" must be an object");
  const std::string type = json::find_string(step, "type", where).value_or("");
  if (type == "Sequence") {
    for (const Json& inner : need(step, "pretokenizers", Json::value_t::array, where)) {
      read_pre_tokenizer(inner, data, where);
    }
  } else if (type == "ByteLevel") {
    data.add_prefix_space = json::find_bool(step, "add_prefix_space", where).value_or(true);
    if (json::find_bool(step, "use_regex", where).value_or(true)) data.pre = data.pre.empty() ? "gpt2" : "Sequence";
  } else if (type == "Split") {
    const auto pattern = json::find_string(need(step, "pattern", Json::value_t::object, where), "Regex", where);
    data.pre = data.pre.empty() && pattern ? *pattern : "Sequence";
  } else {
    data.pre = data.pre.empty() ? type : "Sequence";
  }
}

/// The text of "bos_token": a string, or an object with "content".
std::optional<std::string> token_text(const Json& root, const char* key, const std::string& where) {
  const Json* value = json::find(root, key);
  if (value != nullptr && value->is_object()) return json::find_string(*value, "content", where);
  return json::find_string(root, key, where);
}

std::optional<std::int64_t> id_of(const TokenizerData& data, const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const auto it = std::find(data.tokens.begin(), data.tokens.end(), *text);
  if (it == data.tokens.end()) return std::nullopt;
  return it - data.tokens.begin();
}

/// Whether the post-processor's template begins with the bos token.
bool template_adds_bos(const Json& root, const TokenizerData& data) {
  if (!data.bos) return false;
  const Json* processor = json::find(root, "post_processor");
  std::vector<const Json*> steps;
  if (processor != nullptr && processor->is_object()) steps.push_back(processor);
  if (processor != nullptr && processor->contains("processors") && (*processor)["processors"].is_array()) {
    for (const Json& step : (*processor)["processors"]) steps.push_back(&step);
  }
  for (const Json* step : steps) {
    if (!step->is_object() || !step->contains("single") || !(*step)["single"].is_array()) continue;
    const Json& single = (*step)["single"];
    if (single.empty() || !single.front().is_object() || !single.front().contains("SpecialToken")) continue;
    const Json& token = single.front()["SpecialToken"];
    if (token.is_object() && token.contains("id") && token["id"] == data.tokens[static_cast<std::size_t>(*data.bos)]) {
      return true;
    }
  }
  return false;
}

}  // namespace

TokenizerData parse_tokenizer(std::string_view tokenizer_json, std::string_view tokenizer_config_json,
                              const ModelConfig& config, const std::string& where) {
  const Json root = json::parse(tokenizer_json, where);
  if (!root.is_object()) bad(where, "must be a JSON object");
  const Json& model = need(root, "model", Json::value_t::object, where);
  TokenizerData data;
  data.model = json::find_string(model, "type", where).value_or("");
  std::transform(data.model.begin(), data.model.end(), data.model.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (data.model == "bpe") read_vocabulary(model, data, where);  // others are refused by whoever wants to tokenize
  read_added_tokens(root, data, where);
  data.ignore_merges = json::find_bool(model, "ignore_merges", where).value_or(false);
  if (const Json* step = json::find(root, "pre_tokenizer")) read_pre_tokenizer(*step, data, where);
  if (const Json* step = json::find(root, "normalizer"); step != nullptr && step->is_object()) {
    data.normalizer = json::find_string(*step, "type", where).value_or("unknown");
  }

  const std::string settings_name = where + " (tokenizer_config.json)";
  const Json settings =
      tokenizer_config_json.empty() ? Json::object() : json::parse(tokenizer_config_json, settings_name);
  if (!settings.is_object()) bad(settings_name, "must be a JSON object");
  const auto in_table = [&](std::optional<std::int64_t> id) {
    return id && *id >= 0 && *id < static_cast<std::int64_t>(data.tokens.size()) ? id : std::nullopt;
  };
  const auto pick = [&](const char* key, std::optional<std::int64_t> fallback) {
    const auto id = id_of(data, token_text(settings, key, settings_name));
    return id ? id : in_table(fallback);
  };
  data.bos = pick("bos_token", config.bos);
  data.eos = pick("eos_token", config.eos);
  data.pad = pick("pad_token", config.pad);
  const auto add_bos = json::find_bool(settings, "add_bos_token", settings_name);
  data.add_bos = data.bos.has_value() && add_bos.value_or(template_adds_bos(root, data));
  return data;
}

TokenizerData read_tokenizer(const std::filesystem::path& folder, const ModelConfig& config) {
  const auto path = folder / "tokenizer.json";
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorCode::not_found, folder.string() + " has no tokenizer.json; without it text cannot be tokenized");
  }
  const auto settings = folder / "tokenizer_config.json";
  return parse_tokenizer(files::read_text(path, file_limit),
                         std::filesystem::exists(settings) ? files::read_text(settings, file_limit) : std::string(),
                         config, path.string());
}

}  // namespace advisor
