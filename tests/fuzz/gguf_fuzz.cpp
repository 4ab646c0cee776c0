// Any bytes: the header parser and the readers of metadata either succeed or throw advisor::Error. What parses must
// survive being written and parsed again. The same bytes as a file: refused, or opened and read.
#include <cstring>

#include "checkpoint/gguf.h"
#include "core/error.h"
#include "model_folder.h"

using namespace advisor;

namespace {

void open_as_file(std::string_view bytes) {
  fuzz::write("model.gguf", bytes);
  try {
    fuzz::read_all(*open_checkpoint(fuzz::folder() / "model.gguf"));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::internal) __builtin_trap();
  }
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
  open_as_file({reinterpret_cast<const char*>(data), size});
  return 0;
}
