// Any bytes as a quantized folder, for the fuzz entry of each reader: the settings up to the first zero byte, lines
// "name dtype 2,4", one for each tensor, up to the next, then the bytes of the tensors, repeated until they suffice.
// The header of the safetensors file is made from the lines and thus always fits its file, so that what is tried is the
// reader of the format; broken headers are safetensors_fuzz's.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"
#include "core/error.h"
#include "tensor/tensor.h"

namespace advisor::fuzz {

/// A folder of this process, overwritten by every input and gone with it.
inline const std::filesystem::path& folder() {
  struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("advisor-fuzz-" + std::to_string(::getpid()));
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      std::filesystem::remove_all(path, ignored);
    }
  };
  static const Folder mine;
  return mine.path;
}

inline void write(const std::string& name, std::string_view content) {
  std::ofstream(folder() / name, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// What is before the first `end`, which is taken off `text` together with it.
inline std::string_view take_until(std::string_view& text, char end) {
  const std::string_view part = text.substr(0, text.find(end));
  text.remove_prefix(std::min(part.size() + 1, text.size()));
  return part;
}

/// Reads every row of every matrix and its codes, which may be refused.
inline void read_all(const Checkpoint& model) {
  constexpr std::int64_t limit = 1 << 16;  // elements: wide tensors cost the reader nothing, this buffer they would
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.shape.size() != 2 || tensor.shape[0] == 0 || tensor.shape[1] > limit / tensor.shape[0]) continue;
    try {
      std::vector<float> rows(static_cast<std::size_t>(tensor.shape[0] * tensor.shape[1]));
      model.read_rows(tensor, 0, tensor.shape[0], rows);
      const auto codes = model.read_codes(tensor, 0, tensor.shape[0]);
      if (codes && codes->codes.size() != rows.size()) __builtin_trap();
    } catch (const Error& error) {
      if (error.code() == ErrorCode::internal) __builtin_trap();
    }
  }
}

inline std::optional<DType> dtype_named(std::string_view text) {
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::i64, DType::i32,
                            DType::i16, DType::i8, DType::u8}) {
    if (safetensors_name(dtype) == text) return dtype;
  }
  return std::nullopt;
}

/// Bytes of a safetensors file with the tensors that `lines` name; lines that name none are left out.
inline std::string safetensors(std::string_view lines, std::string_view data) {
  constexpr std::int64_t limit = 1 << 18;  // bytes
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  std::int64_t end = 0;
  while (!lines.empty()) {
    std::string_view line = take_until(lines, '\n');
    const std::string name(take_until(line, ' ')), dtype_name(take_until(line, ' '));
    std::vector<std::int64_t> shape;
    std::int64_t elements = 1;
    while (!line.empty()) {
      const std::string_view digits = take_until(line, ',');
      std::int64_t dimension = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), dimension);
      dimension = std::clamp<std::int64_t>(dimension, 0, std::int64_t{1} << 20);
      shape.push_back(dimension);
      elements = std::min(elements * dimension, limit);
    }
    const auto dtype = dtype_named(dtype_name);
    if (!dtype || header.contains(name) || shape.size() > 4 || end + elements * size_of(*dtype) > limit) continue;
    const std::int64_t begin = end;
    end += elements * size_of(*dtype);
    header[name] = {{"dtype", dtype_name}, {"shape", shape}, {"data_offsets", {begin, end}}};
  }
  const std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  std::string file;
  for (std::size_t size = text.size(), i = 0; i < 8; ++i, size >>= 8) file += static_cast<char>(size & 0xFF);
  file += text;
  for (std::size_t i = 0; i < static_cast<std::size_t>(end); ++i) file += data.empty() ? '\0' : data[i % data.size()];
  return file;
}

/// Opens the folder that `data` describes as one of `method` and reads what was opened.
inline int read_as(const char* method, const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string settings(take_until(text, '\0'));
  const std::string_view lines = take_until(text, '\0');
  write("config.json", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4, "intermediate_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 3,
    "max_position_embeddings": 16, "rms_norm_eps": 1e-6, "quantization_config": {"quant_method": ")" +
                           std::string(method) + "\", " + settings + "}}");
  write("model.safetensors", safetensors(lines, text));
  try {
    read_all(*open_checkpoint(folder()));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) __builtin_trap();
  }
  return 0;
}

}  // namespace advisor::fuzz
