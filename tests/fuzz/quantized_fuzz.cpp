// Any bytes as a quantized folder: the settings up to the first zero byte, a safetensors file after it. Opening either
// fails with advisor::Error or gives weights whose every row can be read or refused.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "checkpoint/checkpoint.h"
#include "core/error.h"

using namespace advisor;

namespace {

/// A folder of this process, overwritten by every input and gone with it.
struct Folder {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("advisor-quantized-fuzz-" + std::to_string(::getpid()));
  Folder() { std::filesystem::create_directories(path); }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

const std::filesystem::path& folder() {
  static const Folder mine;
  return mine.path;
}

void write(const char* name, std::string_view content) {
  std::ofstream(folder() / name, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

void read_all(const Checkpoint& model) {
  constexpr std::int64_t limit =
      1 << 20;  // elements: wide empty tensors cost the reader nothing, this buffer they would
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.shape.size() != 2 || tensor.shape[0] == 0 || tensor.shape[1] > limit / tensor.shape[0]) continue;
    try {
      std::vector<float> rows(static_cast<std::size_t>(tensor.shape[0] * tensor.shape[1]));
      model.read_rows(tensor, 0, tensor.shape[0], rows);
      const auto codes = model.read_codes(tensor, 0, tensor.shape[0]);
      if (codes && codes->codes.size() != rows.size()) __builtin_trap();
    } catch (const Error&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\0'), size);
  write("config.json", R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4, "intermediate_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 3,
    "max_position_embeddings": 16, "rms_norm_eps": 1e-6, "quantization_config": )" +
                           std::string(text.substr(0, end)) + "}");
  write("model.safetensors", end < size ? text.substr(end + 1) : std::string_view());
  try {
    read_all(*open_checkpoint(folder()));
  } catch (const Error&) {
  }
  return 0;
}
