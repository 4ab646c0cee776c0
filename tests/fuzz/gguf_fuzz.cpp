// Any bytes: the header parser and the readers of metadata either succeed or throw advisor::Error. What parses must
// survive being written and parsed again. The same bytes as a file, or as two parts of a model: refused, or opened and
// read.
#include <cstring>
#include <string>
#include <string_view>

#include "checkpoint/gguf.h"
#include "core/error.h"
#include "model_folder.h"

using namespace advisor;

namespace {

void open(const std::string& name) {
  try {
    fuzz::read_all(*open_checkpoint(fuzz::folder() / name));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) __builtin_trap();
  }
}

void open_as_file(std::string_view bytes) {
  fuzz::write("model.gguf", bytes);
  open("model.gguf");
}

/// A second magic begins the second of two files.
void open_as_parts(std::string_view bytes) {
  const std::size_t second = bytes.find("GGUF", 4);
  if (second == std::string_view::npos) return;
  fuzz::write("model-00001-of-00002.gguf", bytes.substr(0, second));
  fuzz::write("model-00002-of-00002.gguf", bytes.substr(second));
  open("model-00001-of-00002.gguf");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const gguf::ReadAt read = [data](std::int64_t offset, std::span<std::byte> out) {
    std::memcpy(out.data(), data + offset, out.size());
  };
  gguf::Header header;
  try {
    header = gguf::parse_header(read, static_cast<std::int64_t>(size), "fuzz");
  } catch (const Error&) {
    return 0;
  }
  for (const gguf::TensorEntry& tensor : header.tensors) {
    if (tensor.offset < 0 || tensor.bytes < 0 || tensor.offset + tensor.bytes > static_cast<std::int64_t>(size)) {
      __builtin_trap();  // accepted although outside of the file
    }
  }
  const std::vector<std::byte> again = gguf::write_header(header.metadata, {});
  const gguf::Header reread = gguf::parse_header(
      [&again](std::int64_t offset, std::span<std::byte> out) {
        std::memcpy(out.data(), again.data() + offset, out.size());
      },
      static_cast<std::int64_t>(again.size()), "fuzz");
  if (gguf::write_header(reread.metadata, {}) != again) __builtin_trap();
  try {
    gguf::to_config(header, "fuzz");
    gguf::to_tokenizer(header, "fuzz");
  } catch (const Error&) {
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  open_as_file(bytes);
  open_as_parts(bytes);
  return 0;
}
