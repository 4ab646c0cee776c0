#include "io/import_names.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/suggest.h"
#include "core/variant.h"
#include "io/import_formats.h"
#include "io/sqlite.h"

namespace advisor {
namespace {

using imports::lower;

template <typename Read>
void each(const Sqlite& database, const char* sql, Read read) {
  Statement statement = database.prepare(sql);
  while (statement.step()) read(statement);
}

std::map<std::string, std::string> pairs(const Sqlite& database, const char* sql) {
  std::map<std::string, std::string> map;
  each(database, sql, [&](const Statement& row) { map[row.text(0)] = row.text(1); });
  return map;
}

std::string last_part(const std::string& name) {
  const std::size_t slash = name.find_last_of("/\\");
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

/// "Meta-Llama-3.1-8B" and "llama_3.1_8b" are the same words.
std::string normalised(const std::string& name) {
  std::string text = lower(last_part(name));
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '_' || c == ' '; }, '-');
  return text.starts_with("meta-llama") ? text.substr(5) : text;
}

struct Suffix {
  std::string_view text;
  const char *technique, *scheme, *format;
};
/// How publishers end the names of compressed checkpoints; longest first. Bits are stated where the habit fixes them.
constexpr std::array suffixes{
    Suffix{"-quantized.w8a16", "other-quantization", "W8A16", "compressed-tensors"},
    Suffix{"-quantized.w4a16", "other-quantization", "W4A16", "compressed-tensors"},
    Suffix{"-quantized.w8a8", "int8", "W8A8-int8", "compressed-tensors"},
    Suffix{"-fp8-dynamic", "fp8", "W8A8-fp8", "compressed-tensors"},
    Suffix{"-gptq-4bit", "gptq", "W4A16", "gptq"},
    Suffix{"-gptq-int4", "gptq", "W4A16", "gptq"},
    Suffix{"-gptq-int8", "gptq", "W8A16", "gptq"},
    Suffix{"-awq-int4", "awq", "W4A16", "autoawq"},
    Suffix{"-bnb-4bit", "bnb", "W4A16", "bnb"},
    Suffix{"-fp8-kv", "fp8", "W8A8-fp8", ""},
    Suffix{"-nvfp4", "nvfp4", "W4A4-nvfp4", ""},
    Suffix{"-mxfp4", "mxfp4", "W4A4-mxfp4", ""},
    Suffix{"-gguf", "", "", "gguf"},
    Suffix{"-gptq", "gptq", "", "gptq"},
    Suffix{"-awq", "awq", "W4A16", "autoawq"},
    Suffix{"-fp8", "fp8", "W8A8-fp8", ""},
};

/// Takes one ending off `name` that says what was done to the weights.
bool take_suffix(std::string& name, WeightState& weights) {
  const std::string small = lower(name);
  for (const Suffix& suffix : suffixes) {
    if (!small.ends_with(suffix.text)) continue;
    name.resize(name.size() - suffix.text.size());
    if (weights.technique.empty()) weights.technique = suffix.technique;
    if (weights.scheme.empty()) weights.scheme = suffix.scheme;
    if (weights.format.empty()) weights.format = suffix.format;
    return true;
  }
  for (std::size_t at = name.find_first_of("-."); at != std::string::npos; at = name.find_first_of("-.", at + 1)) {
    const std::string ending = name.substr(at + 1);
    if (const std::string type = imports::gguf_type_of(ending); !type.empty()) {
      weights = imports::gguf_weights(type);
      name.resize(at);
      return true;
    }
    if (!ending.starts_with('W') && !ending.starts_with('w')) continue;
    std::string scheme = lower(ending);
    scheme[0] = 'W';
    if (const std::size_t a = scheme.find('a'); a != std::string::npos) scheme[a] = 'A';
    try {
      describe_scheme(scheme);
    } catch (const Error&) {
      continue;
    }
    weights.scheme = scheme;
    name.resize(at);
    return true;
  }
  return false;
}

/// Folder and file names: the cache of huggingface_hub, ".gguf", "-00001-of-00002".
std::string tidy(const std::string& published) {
  std::string name = published;
  while (name.size() > 1 && name.ends_with('/')) name.pop_back();
  if (const std::size_t at = name.find("models--"); at != std::string::npos) {
    std::string cached = name.substr(at + 8);
    cached.resize(std::min(cached.size(), cached.find('/')));
    if (const std::size_t dashes = cached.find("--"); dashes != std::string::npos) cached.replace(dashes, 2, "/");
    return cached;
  }
  if (lower(name).ends_with(".gguf")) {
    name = last_part(name);
    name.resize(name.size() - 5);
    const std::size_t of = name.find("-of-");
    if (of != std::string::npos && of > 6) name.resize(of - 6);
  }
  return name;
}

/// Scheme of a published checkpoint, where it names one that libadvisor can spell.
WeightState weights_of(const PublishedCheckpoint& checkpoint) {
  WeightState weights{checkpoint.technique, "", checkpoint.format == "other" ? "" : checkpoint.format};
  std::string scheme = checkpoint.scheme;
  if (scheme == "NVFP4" || scheme == "MXFP4") scheme = "W4A4-" + lower(scheme);
  if (scheme == "nf4-4bit") weights.technique = "nf4", scheme = "W4A16";
  if (scheme.ends_with("-dynamic")) scheme.resize(scheme.size() - 8);
  if (scheme == "mlx-4bit" || scheme == "mlx-8bit") {
    weights.technique = "mlx";
    scheme = std::string("W") + scheme[4] + "A16";
  }
  try {
    describe_scheme(scheme);
    weights.scheme = scheme;
  } catch (const Error&) {  // "unspecified", or a list of GGUF types: the file says which
  }
  if (weights.technique == "gguf")
    weights = weights.scheme.empty() ? WeightState{"", "", "gguf"} : imports::gguf_weights(weights.scheme);
  return weights;
}

/// The catalog's model behind one known name.
ModelMatch accept(const std::string& published, const std::string& name, const NameTables& names) {
  const ModelName& known = names.models.at(name);
  if (known.relation == "closed") {
    throw Error(ErrorCode::invalid_argument,
                "\"" + published + "\" is had through an API only; its weights cannot be compressed");
  }
  if (known.model.empty()) {
    throw Error(ErrorCode::not_found, "\"" + published + "\" is in no catalog (" + known.reason +
                                          "); record it under a name of your own: --model NAME --params COUNT");
  }
  ModelMatch match;
  match.model = known.model;
  match.name = name;
  match.params = names.params.at(known.model);
  match.finetune = known.relation == "finetune";
  if (const auto checkpoint = names.checkpoints.find(name); checkpoint != names.checkpoints.end()) {
    match.weights = weights_of(checkpoint->second);
  }
  match.why = "\"" + published + "\" is " + known.model;
  if (name == known.model) {
    match.why += published == name ? ": its id in the catalog" : ": by name";
  } else {
    match.why += ": \"" + name + "\" is " +
                 (known.relation == "same" ? "another spelling of it" : "a " + known.relation + " of it") +
                 (known.reason.empty() ? "" : " (" + known.reason + ")");
  }
  return match;
}

/// A known name equal to `name` but for case, or one whose last part has the same words.
std::optional<std::string> known_name(const std::string& name, const NameTables& names) {
  if (names.models.count(name) != 0) return name;
  const auto found = names.short_names.find(normalised(name));
  if (found == names.short_names.end()) return std::nullopt;
  std::set<std::string> models;
  const std::string* best = nullptr;
  for (const std::string& candidate : found->second) {
    models.insert(names.models.at(candidate).model);
    if (best == nullptr || lower(candidate) == lower(name) || names.models.at(candidate).model == candidate) {
      best = &candidate;
    }
  }
  if (models.size() > 1) {
    std::vector<std::string> ids(models.begin(), models.end());
    throw Error(ErrorCode::invalid_argument,
                "\"" + name + "\" may be " + join(ids, " or ") + "; say which with --model ID");
  }
  return *best;
}

/// Catalog ids whose last part is like that of `name`: who published a copy does not matter.
std::string suggestions(const std::string& name, const NameTables& names) {
  std::map<std::string, std::string> ids;
  std::vector<std::string> parts;
  for (const auto& [id, params] : names.params) {
    if (ids.emplace(last_part(id), id).second) parts.push_back(last_part(id));
  }
  std::string text;
  for (const std::string& part : nearest(last_part(name), parts)) {
    text += (text.empty() ? "; did you mean " : " or ") + ids.at(part);
  }
  return text.empty() ? text : text + "?";
}

std::set<std::string> hardware_words(const std::string& name) {
  // makers, kinds of memory and words that only one side writes do not tell devices apart
  static const std::set<std::string> noise{"nvidia",    "amd",   "intel", "geforce", "graphics", "gpu", "cpu",
                                           "processor", "core",  "with",  "tm",      "r",        "gb",  "cores",
                                           "hbm3",      "hbm2e", "tesla", "c",       "the",      "of",  "corporation"};
  std::set<std::string> words;
  std::string word;
  for (const char c : lower(name) + " ") {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+') {
      word += c;
      continue;
    }
    if (word.ends_with("gb") && word.size() > 2) word.resize(word.size() - 2);
    if (!word.empty() && noise.count(word) == 0) words.insert(word);
    word.clear();
  }
  return words;
}

}  // namespace

