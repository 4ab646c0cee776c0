#include "io/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"
#include "core/units.h"
#include "io/yaml_places.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_depth = 32;
constexpr std::size_t max_text = std::size_t{4} << 20;  // settings, not data

[[noreturn]] void fail(const SourceLocation& where, const std::string& message,
                       ErrorCode code = ErrorCode::parse_error) {
  throw Error(code, prefix(where) + message);
}

SourceLocation location(const YAML::Mark& mark, const std::string& file) {
  if (mark.is_null()) return {file, 0, 0};
  return {file, mark.line + 1, mark.column + 1};
}

/// Builds a Document from yaml-cpp's events. Its tree would hide duplicate keys and let aliases multiply a small text
/// without end; and its LoadAll() of version 0.7 never returns on a text that begins with a comma.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, const std::string& file) : lines_(text), file_(file) { root_.where = {file, 1, 1}; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) fail(location(mark, file_), "unexpected text, or a second document; one per file is read");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { place(Document::Kind::null, mark, anchor, ""); }
  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& text) override {
    const bool key = is_key();
    Document& document = place(Document::Kind::scalar, mark, anchor, text);
    SourceLocation& where = document.where;
    if (!key) where.parts = lines_.parts(where.line, where.column, text);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Document::Kind::list, mark, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Document::Kind::map, mark, anchor);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override { open_.pop_back(); }

  Document take() { return std::move(root_); }

 private:
  struct Open {
    Document* document;
    bool wants_value = false;  ///< in a map: the key is there, its value is next
  };

  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    fail(location(mark, file_), "anchors and aliases are not read; write the value out");
  }

  /// The innermost open map or list is the only one that grows, so pointers to the outer ones stay valid.
  void open(Document::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (open_.size() >= max_depth) {
      fail(location(mark, file_), "nested deeper than " + std::to_string(max_depth) + " levels");
    }
    open_.push_back({&place(kind, mark, anchor, ""), false});
  }

  Document& place(Document::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor, const std::string& text) {
    if (anchor != YAML::NullAnchor) refuse_anchor(mark);
    const SourceLocation where = location(mark, file_);
    if (is_key()) return add_key(kind, where, text);
    Document& document = slot();
    document.kind = kind;
    document.text = text;
    document.where = where;
    return document;
  }

  bool is_key() const {
    return !open_.empty() && open_.back().document->kind == Document::Kind::map && !open_.back().wants_value;
  }

  Document& add_key(Document::Kind kind, const SourceLocation& where, const std::string& name) {
    if (kind != Document::Kind::scalar) fail(where, "a key must be a name");
    std::vector<Document::Member>& members = open_.back().document->members;
    for (const Document::Member& other : members) {
      if (other.key == name) fail(where, "key \"" + name + "\" is given twice");
    }
    members.push_back({name, where, {}});
    open_.back().wants_value = true;
    return members.back().value;
  }

  Document& slot() {
    if (open_.empty()) return root_;
    Open& parent = open_.back();
    if (parent.document->kind == Document::Kind::list) return parent.document->items.emplace_back();
    parent.wants_value = false;
    return parent.document->members.back().value;
  }

  SourceLines lines_;
  const std::string& file_;
  Document root_;
  std::vector<Open> open_;
  int documents_ = 0;
};

std::string read_text(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) throw Error(ErrorCode::not_found, path.string() + ": no such file");
  if (!fs::is_regular_file(status)) throw Error(ErrorCode::io_error, path.string() + ": not a file");
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in.peek() != std::ifstream::traits_type::eof()) text << in.rdbuf();
  if (!in.good() && !in.eof()) throw Error(ErrorCode::io_error, path.string() + ": cannot be read");
  return text.str();
}

/// One entry of a file with closed keys. Each key is asked for once; finish() refuses what nobody asked for.
class Entry {
 public:
  Entry(const Document& document, std::string what) : document_(document), what_(std::move(what)) {
    if (document.kind != Document::Kind::map) fail(document.where, what_ + " must be a map of keys");
  }

  void call(const std::string& what) { what_ = what; }  ///< from now on in messages

  const Document* find(const std::string& key) {
    asked_.push_back(key);
    for (const Document::Member& member : document_.members) {
      if (member.key == key) return &member.value;
    }
    return nullptr;
  }

