// One description of a value's members, walked by three visitors: one writes JSON, one reads it back, one tells the
// JSON Schema. Private to core/: it includes nlohmann.
//
// A type is described once by  void members(auto& visit, Is<T> auto& value)  that calls
//   visit("key", value.member)          any value; an empty optional is null
//   visit.text("key", value.member)     a text whose absence is null
//   visit.maybe("key", value.member)    an optional value whose absence is {}
//   visit.value("key", value.member)    a text that JSON shows as the number or condition it reads like
//   visit.recipe("key", value.member)   YAML inside JSON; not read back here, because YAML is io's
//   visit.section("key", [&](auto& visit) { ... })   members that JSON keeps in an object of their own
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"
#include "core/recipe.h"

namespace advisor::detail {

// ordered_json keeps the order in which keys are written: that order is part of the promise.
using Json = nlohmann::ordered_json;

template <class T, class U>
concept Is = std::same_as<std::remove_const_t<T>, U>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_map = false;
template <class T>
inline constexpr bool is_map<std::map<std::string, T>> = true;

/// A text as the JSON value that reads back: numbers and conditions bare, the rest as strings.
inline Json number_or_text(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  const Json parsed = Json::parse(text, nullptr, false);
  return parsed.is_number() ? parsed : Json(text);
}

/// Words of an enumeration: specialized beside the members() of the types that hold one.
template <class T>
struct Words;  // static constexpr std::array<T, n> all;

template <class T>
concept Plain = std::same_as<T, bool> || std::same_as<T, double> || std::same_as<T, std::int64_t> ||
    std::same_as<T, int> || std::same_as<T, std::string>;

class JsonWriter {
 public:
  explicit JsonWriter(Json& out) : out_(out) {}
  template <class T>
  void operator()(const char* key, const T& value) {
    out_[key] = json(value);
  }
  void text(const char* key, const std::string& value) { out_[key] = value.empty() ? Json(nullptr) : Json(value); }
  void value(const char* key, const std::string& text) { out_[key] = number_or_text(text); }
  void recipe(const char* key, const std::optional<Recipe>& recipe) {
    out_[key] = recipe ? Json(recipe_to_yaml(*recipe)) : Json(nullptr);
  }
  template <class T>
  void maybe(const char* key, const std::optional<T>& value) {
    out_[key] = value ? json(*value) : Json::object();
  }
  template <class Walk>
  void section(const char* key, Walk&& walk) {
    Json inner = Json::object();
    JsonWriter visit(inner);
    walk(visit);
    out_[key] = std::move(inner);
  }

  template <class T>
  static Json json(const T& value) {
    if constexpr (Plain<T>) {
      return value;  // NaN and infinity are written as null
    } else if constexpr (std::is_enum_v<T>) {
      return name(value);
    } else if constexpr (is_optional<T>) {
      return value ? json(*value) : Json(nullptr);
    } else if constexpr (is_vector<T>) {
      Json list = Json::array();
      for (const auto& item : value) list.push_back(json(item));
      return list;
    } else if constexpr (is_map<T>) {
      Json map = Json::object();
      for (const auto& [key, item] : value) map[key] = json(item);
      return map;
    } else {
      Json object = Json::object();
      JsonWriter visit(object);
      members(visit, value);
      return object;
    }
  }

 private:
  Json& out_;
};

/// What is absent keeps its default, so that files of earlier versions can be read; what has the wrong type is a
/// parse_error that says where. Unknown keys are left alone: later versions may add some.
class JsonReader {
 public:
  JsonReader(const Json& in, std::string path) : in_(in), path_(std::move(path)) {
    if (!in.is_object()) refuse(path_, "an object");
  }
  template <class T>
  void operator()(const char* key, T& value) {
    if (const auto found = in_.find(key); found != in_.end()) read(*found, value, at(key));
  }
  void text(const char* key, std::string& value) {
    if (const auto found = in_.find(key); found != in_.end() && !found->is_null()) read(*found, value, at(key));
  }
  void value(const char* key, std::string& text) { (*this)(key, text); }
  void recipe(const char*, std::optional<Recipe>&) {}
  template <class T>
  void maybe(const char* key, std::optional<T>& value) {
    value.reset();
    const auto found = in_.find(key);
    if (found == in_.end() || found->is_null() || (found->is_object() && found->empty())) return;
    read(*found, value.emplace(), at(key));
  }
  template <class Walk>
  void section(const char* key, Walk&& walk) {
    const auto found = in_.find(key);
    if (found == in_.end()) return;
    JsonReader visit(*found, at(key));
    walk(visit);
  }

 private:
  [[noreturn]] static void refuse(const std::string& path, const std::string& wanted) {
    throw Error(ErrorCode::parse_error, (path.empty() ? "the file" : path) + " must be " + wanted);
  }
  std::string at(const std::string& key) const { return path_.empty() ? key : path_ + "." + key; }