NameTables load_names(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ErrorCode::not_found, path.string() + ": no such file; ./dev build makes it from data/");
  }
  const Sqlite database = Sqlite::open_read_only(path);
  NameTables names;
  each(database, "SELECT name, model, relation, reason FROM model_names", [&](const Statement& row) {
    names.models[row.text(0)] = {row.text(1), row.text(2), row.text(3)};
    const bool joins = !row.text(1).empty() && row.text(2) != "closed";
    if (joins) names.short_names[normalised(row.text(0))].insert(row.text(0));
  });
  each(database, "SELECT model_id, params_b, native_dtype FROM models", [&](const Statement& row) {
    const auto billions = row.maybe_number(1);
    names.params[row.text(0)] = billions ? std::optional(1e9 * *billions) : std::nullopt;
    names.dtypes[row.text(0)] = row.text(2);
  });
  each(database,
       "SELECT checkpoint_id, model_id, e.technique, scheme, format FROM published_checkpoints p"
       " JOIN technique_names e ON e.name = p.technique",
       [&](const Statement& row) {
         PublishedCheckpoint& c = names.checkpoints[row.text(0)];
         c.checkpoint = row.text(0), c.model = row.text(1), c.technique = row.text(2);
         c.scheme = row.text(3), c.format = row.text(4);
       });
  names.tasks = pairs(database, "SELECT name, task FROM task_names");
  names.families = pairs(database, "SELECT task, family FROM tasks");
  each(database, "SELECT family FROM families", [&](const Statement& row) { names.family_ids.insert(row.text(0)); });
  names.hardware = pairs(database, "SELECT name, hardware FROM hardware_names");
  names.devices = pairs(database, "SELECT hardware_id, name FROM hardware");
  names.engines = pairs(
      database, "SELECT name, engine || CASE speculative WHEN 'yes' THEN '+specdec' ELSE '' END FROM engine_names");
  names.techniques = pairs(database, "SELECT name, technique FROM technique_names");
  each(database,
       "SELECT n.name, m.metric, kind, higher_is_better, low, high FROM metric_names n JOIN metrics m USING (metric)",
       [&](const Statement& row) {
         names.metrics[row.text(0)] = {row.text(1), row.text(2), row.yes(3), row.maybe_number(4), row.maybe_number(5)};
       });
  return names;
}

