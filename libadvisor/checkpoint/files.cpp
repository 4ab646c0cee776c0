#include "checkpoint/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace advisor::files {
namespace {

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Error(missing ? ErrorCode::not_found : ErrorCode::io_error,
              std::string("cannot ") + what + " " + path.string() + ": " + std::generic_category().message(error));
}

}  // namespace

InputFile::InputFile(const std::filesystem::path& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail("open", path, errno);
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) {
    const int error = errno;
    ::close(descriptor_);
    fail("examine", path, error);
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    throw Error(ErrorCode::io_error, path.string() + " is not a regular file");
  }
  size_ = status.st_size;
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

void InputFile::read(std::int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t n = ::pread(descriptor_, out.data(), out.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("read", path_, errno);
    if (n == 0) {
      throw Error(ErrorCode::io_error, path_.string() + ": the file ends at byte " + std::to_string(offset) +
                                           ", before the data it announces");
    }
    out = out.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
}

std::string read_text(const std::filesystem::path& path, std::int64_t limit) {
  const InputFile file(path);
  if (file.size() > limit) {
    throw Error(ErrorCode::parse_error, path.string() + ": " + std::to_string(file.size()) +
                                            " bytes are too many for this kind of file (limit " +
                                            std::to_string(limit) + ")");
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace advisor::files
