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

constexpr std::int64_t writeback_step = 16 << 20;  // bytes; large pieces for the device, small against what it holds

[[noreturn]] void fail(const char* what, const std::filesystem::path& path, int error) {
  const bool missing = error == ENOENT || error == ENOTDIR;
  throw Error(missing ? ErrorCode::not_found : ErrorCode::io_error,
              std::string("cannot ") + what + " " + path.string() + ": " + std::generic_category().message(error));
}

[[noreturn]] void fail_writing(const char* what, const std::filesystem::path& path, int error) {
  throw Error(ErrorCode::io_error,
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

OutputFile::OutputFile(const std::filesystem::path& path, std::int64_t size, bool resume) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | (resume ? 0 : O_EXCL) | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_writing("create", path, errno);
  int error = size == 0 ? 0 : ::posix_fallocate(descriptor_, 0, size);
  if (error == 0 && resume && ::ftruncate(descriptor_, size) != 0) error = errno;
  if (error != 0) {
    ::close(descriptor_);
    if (!resume) ::unlink(path.c_str());
    fail_writing(("reserve " + std::to_string(size) + " bytes for").c_str(), path, error);
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      written_(other.written_.load()) {}

void OutputFile::write(std::int64_t offset, std::span<const std::byte> bytes) const {
  const auto size = static_cast<std::int64_t>(bytes.size());
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_writing("write", path_, n < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += n;
  }
  const std::int64_t before = written_.fetch_add(size, std::memory_order_relaxed);
  // Only a hint, so that its failure means nothing.
  if (before / writeback_step != (before + size) / writeback_step)
    ::sync_file_range(descriptor_, 0, 0, SYNC_FILE_RANGE_WRITE);
}

void OutputFile::flush() const {
  if (::fdatasync(descriptor_) != 0) fail_writing("write", path_, errno);
}

void OutputFile::close() {
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_writing("write", path_, errno);
}

void sync_file(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_writing("open", path, errno);
  const int error = ::fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  if (error != 0) fail_writing("write", path, error);
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_writing("open", folder, errno);
  const int error = ::fsync(descriptor) != 0 ? errno : 0;
  ::close(descriptor);
  if (error != 0 && error != EINVAL) fail_writing("write", folder, error);  // EINVAL: nothing to flush on this system
}

}  // namespace advisor::files
