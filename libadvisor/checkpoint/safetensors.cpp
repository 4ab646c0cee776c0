#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "checkpoint/json.h"
#include "core/error.h"

namespace advisor {
namespace {

constexpr std::array<std::pair<DType, std::string_view>, 15> dtype_names{{{DType::f64, "F64"},
                                                                          {DType::f32, "F32"},
                                                                          {DType::f16, "F16"},
                                                                          {DType::bf16, "BF16"},
                                                                          {DType::f8_e4m3, "F8_E4M3"},
                                                                          {DType::f8_e5m2, "F8_E5M2"},
                                                                          {DType::i64, "I64"},
                                                                          {DType::i32, "I32"},
                                                                          {DType::i16, "I16"},
                                                                          {DType::i8, "I8"},
                                                                          {DType::u64, "U64"},
                                                                          {DType::u32, "U32"},
                                                                          {DType::u16, "U16"},
                                                                          {DType::u8, "U8"},
                                                                          {DType::boolean, "BOOL"}}};

[[noreturn]] void bad(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::parse_error, where + ": " + why);
}

DType parse_dtype(const std::string& text, const std::string& where) {
  for (const auto& [dtype, spelling] : dtype_names) {
    if (spelling == text) return dtype;
  }
  throw Error(ErrorCode::unsupported, where + ": unknown dtype \"" + text + "\"");
}

/// A list of non-negative integers.
std::vector<std::int64_t> parse_sizes(const json::Json& object, const char* key, const std::string& where) {
  const json::Json* list = json::find(object, key);
  if (list == nullptr || !list->is_array()) bad(where, std::string("\"") + key + "\" must be a list of integers");
  std::vector<std::int64_t> sizes;
  for (const json::Json& item : *list) {
    // Unsigned is how the parser stores every integer that is not negative.
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
      bad(where, std::string("\"") + key + "\" holds " + item.dump() + ", which is not a size");
    }
    sizes.push_back(item.get<std::int64_t>());
  }
  return sizes;
}

SafetensorsEntry parse_entry(const std::string& name, const json::Json& value, const std::string& file) {
  const std::string where = file + ": tensor \"" + name + "\"";
  if (!value.is_object()) bad(where, "must be described by a JSON object");
  const auto dtype = json::find_string(value, "dtype", where);
  if (!dtype) bad(where, "has no \"dtype\"");
  SafetensorsEntry entry;
  entry.name = name;
  entry.dtype = parse_dtype(*dtype, where);
  entry.shape = parse_sizes(value, "shape", where);
  const std::vector<std::int64_t> offsets = parse_sizes(value, "data_offsets", where);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) bad(where, "\"data_offsets\" must be [begin, end]");
  entry.begin = offsets[0];
  entry.end = offsets[1];

  std::int64_t elements = 0;
  try {
    elements = element_count(entry.shape);
  } catch (const Error& e) {
    bad(where, e.what());
  }
  const std::int64_t range = entry.end - entry.begin;
  if (range % size_of(entry.dtype) != 0 || range / size_of(entry.dtype) != elements) {
    bad(where, "its shape needs " + std::to_string(elements) + " elements of " + *dtype + ", but its offsets span " +
                   std::to_string(range) + " bytes");
  }
  return entry;
}

/// No holes, no overlaps, and the last tensor ends the file. Turns offsets into file positions.
void check_layout(SafetensorsHeader& header, std::int64_t file_size, const std::string& where) {
  auto& entries = header.entries;
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  const std::int64_t data_size = file_size - header.data_begin;
  std::int64_t expected = 0;
  for (SafetensorsEntry& entry : entries) {
    const std::string tensor = "tensor \"" + entry.name + "\"";
    if (entry.begin < expected) bad(where, tensor + " overlaps the tensor before it");
    if (entry.begin > expected) {
      bad(where, tensor + " begins at byte " + std::to_string(entry.begin) +
                     " of the data, but the tensor before it ends at " + std::to_string(expected) +
                     "; holes are not allowed");
    }
    if (entry.end > data_size) {
      bad(where, tensor + " ends at byte " + std::to_string(entry.end) + " of the data, but the file has only " +
                     std::to_string(data_size) + "; it is truncated, copy it again");
    }
    expected = entry.end;
    entry.begin += header.data_begin;
    entry.end += header.data_begin;
  }
  if (expected != data_size) {
    bad(where, std::to_string(data_size - expected) + " bytes follow the last tensor and belong to none");
  }
}

}  // namespace

std::string safetensors_name(DType dtype) {
  for (const auto& [known, spelling] : dtype_names) {
    if (known == dtype) return std::string(spelling);
  }
  throw Error(ErrorCode::internal, "safetensors_name: not a dtype");
}

std::int64_t safetensors_header_length(std::span<const std::byte> first8, std::int64_t file_size,
                                       const std::string& where) {
  if (first8.size() < 8 || file_size < 8) bad(where, "too short for a safetensors file");
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | std::to_integer<std::uint64_t>(first8[i]);
  if (length > static_cast<std::uint64_t>(safetensors_header_limit)) {
    bad(where, "announces a header of " + std::to_string(length) + " bytes (at most " +
                   std::to_string(safetensors_header_limit) +
                   " are allowed); it is not a safetensors file, or damaged");
  }
  if (static_cast<std::int64_t>(length) > file_size - 8) {
    bad(where, "announces a header of " + std::to_string(length) + " bytes, but has only " +
                   std::to_string(file_size - 8) + " after the length; it is truncated, copy it again");
  }
  return static_cast<std::int64_t>(length);
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> head, std::int64_t file_size, const std::string& where) {
  const std::int64_t length = safetensors_header_length(head, file_size, where);
  if (static_cast<std::int64_t>(head.size()) < 8 + length) bad(where, "the header is incomplete");
  const std::string_view text(reinterpret_cast<const char*>(head.data()) + 8, static_cast<std::size_t>(length));
  if (!text.starts_with('{')) bad(where, "the header does not begin with '{'");
  const json::Json root = json::parse(text, where);

  SafetensorsHeader header;
  header.data_begin = 8 + length;
  for (const auto& [name, value] : root.items()) {
    if (name != "__metadata__") {
      header.entries.push_back(parse_entry(name, value, where));
      continue;
    }
    if (!value.is_object()) bad(where, "\"__metadata__\" must be an object");
    for (const auto& [key, text_value] : value.items()) {
      if (!text_value.is_string())
        bad(where, "\"__metadata__\" holds a value that is not a string, at \"" + key + "\"");
      header.metadata.emplace(key, text_value.get<std::string>());
    }
  }
  check_layout(header, file_size, where);
  return header;
}

namespace {

SafetensorsHeader read_header(const files::InputFile& file) {
  const std::string where = file.path().string();
  std::vector<std::byte> head(static_cast<std::size_t>(std::min<std::int64_t>(8, file.size())));
  file.read(0, head);
  const std::int64_t length = safetensors_header_length(head, file.size(), where);
  head.resize(static_cast<std::size_t>(8 + length));
  file.read(8, std::span(head).subspan(8));
  return parse_safetensors(head, file.size(), where);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path), header_(read_header(file_)) {}

}  // namespace advisor