  std::string text(const std::string& key, const std::string& otherwise = "") {
    const Document* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->kind != Document::Kind::scalar) fail(value->where, what_ + ": " + key + " must be a text");
    return value->text;
  }

  std::vector<std::string> list(const std::string& key, const std::vector<std::string>& otherwise = {}) {
    const Document* value = find(key);
    if (value == nullptr) return otherwise;
    if (value->kind != Document::Kind::list) fail(value->where, what_ + ": " + key + " must be a list, as [a, b]");
    std::vector<std::string> items;
    for (const Document& item : value->items) {
      if (item.kind != Document::Kind::scalar) fail(item.where, what_ + ": " + key + " must hold texts");
      items.push_back(item.text);
    }
    return items;
  }

  SourceLocation where(const std::string& key) const {
    for (const Document::Member& member : document_.members) {
      if (member.key == key) return member.value.where;
    }
    return document_.where;
  }

  void finish() const {
    for (const Document::Member& member : document_.members) {
      if (std::find(asked_.begin(), asked_.end(), member.key) != asked_.end()) continue;
      const std::string hint = did_you_mean(member.key, asked_);
      fail(member.where,
           what_ + ": unknown key \"" + member.key + "\"" + (hint.empty() ? "; known are " + join(asked_) : hint));
    }
  }

 private:
  const Document& document_;
  std::string what_;
  std::vector<std::string> asked_;
};

void check_schema(Entry& entry, const std::string& wanted) {
  const std::string schema = entry.text("schema", wanted);
  if (schema != wanted) {
    fail(entry.where("schema"), "schema \"" + schema + "\" cannot be read; this version reads \"" + wanted + "\"",
         ErrorCode::unsupported);
  }
}

RuleSource rule_of(const Document& document) {
  Entry entry(document, "rule");
  RuleSource rule;
  rule.where = document.where;
  rule.id = entry.text("id");
  if (rule.id.empty()) fail(document.where, "rule: needs an id");
  entry.call("rule \"" + rule.id + "\"");
  rule.kind = entry.text("kind");
  rule.applies_to = entry.text("applies_to", "variant");
  rule.when = entry.text("when");
  rule.fact = entry.text("fact");
  rule.value = entry.text("value");
  rule.because = entry.text("because");
  rule.sources = entry.list("sources");
  rule.code = entry.text("code");
  for (const Document::Member& member : document.members) rule.places[member.key] = member.value.where;
  entry.finish();
  return rule;
}

RecipePlaces places_of(const Document& document) {
  RecipePlaces places{document.where, {}};
  for (const Document::Member& member : document.members) {
    places.values[member.key] = member.value.where;
    for (std::size_t i = 0; i < member.value.items.size(); ++i)
      places.values[member.key + "." + std::to_string(i)] = member.value.items[i].where;
  }
  return places;
}

RecipeStep step_of(const Document& document) {
  Entry entry(document, "step");
  RecipeStep step;
  step.places = places_of(document);
  step.technique = entry.text("technique");
  if (step.technique.empty()) fail(document.where, "step: needs a technique");
  step.scheme = entry.text("scheme");
  step.targets = entry.list("targets", step.targets);
  step.ignore = entry.list("ignore", step.ignore);
  if (const Document* params = entry.find("params"); params != nullptr && params->kind != Document::Kind::null) {
    if (params->kind != Document::Kind::map) fail(params->where, "step: params must be a map of names");
    for (const Document::Member& member : params->members) {
      if (member.value.kind != Document::Kind::scalar) fail(member.value.where, "step: parameters are single values");
      step.params[member.key] = member.value.text;
    }
  }
  entry.finish();
  return step;
}

/// 0 where the key is not given.
double positive(Entry& entry, const std::string& what, const std::string& key, Dimension dimension) {
  const std::string text = entry.text(key);
  if (text.empty()) return 0;
  try {
    const double value = parse_quantity(text, dimension);
    if (value >= 1 || (value > 0 && dimension == Dimension::none)) {
      if (value < 0x1p62) return value;
    }
  } catch (const Error& error) {
    fail(entry.where(key), what + ": " + error.what(), error.code());
  }
  fail(entry.where(key), what + ": " + key + " must be more than 0");
}

RecipeTensorType tensor_type_of(const Document& document) {
  Entry entry(document, "tensor_types");
  RecipeTensorType type{entry.list("targets"), entry.text("type"), places_of(document)};
  entry.finish();
  if (type.targets.empty() || type.type.empty()) {
    fail(document.where,
         "tensor_types: an entry needs targets and a type, as {targets: [\"re:.*down_proj\"], type: Q6_K}");
  }
  return type;
}

