#include "checkpoint/json.h"

#include <set>
#include <vector>

#include "core/error.h"

namespace advisor::json {
namespace {

[[noreturn]] void wrong_type(const Json& value, const char* key, const char* expected, const std::string& where) {
  throw Error(ErrorCode::parse_error,
              where + ": \"" + key + "\" must be " + expected + ", but is a JSON " + value.type_name());
}

}  // namespace

Json parse(std::string_view text, const std::string& where) {
  std::vector<std::set<std::string>> keys;
  std::string duplicate;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys.back().insert(key).second && duplicate.empty()) duplicate = key;
    }
    return true;
  };
  Json root;
  try {
    root = Json::parse(text, watch);
  } catch (const Json::exception& e) {
    throw Error(ErrorCode::parse_error, where + ": not valid JSON: " + e.what());
  }
  if (!duplicate.empty()) throw Error(ErrorCode::parse_error, where + ": the key \"" + duplicate + "\" appears twice");
  return root;
}

const Json* find(const Json& object, const char* key) {
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

std::optional<std::int64_t> find_integer(const Json& object, const char* key, const std::string& where) {
  const Json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) wrong_type(*value, key, "an integer", where);
  // Numbers above 2^63 arrive as unsigned and would wrap.
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    throw Error(ErrorCode::parse_error, where + ": \"" + key + "\" is too large");
  }
  return value->get<std::int64_t>();
}

std::optional<double> find_number(const Json& object, const char* key, const std::string& where) {
  const Json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) wrong_type(*value, key, "a number", where);
  return value->get<double>();
}

std::optional<bool> find_bool(const Json& object, const char* key, const std::string& where) {
  const Json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) wrong_type(*value, key, "true or false", where);
  return value->get<bool>();
}

std::optional<std::string> find_string(const Json& object, const char* key, const std::string& where) {
  const Json* value = find(object, key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) wrong_type(*value, key, "a string", where);
  return value->get<std::string>();
}

}  // namespace advisor::json
