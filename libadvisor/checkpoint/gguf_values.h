// GGUF metadata as typed values: made for writing, looked up for reading. Private to gguf_*.cpp.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "checkpoint/gguf.h"
#include "core/error.h"

namespace advisor::gguf {

inline Value u32(std::int64_t value) { return {ValueType::u32, value}; }
inline Value f32(double value) { return {ValueType::f32, static_cast<double>(static_cast<float>(value))}; }
inline Value boolean(bool value) { return {ValueType::boolean, std::int64_t{value}}; }
inline Value text(std::string value) { return {ValueType::string, std::move(value)}; }

/// Typed look-up with messages that name file and key.
class Reader {
 public:
  Reader(const Header& header, const std::string& where) : header_(header), where_(where) {}

  template <typename T>
  const T* find(const std::string& key) const {
    const Value* value = header_.find(key);
    if (value == nullptr) return nullptr;
    const T* data = std::get_if<T>(&value->data);
    if (data == nullptr) fail(ErrorCode::parse_error, "'" + key + "' has the wrong type");
    return data;
  }
  template <typename T>
  const T& get(const std::string& key) const {
    const T* data = find<T>(key);
    if (data == nullptr) fail(ErrorCode::parse_error, "'" + key + "' is missing");
    return *data;
  }
  std::int64_t dimension(const std::string& key, std::int64_t fallback = 0) const {
    const auto* data = find<std::int64_t>(key);
    const std::int64_t value = data != nullptr ? *data : fallback;
    if (value < 1 || value > std::numeric_limits<std::int32_t>::max()) {
      fail(ErrorCode::parse_error, "'" + key + "' is missing or not a positive number");
    }
    return value;
  }
  /// Shortest decimal that names the stored float: 1e-5, not 9.99999974e-06.
  std::optional<double> real(const std::string& key) const {
    const auto* data = find<double>(key);
    if (data == nullptr) return std::nullopt;
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<float>(*data)).ptr;
    double value = *data;
    if (std::isfinite(value)) std::from_chars(digits, end, value);
    return value;
  }
  std::optional<std::int64_t> token_id(const std::string& key, std::int64_t vocab) const {
    const auto* id = find<std::int64_t>(key);
    if (id == nullptr) return std::nullopt;
    if (*id < 0 || *id >= vocab) fail(ErrorCode::parse_error, "'" + key + "' is not a token of the vocabulary");
    return *id;
  }
  [[noreturn]] void fail(ErrorCode code, const std::string& what) const { throw Error(code, where_ + ": " + what); }

 private:
  const Header& header_;
  const std::string& where_;
};

}  // namespace advisor::gguf