RecipeFormat format_of(const Document& document) {
  if (document.kind == Document::Kind::scalar) {
    try {
      return parse_recipe_format(document.text);
    } catch (const Error& error) {
      fail(document.where, error.what(), error.code());
    }
  }
  Entry entry(document, "format");
  RecipeFormat format;
  format.id = entry.text("id");
  format.type = entry.text("type");
  format.split_max_size = static_cast<std::int64_t>(positive(entry, "format", "split_max_size", Dimension::bytes));
  if (format.id.empty()) fail(document.where, "format: needs an id");
  if (const Document* types = entry.find("tensor_types"); types != nullptr && types->kind != Document::Kind::null) {
    if (types->kind != Document::Kind::list) fail(types->where, "format: tensor_types must be a list");
    for (const Document& item : types->items) format.tensor_types.push_back(tensor_type_of(item));
  }
  entry.finish();
  return format;
}

RecipeBudget budget_of(const Document& document) {
  Entry entry(document, "budget");
  RecipeBudget budget;
  budget.places = places_of(document);
  budget.bits_per_weight = positive(entry, "budget", "bits_per_weight", Dimension::none);
  budget.size = static_cast<std::int64_t>(positive(entry, "budget", "size", Dimension::bytes));
  budget.candidates = entry.list("candidates");
  entry.finish();
  if ((budget.bits_per_weight > 0) == (budget.size > 0))
    fail(document.where, "budget: give either bits_per_weight (4.5) or size (4GiB)");
  return budget;
}

}  // namespace

Document parse_yaml(std::string_view text, const std::string& file) {
  const SourceLocation start{file, 0, 0};
  if (text.size() > max_text) fail(start, "larger than 4 MiB; that is no settings file");
  if (text.find('\0') != std::string_view::npos) fail(start, "not a text: it contains a NUL byte");
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    Builder builder(text, file);
    // the second call, if there is anything left, ends in the builder's refusal
    if (parser.HandleNextDocument(builder)) parser.HandleNextDocument(builder);
    return builder.take();
  } catch (const YAML::Exception& error) {
    fail(location(error.mark, file), "not valid YAML: " + error.msg);
  }
}

Profile parse_profile(std::string_view text, const std::string& file) {
  const Profile profile = profile_from_document(parse_yaml(text, file));
  try {
    validate(profile);
  } catch (const Error& error) {
    fail({file, 0, 0}, error.what(), error.code());
  }
  return profile;
}

Profile load_profile(const fs::path& path) { return parse_profile(read_text(path), path.string()); }

std::vector<RuleSource> parse_rules(std::string_view text, const std::string& file) {
  const Document document = parse_yaml(text, file);
  if (document.kind == Document::Kind::null) return {};
  if (document.kind != Document::Kind::list) fail(document.where, "a rules file is a list of rules (\"- id: ...\")");
  std::vector<RuleSource> rules;
  for (const Document& item : document.items) rules.push_back(rule_of(item));
  return rules;
}

std::vector<RuleSource> load_rules(const fs::path& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return parse_rules(read_text(path), path.string());
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  if (error) throw Error(ErrorCode::io_error, path.string() + ": cannot be listed: " + error.message());
  if (files.empty()) throw Error(ErrorCode::not_found, path.string() + ": holds no rules (*.yaml)");
  std::sort(files.begin(), files.end());
  std::vector<RuleSource> rules;
  for (const fs::path& file : files) {
    std::vector<RuleSource> more = parse_rules(read_text(file), file.string());
    rules.insert(rules.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  return rules;
}

Recipe parse_recipe(std::string_view text, const std::string& file) {
  const Document document = parse_yaml(text, file);
  Entry entry(document, "recipe");
  check_schema(entry, "advisor.recipe/1");
  Recipe recipe;
  const Document* steps = entry.find("steps");
  const Document* formats = entry.find("formats");
  if (const Document* budget = entry.find("budget"); budget != nullptr && budget->kind != Document::Kind::null)
    recipe.budget = budget_of(*budget);
  recipe.kv_cache = entry.text("kv_cache");
  entry.finish();
  for (const Document* list : {steps, formats}) {
    if (list == nullptr || list->kind != Document::Kind::list) {
      fail(list == nullptr ? document.where : list->where, "recipe: needs a list of steps and a list of formats");
    }
  }
  for (const Document& item : steps->items) recipe.steps.push_back(step_of(item));
  for (const Document& item : formats->items) recipe.formats.push_back(format_of(item));
  return recipe;
}

Recipe load_recipe(const fs::path& path) { return parse_recipe(read_text(path), path.string()); }

}  // namespace advisor
