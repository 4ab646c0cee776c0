#include "core/json.h"

#include <optional>
#include <span>

#include "core/error.h"
#include "core/fields.h"
#include "core/json_members.h"

namespace advisor {
namespace {

using detail::dump;
using detail::Json;
using detail::number_or_text;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json named_json(const NamedEstimate& named) {
  Json json = {{"name", named.name}, {"task", text_or_null(named.task)}, {"unit", named.unit}};
  if (named.estimate) {
    json.update(detail::JsonWriter::json(*named.estimate));
    json["how"] = text_or_null(named.how);
  } else {
    json["mean"] = nullptr;
    json["missing"] = named.missing;
  }
  return json;
}

Json value_json(const Field& field, const std::string& text) {
  if (field.kind() == FieldKind::text) return text;
  if (field.kind() != FieldKind::list) return text.empty() ? Json(nullptr) : number_or_text(text);
  Json value = Json::array();
  std::size_t begin = 1;  // "[a, b]"
  while (begin + 1 < text.size()) {
    const std::size_t end = std::min(text.find(", ", begin), text.size() - 1);
    value.push_back(text.substr(begin, end - begin));
    begin = end + 2;
  }
  return value;
}

/// What somebody set of `rows`, whose paths begin with `prefix` in the profile.
Json given_json(const Profile& profile, std::span<const Field> rows, const std::string& prefix) {
  Json root = Json::object();
  for (const Field& field : rows) {
    const std::string path(field.path);
    if (!profile.given.contains(prefix + path)) continue;
    Json value = value_json(field, get_field(profile, prefix + path));
    const std::size_t dot = path.find('.');
    if (dot == std::string::npos) {
      root[path] = std::move(value);
    } else {
      root[path.substr(0, dot)][path.substr(dot + 1)] = std::move(value);
    }
  }
  return root;
}

Json profile_json(const Profile& profile) {
  Json root = given_json(profile, fields(), "");
  for (std::size_t i = 0; i < profile.tasks.size(); ++i)
    root["tasks"].push_back(given_json(profile, task_fields(), "tasks." + std::to_string(i) + "."));
  for (std::size_t i = 0; i < profile.consider.size(); ++i)
    root["consider"].push_back(given_json(profile, wish_fields(), "consider." + std::to_string(i) + "."));
  return root;
}

constexpr std::size_t max_depth = 32;
constexpr std::size_t max_text = std::size_t{16} << 20;

/// Builds a Document from nlohmann's event parser, which unlike its tree shows duplicate keys.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Builder(const std::string& file) : file_(file) { root_.where.file = file; }