  template <class T>
  static void read(const Json& json, T& value, const std::string& path) {
    if constexpr (std::same_as<T, bool>) {
      if (!json.is_boolean()) refuse(path, "true or false");
      value = json.get<bool>();
    } else if constexpr (std::same_as<T, double>) {
      if (!json.is_number() && !json.is_null()) refuse(path, "a number or null");
      value = json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
    } else if constexpr (std::same_as<T, std::int64_t> || std::same_as<T, int>) {
      if (!json.is_number_integer()) refuse(path, "a whole number");
      value = json.get<T>();
    } else if constexpr (std::same_as<T, std::string>) {
      // a number stands for its text: `from` and `to` of a change are written as what they read like
      if (json.is_string()) {
        value = json.get<std::string>();
      } else if (json.is_number() || json.is_boolean()) {
        value = json.dump();
      } else {
        refuse(path, "a text");
      }
    } else if constexpr (std::is_enum_v<T>) {
      read_word(json, value, path);
    } else if constexpr (is_optional<T>) {
      value.reset();
      if (!json.is_null()) read(json, value.emplace(), path);
    } else if constexpr (is_vector<T>) {
      if (!json.is_array()) refuse(path, "a list");
      value.clear();
      for (std::size_t i = 0; i < json.size(); ++i)
        read(json[i], value.emplace_back(), path + "[" + std::to_string(i) + "]");
    } else if constexpr (is_map<T>) {
      if (!json.is_object()) refuse(path, "an object");
      value.clear();
      for (const auto& [key, item] : json.items()) read(item, value[key], path + "." + key);
    } else {
      JsonReader visit(json, path);
      members(visit, value);
    }
  }

  template <class T>
  static void read_word(const Json& json, T& value, const std::string& path) {
    std::string known;
    for (const T word : Words<T>::all) {
      if (json == name(word)) {
        value = word;
        return;
      }
      known += (known.empty() ? "" : ", ") + std::string(name(word));
    }
    refuse(path, "one of " + known);
  }

  const Json& in_;
  std::string path_;
};

/// What the writer writes, as JSON Schema (draft 2020-12). Every key is required, others are allowed.
class JsonSchema {
 public:
  explicit JsonSchema(Json& out) : out_(out) {
    out_["type"] = "object";
    out_["required"] = Json::array();
    out_["properties"] = Json::object();
  }
  template <class T>
  void operator()(const char* key, const T& value) {
    add(key, schema(value));
  }
  void text(const char* key, const std::string&) { add(key, {{"type", {"string", "null"}}}); }
  void value(const char* key, const std::string&) { add(key, {{"type", {"string", "number", "boolean"}}}); }
  void recipe(const char* key, const std::optional<Recipe>&) { add(key, {{"type", {"string", "null"}}}); }
  template <class T>
  void maybe(const char* key, const std::optional<T>&) {
    Json empty = {{"type", "object"}, {"maxProperties", 0}};
    add(key, {{"anyOf", Json::array({schema(T{}), std::move(empty)})}});
  }
  template <class Walk>
  void section(const char* key, Walk&& walk) {
    Json inner = Json::object();
    JsonSchema visit(inner);
    walk(visit);
    add(key, std::move(inner));
  }

  void add(const char* key, Json schema) {
    out_["required"].push_back(key);
    out_["properties"][key] = std::move(schema);
  }

  template <class T>
  static Json schema(const T&) {
    if constexpr (std::same_as<T, bool>) {
      return {{"type", "boolean"}};
    } else if constexpr (std::same_as<T, double>) {
      return {{"type", {"number", "null"}}};  // null: not known
    } else if constexpr (std::same_as<T, std::int64_t> || std::same_as<T, int>) {
      return {{"type", "integer"}};
    } else if constexpr (std::same_as<T, std::string>) {
      return {{"type", "string"}};
    } else if constexpr (std::is_enum_v<T>) {
      Json words = Json::array();
      for (const T word : Words<T>::all) words.push_back(name(word));
      return {{"enum", std::move(words)}};
    } else if constexpr (is_optional<T>) {
      return {{"anyOf", Json::array({schema(typename T::value_type{}), Json{{"type", "null"}}})}};
    } else if constexpr (is_vector<T>) {
      return {{"type", "array"}, {"items", schema(typename T::value_type{})}};
    } else if constexpr (is_map<T>) {
      return {{"type", "object"}, {"additionalProperties", schema(typename T::mapped_type{})}};
    } else {
      Json object = Json::object();
      JsonSchema visit(object);
      const T value{};
      members(visit, value);
      return object;
    }
  }

 private:
  Json& out_;
};

}  // namespace advisor::detail
