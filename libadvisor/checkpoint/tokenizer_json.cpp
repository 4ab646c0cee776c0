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
constexpr std::int64_t id_limit = 1 << 22;  // so that one absurd id cannot make us allocate a table for it

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

/// "▁" and the like: what is not a plain string (a "Regex") is none.
std::optional<std::string> find_plain_pattern(const Json& step, const std::string& where) {
  return json::find_string(need(step, "pattern", Json::value_t::object, where), "String", where);
}

std::string type_of(const Json& step, const char* what, const std::string& where) {
  if (!step.is_object()) bad(where, std::string("\"") + what + "\" must be an object");
  return json::find_string(step, "type", where).value_or("");
}

std::string pair_text(const std::string& left, const std::string& right, const std::string& where) {
  if (left.find(' ') != std::string::npos || right.find(' ') != std::string::npos) {
    throw Error(ErrorCode::unsupported,
                where + ": the merge of \"" + left + "\" and \"" + right + "\" has a space in a token");
  }
  return left + " " + right;
}

void read_vocabulary(const Json& model, TokenizerData& data, const std::string& where) {
  for (const auto& [token, id] : need(model, "vocab", Json::value_t::object, where).items()) {
    place(data, id, token, where);
  }
  for (const Json& merge : need(model, "merges", Json::value_t::array, where)) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      data.merges.push_back(pair_text(merge[0].get<std::string>(), merge[1].get<std::string>(), where));
    } else if (merge.is_string() && merge.get_ref<const std::string&>().find(' ') != std::string::npos) {
      data.merges.push_back(merge.get<std::string>());
    } else {
      bad(where, "a merge must be \"a b\" or [\"a\", \"b\"], but is " + merge.dump());
    }
  }
}

std::optional<std::int64_t> id_of(const TokenizerData& data, const std::optional<std::string>& text) {
  if (!text || text->empty()) return std::nullopt;
  const auto it = std::find(data.tokens.begin(), data.tokens.end(), *text);
  if (it == data.tokens.end()) return std::nullopt;
  return it - data.tokens.begin();
}

void read_model(const Json& model, TokenizerData& data, const std::string& where) {
  data.ignore_merges = json::find_bool(model, "ignore_merges", where).value_or(false);
  data.byte_fallback = json::find_bool(model, "byte_fallback", where).value_or(false);
  data.fuse_unknown = json::find_bool(model, "fuse_unk", where).value_or(false);
  data.unknown = id_of(data, json::find_string(model, "unk_token", where));
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (const auto affix = json::find_string(model, key, where); affix && !affix->empty())
      data.model += std::string(" with ") + key;
  }
  if (json::find_number(model, "dropout", where).value_or(0) != 0) data.model += " with dropout";
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
    const auto flag = [&](const char* key, bool otherwise) {
      return json::find_bool(token, key, where).value_or(otherwise);
    };
    data.added.push_back({.id = id->get<std::int64_t>(),
                          .special = flag("special", true),
                          .normalized = flag("normalized", false),
                          .lstrip = flag("lstrip", false),
                          .rstrip = flag("rstrip", false),
                          .single_word = flag("single_word", false)});
  }
}

/// A step that is not known keeps its type, for the tokenizer to refuse.
void read_normalizer(const Json& step, TokenizerData& data, const std::string& where) {
  NormalizerStep read{type_of(step, "normalizer", where), {}, {}};
  if (read.type == "Sequence") {
    for (const Json& inner : need(step, "normalizers", Json::value_t::array, where)) {
      read_normalizer(inner, data, where);
    }
    return;
  }
  if (read.type == "Prepend") {
    read.content = json::find_string(step, "prepend", where).value_or("");
  } else if (read.type == "Replace") {
    const auto pattern = find_plain_pattern(step, where);
    if (!pattern || pattern->empty()) read.type = "Replace by a regular expression";
    read.pattern = pattern.value_or("");
    read.content = json::find_string(step, "content", where).value_or("");
  }
  data.normalizer.push_back(std::move(read));
}

Metaspace read_metaspace(const Json& step, const std::string& where) {
  Metaspace metaspace;
  metaspace.replacement = json::find_string(step, "replacement", where).value_or(metaspace.replacement);
  metaspace.split = json::find_bool(step, "split", where).value_or(true);
  // "add_prefix_space" is how versions before 0.15 said it.
  const bool prefix = json::find_bool(step, "add_prefix_space", where).value_or(true);
  const std::string scheme = json::find_string(step, "prepend_scheme", where).value_or(prefix ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    bad(where, "\"prepend_scheme\" is \"" + scheme + "\"; it must be always, first or never");
  }
  metaspace.prepend = scheme == "always"  ? Metaspace::Prepend::always
                      : scheme == "first" ? Metaspace::Prepend::first
                                          : Metaspace::Prepend::never;
  return metaspace;
}