  bool null() override { return place({}); }
  bool boolean(bool value) override { return scalar(value ? "true" : "false"); }
  bool number_integer(number_integer_t value) override { return scalar(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return scalar(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return scalar(text); }
  bool string(string_t& text) override { return scalar(text); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Document::Kind::map); }
  bool start_array(std::size_t) override { return open(Document::Kind::list); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& text) override {
    for (const Document::Member& member : open_.back()->members) {
      if (member.key == text)
        throw Error(ErrorCode::parse_error, prefix(root_.where) + "key \"" + text + "\" is given twice");
    }
    open_.back()->members.push_back({text, root_.where, {}});
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    std::string message = error.what();
    const std::size_t start = message.find("parse error");  // without the library's own exception number
    if (start != std::string::npos) message = message.substr(start);
    throw Error(ErrorCode::parse_error, prefix(root_.where) + "not valid JSON: " + message);
  }

  Document take() { return std::move(root_); }

 private:
  bool scalar(std::string text) {
    Document value;
    value.kind = Document::Kind::scalar;
    value.text = std::move(text);
    return place(std::move(value));
  }

  bool place(Document value) {
    value.where = root_.where;
    slot() = std::move(value);
    return true;
  }

  bool open(Document::Kind kind) {
    if (open_.size() == max_depth) {
      throw Error(ErrorCode::parse_error,
                  prefix(root_.where) + "nested deeper than " + std::to_string(max_depth) + " levels");
    }
    Document& value = slot();
    value.kind = kind;
    value.where.file = file_;
    // children are only ever added to the innermost open value, so the pointers to the outer ones stay valid
    open_.push_back(&value);
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  /// Where the next value goes.
  Document& slot() {
    if (open_.empty()) return root_;
    Document& parent = *open_.back();
    if (parent.kind == Document::Kind::map) return parent.members.back().value;
    return parent.items.emplace_back();
  }

  std::string file_;
  Document root_;
  std::vector<Document*> open_;
};

}  // namespace

std::string to_json(const PointEstimate& answer, int indent) {
  const Variant& variant = answer.request.variant;
  const auto& workload = answer.request.profile.workload;
  Json estimates = Json::array();
  for (const NamedEstimate& named : answer.estimates) estimates.push_back(named_json(named));
  Json rules = Json::array();
  for (const PointRule& rule : answer.rules)
    rules.push_back({{"rule", rule.rule},
                     {"kind", rule.kind},
                     {"code", text_or_null(rule.code)},
                     {"task", text_or_null(rule.task)},
                     {"because", rule.because},
                     {"sources", rule.sources}});
  return dump({{"schema", "advisor.estimate/1"},
               {"model", variant.model},
               {"technique", variant.technique},
               {"scheme", variant.scheme},
               {"sparsity", variant.sparsity},
               {"pattern", text_or_null(variant.pattern)},
               {"kv", variant.kv},
               {"format", variant.format},
               {"engine", variant.engine},
               {"hardware", text_or_null(answer.hardware.device.id)},
               {"count", answer.hardware.count},
               {"context", workload.context},
               {"input_tokens", workload.input_tokens},
               {"output_tokens", workload.output_tokens},
               {"concurrency", workload.concurrency},
               {"defaults", answer.defaults},
               {"estimates", estimates},
               {"rules", rules},
               {"warnings", answer.warnings},
               {"knowledge", {{"digest", answer.knowledge_digest}}}},
              indent);
}

std::string to_json(const Hardware& hardware, int indent) { return dump(detail::JsonWriter::json(hardware), indent); }

std::string to_json(const Probe& probe, int indent) {
  Json gpus = Json::array();
  for (const Hardware& gpu : probe.gpus) gpus.push_back(detail::JsonWriter::json(gpu));
  return dump(Json{{"schema", "advisor.probe/1"},
                   {"cpu", detail::JsonWriter::json(probe.cpu)},
                   {"cores", probe.cores},
                   {"cpu_features", probe.cpu_features},
                   {"gpus", std::move(gpus)},
                   {"notes", probe.notes}},
              indent);
}

std::string to_json(const Model& model, int indent) {
  const Json json = {{"id", model.id},
                     {"family", text_or_null(model.family)},
                     {"developer", text_or_null(model.developer)},
                     {"architecture", text_or_null(model.architecture)},
                     {"params", or_null(model.params)},
                     {"active_params", or_null(model.active_params)},
                     {"layers", or_null(model.layers)},
                     {"hidden", or_null(model.hidden)},
                     {"intermediate", or_null(model.intermediate)},
                     {"heads", or_null(model.heads)},
                     {"kv_heads", or_null(model.kv_heads)},
                     {"head_dim", or_null(model.head_dim)},
                     {"vocab", or_null(model.vocab)},
                     {"max_context", or_null(model.max_context)},
                     {"experts", or_null(model.experts)},
                     {"experts_used", or_null(model.experts_used)},
                     {"attention", text_or_null(model.attention)},
                     {"sliding_window", or_null(model.sliding_window)},
                     {"kv_layers", or_null(model.kv_layers)},
                     {"kv_lora_rank", or_null(model.kv_lora_rank)},
                     {"qk_rope_head_dim", or_null(model.qk_rope_head_dim)},
                     {"kv_bytes_per_token_bf16", or_null(model.kv_bytes_per_token_bf16)},
                     {"tie_embeddings", or_null(model.tie_embeddings)},
                     {"modalities_in", model.modalities_in},
                     {"modalities_out", model.modalities_out},
                     {"native_dtype", text_or_null(model.native_dtype)},
                     {"qat", text_or_null(model.qat)},
                     {"specialty", text_or_null(model.specialty)},
                     {"licence", text_or_null(model.licence)},
                     {"commercial_use", text_or_null(model.commercial_use)},
                     {"released", text_or_null(model.released)},
                     {"url", text_or_null(model.url)},
                     {"locator", text_or_null(model.locator)}};
  return dump(json, indent);
}

std::string profile_to_json(const Profile& profile, int indent) { return dump(profile_json(profile), indent); }

Document parse_json(std::string_view text, const std::string& file) {
  if (text.size() > max_text) {
    throw Error(ErrorCode::parse_error, prefix({file, 0, 0}) + "larger than 16 MiB; that is no profile");
  }
  Builder builder(file);
  nlohmann::json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

Profile profile_from_json(std::string_view text) { return profile_from_document(parse_json(text)); }

}  // namespace advisor