ModelMatch match_model(const std::string& published, const NameTables& names) {
  if (names.models.count(published) != 0) return accept(published, published, names);
  std::string name = tidy(published);
  WeightState weights;
  do {
    if (const auto known = known_name(name, names)) {
      ModelMatch match = accept(published, *known, names);
      const std::string ending = tidy(published).substr(std::min(name.size(), tidy(published).size()));
      if (!ending.empty()) match.why += "; \"" + ending + "\" says what was done to its weights";
      if (!weights.technique.empty() || !weights.scheme.empty()) match.weights = weights;
      return match;
    }
  } while (take_suffix(name, weights));
  throw Error(ErrorCode::not_found,
              "unknown model \"" + published + "\"" + suggestions(tidy(published), names) +
                  " ('advisor catalog models' lists them). Say which it is with --model ID; for a "
                  "model in no catalog --model NAME --params COUNT");
}

std::pair<std::string, std::string> match_hardware(const std::string& published, const NameTables& names) {
  if (const auto found = names.hardware.find(published); found != names.hardware.end() && !found->second.empty()) {
    return {found->second, "\"" + published + "\" is " + found->second};
  }
  const auto wanted = hardware_words(published);
  std::vector<std::string> best;
  std::size_t best_extra = 0;
  for (const auto& [id, name] : names.devices) {
    const auto have = hardware_words(name);
    if (wanted.empty() || !std::includes(have.begin(), have.end(), wanted.begin(), wanted.end())) continue;
    const std::size_t extra = have.size() - wanted.size();
    if (best.empty() || extra < best_extra) best.clear(), best_extra = extra;
    if (extra == best_extra) best.push_back(id);
  }
  if (best.size() == 1) {
    return {best[0],
            "\"" + published + "\" is " + best[0] + " (" + names.devices.at(best[0]) + "), by the words of its name"};
  }
  if (best.size() > 1) {
    throw Error(ErrorCode::invalid_argument,
                "hardware \"" + published + "\" may be " + join(best, " or ") + "; say which with --hardware ID");
  }
  std::vector<std::string> ids;
  for (const auto& [id, name] : names.devices) ids.push_back(id);
  throw Error(ErrorCode::not_found, "unknown hardware \"" + published + "\"" + did_you_mean(published, ids) +
                                        " ('advisor catalog hardware' lists them); say which it is with --hardware ID");
}

}  // namespace advisor
