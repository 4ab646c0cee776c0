// Folders and safetensors files for tests, written byte by byte without the writer under test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace advisor::testing_support {

/// A folder that disappears with the test.
class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "advisor-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline void write_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// Length, header and data as they are; `length` overrides the true length of the header.
inline std::string safetensors(const std::string& header, const std::string& data, std::uint64_t length = 0) {
  if (length == 0) length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

template <typename T>
std::string raw(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A Llama of hidden size 4: enough for every field that is required.
inline const char* const config_text = R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4,
  "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1,
  "vocab_size": 3, "max_position_embeddings": 16, "rms_norm_eps": 1e-6, "torch_dtype": "float32",
  "bos_token_id": 1, "eos_token_id": [2, 0]})";

/// `action` must throw advisor::Error with this code and all of these words in its message.
inline void expect_error(const std::function<void()>& action, ErrorCode code, const std::vector<std::string>& words) {
  try {
    action();
  } catch (const Error& e) {
    EXPECT_EQ(name(e.code()), name(code)) << e.what();
    for (const std::string& word : words) EXPECT_THAT(e.what(), testing::HasSubstr(word));
    return;
  }
  ADD_FAILURE() << "nothing was thrown; expected words: " << testing::PrintToString(words);
}

}  // namespace advisor::testing_support
