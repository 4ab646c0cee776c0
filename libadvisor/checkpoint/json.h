// nlohmann-json as this folder uses it: one strict way to parse, and typed field access whose errors name file and key.
// Private to checkpoint/*.cpp; not a public header.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace advisor::json {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

/// Parses UTF-8 JSON; refuses duplicate keys (two readers could take different ones). `where` starts every message.
Json parse(std::string_view text, const std::string& where);

/// Typed fields of an object. `find_*`: absent or null is nullopt; a wrong type is a parse_error in either case.
const Json* find(const Json& object, const char* key);
std::optional<std::int64_t> find_integer(const Json& object, const char* key, const std::string& where);
std::optional<double> find_number(const Json& object, const char* key, const std::string& where);
std::optional<bool> find_bool(const Json& object, const char* key, const std::string& where);
std::optional<std::string> find_string(const Json& object, const char* key, const std::string& where);

}  // namespace advisor::json