/// One step of the pre-tokenizer, or what a Sequence of them amounts to: byte-level with at most one split, or one of
/// the steps of SentencePiece's vocabularies. Anything else is passed on by its type name, for the tokenizer to refuse.
void read_pre_tokenizer(const Json& step, TokenizerData& data, const std::string& where) {
  const std::string type = type_of(step, "pre_tokenizer", where);
  const bool first = data.pre.empty() && !data.metaspace && data.split_after.empty();
  if (type == "Sequence") {
    for (const Json& inner : need(step, "pretokenizers", Json::value_t::array, where)) {
      read_pre_tokenizer(inner, data, where);
    }
    return;
  }
  if (type == "ByteLevel") {
    data.byte_level = true;
    data.add_prefix_space = json::find_bool(step, "add_prefix_space", where).value_or(true);
    const bool splits = json::find_bool(step, "use_regex", where).value_or(true);
    if (splits || data.metaspace || !data.split_after.empty()) data.pre = first ? "gpt2" : "Sequence";
    return;
  }
  const std::string behavior = json::find_string(step, "behavior", where).value_or("");
  const bool inverted = json::find_bool(step, "invert", where).value_or(false);
  if (type == "Metaspace" && first) {
    data.metaspace = read_metaspace(step, where);
  } else if (type == "Split" && first) {
    const auto regex = json::find_string(need(step, "pattern", Json::value_t::object, where), "Regex", where);
    const auto plain = find_plain_pattern(step, where);
    if (plain && !plain->empty() && behavior == "MergedWithPrevious" && !inverted) {
      data.split_after = *plain;
    } else {
      const bool isolated =
          behavior == "Isolated" || (behavior == "Removed" && inverted);  // the matches are the pieces
      data.pre = regex && isolated ? *regex : "Split";
    }
  } else {
    data.pre = first && type != "Split" ? type : "Sequence";
  }
}

/// How tokens become text again. What is not said here is not known to any tokenizer this build makes.
void read_decoder(const Json& step, TokenizerData& data, const std::string& where) {
  const std::string type = type_of(step, "decoder", where);
  if (type == "Sequence") {
    for (const Json& inner : need(step, "decoders", Json::value_t::array, where)) read_decoder(inner, data, where);
  } else if (type == "Replace") {
    const auto pattern = find_plain_pattern(step, where);
    if (pattern && json::find_string(step, "content", where) == " ") data.decoded_space = *pattern;
  } else if (type == "Strip") {
    if (json::find_string(step, "content", where) == " ") {
      data.decoded_strip = json::find_integer(step, "start", where).value_or(0);
    }
  } else if (type == "Metaspace") {
    const Metaspace metaspace = read_metaspace(step, where);
    data.decoded_space = metaspace.replacement;
    data.decoded_strip = metaspace.prepend == Metaspace::Prepend::never ? 0 : 1;
  }
}

/// The text of "bos_token": a string, or an object with "content".
std::optional<std::string> token_text(const Json& root, const char* key, const std::string& where) {
  const Json* value = json::find(root, key);
  if (value != nullptr && value->is_object()) return json::find_string(*value, "content", where);
  return json::find_string(root, key, where);
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
  if (data.model == "bpe") read_model(model, data, where);
  data.byte_level = false;
  if (const Json* step = json::find(root, "pre_tokenizer")) read_pre_tokenizer(*step, data, where);
  if (const Json* step = json::find(root, "normalizer")) read_normalizer(*step, data, where);
  if (const Json* step = json::find(root, "decoder"); step != nullptr && !data.byte_level) {
    read_decoder(*step, data, where);
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
    const std::string what = folder.string() + " has no tokenizer.json; ";
    if (std::filesystem::exists(folder / "tokenizer.model"))
      throw Error(ErrorCode::not_found,
                  what + "its tokenizer.model is not read here. transformers makes the one of the other: " +
                      "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)");
    throw Error(ErrorCode::not_found, what + "without it text cannot be tokenized");
  }
  const auto settings = folder / "tokenizer_config.json";
  return parse_tokenizer(files::read_text(path, file_limit),
                         std::filesystem::exists(settings) ? files::read_text(settings, file_limit) : std::string(),
                         config, path.string());
}

}  // namespace advisor
