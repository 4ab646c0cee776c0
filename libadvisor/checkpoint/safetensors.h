// One .safetensors file: u64 header length, JSON header, data. The header is checked completely before any tensor is
// read, so that nothing after this layer has to doubt an offset. Knows nothing of models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/files.h"
#include "tensor/tensor.h"

namespace advisor {

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;  ///< bytes from the start of the file
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  ///< by offset: the first begins at data_begin, the last ends the file
  std::map<std::string, std::string> metadata;
  std::int64_t data_begin = 0;
};

/// The longest header that readers accept.
inline constexpr std::int64_t safetensors_header_limit = 100'000'000;

/// Length of the JSON header from the first 8 bytes, checked against the limit and the size of the file.
std::int64_t safetensors_header_length(std::span<const std::byte> first8, std::int64_t file_size,
                                       const std::string& where);

/// Parses the first 8 + N bytes of a file of `file_size` bytes. Throws parse_error naming `where` and the tensor.
SafetensorsHeader parse_safetensors(std::span<const std::byte> head, std::int64_t file_size, const std::string& where);

/// The spelling of the format: "BF16", "I32".
std::string safetensors_name(DType dtype);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const SafetensorsHeader& header() const { return header_; }
  const files::InputFile& file() const { return file_; }

 private:
  files::InputFile file_;
  SafetensorsHeader header_;
};

}  // namespace advisor
