#include "compress/output.h"

#include <fcntl.h>
#include <nettle/sha2.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>

#include "checkpoint/files.h"
#include "checkpoint/imatrix.h"
#include "core/error.h"

namespace advisor {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& what, const fs::path& path, int error) {
  throw Error(ErrorCode::io_error, what + " " + path.string() + ": " + std::generic_category().message(error));
}

/// An open descriptor that is closed on every path.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

/// 0 or errno.
int write_all(int fd, std::span<const char> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return 0;
}

/// A folder with everything in it.
void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) {
      sync_tree(entry.path());
    } else {
      files::sync_file(entry.path());
    }
  }
  files::sync_folder(folder);
}

bool contains(const fs::path& folder, const fs::path& path) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

/// What may be replaced: nothing, an empty folder, or a folder that carries our report.
void check_replaceable(const fs::path& out, bool overwrite) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(out, error);
  if (status.type() == fs::file_type::not_found) return;
  if (error) throw Error(ErrorCode::io_error, "cannot look at output " + out.string() + ": " + error.message());
  if (!overwrite)
    throw Error(ErrorCode::invalid_argument,
                "output " + out.string() + " exists; choose another name, remove it, or ask to overwrite it");
  const bool ours = fs::is_directory(status) && (fs::exists(out / report_file_name, error) || fs::is_empty(out, error));
  if (!ours)
    throw Error(ErrorCode::invalid_argument, "output " + out.string() +
                                                 " is not a folder that a compression wrote (no " + report_file_name +
                                                 " in it) and is not overwritten; remove it yourself");
}

/// The weight files of a folder by name.
std::vector<fs::path> weight_files(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if ((it->path().extension() == ".safetensors" || it->path().extension() == ".gguf") &&
        it->path().filename() != imatrix_file_name)
      paths.push_back(it->path());
  if (error) throw Error(ErrorCode::io_error, "cannot list " + folder.string() + ": " + error.message());
  std::ranges::sort(paths);
  return paths;
}

}  // namespace

fs::path check_output(const fs::path& out, const fs::path& model, bool overwrite) {
  if (out.empty()) throw Error(ErrorCode::invalid_argument, "no output folder was given");
  std::error_code error;
  fs::path path = fs::absolute(out, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();  // "out/"
  const fs::path parent = path.parent_path();
  if (!fs::is_directory(parent, error))
    throw Error(fs::exists(parent, error) ? ErrorCode::invalid_argument : ErrorCode::not_found,
                "the output folder would be made in " + parent.string() + ", which is not an existing folder");
  check_replaceable(path, overwrite);
  const fs::path real_out = fs::canonical(parent, error) / path.filename();
  fs::path real_model = fs::canonical(model, error);
  if (!error) {
    if (!fs::is_directory(real_model)) real_model = real_model.parent_path();
    if (contains(real_model, real_out) || contains(real_out, real_model))
      throw Error(ErrorCode::invalid_argument, "output " + path.string() + " and the model's folder " + model.string() +
                                                   " lie inside each other; choose another place");
  }
  if (::access(parent.c_str(), W_OK | X_OK) != 0) fail("cannot write into", parent, errno);
  return path;
}

std::int64_t free_disk(const fs::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) fail("cannot ask for the free space of", folder, errno);
  return static_cast<std::int64_t>(info.f_bavail * info.f_frsize);
}

std::int64_t folder_bytes(const fs::path& folder) {
  std::int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->is_regular_file(error) && it->path().filename() != journal_file_name)
      bytes += static_cast<std::int64_t>(it->file_size(error));
  if (error) throw Error(ErrorCode::io_error, "cannot list " + folder.string() + ": " + error.message());
  return bytes;
}

double disk_rate(const fs::path& folder) {
  const Descriptor file(folder, O_TMPFILE | O_WRONLY);
  if (!file.valid()) return 0;
  const std::string sample(std::size_t{4} << 20, 'x');
  const auto start = std::chrono::steady_clock::now();
  if (write_all(file.get(), sample) != 0 || ::fdatasync(file.get()) != 0) return 0;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return static_cast<double>(sample.size()) / std::max(seconds.count(), 1e-6);
}

void write_file(const fs::path& path, const std::string& content) {
  const Descriptor file(path, O_WRONLY | O_CREAT | O_EXCL);
  if (!file.valid()) fail("cannot create", path, errno);
  if (const int error = write_all(file.get(), content); error != 0) fail("cannot write", path, error);
}

std::int64_t weight_bytes(const fs::path& folder) {
  std::int64_t bytes = 0;
  for (const fs::path& path : weight_files(folder)) bytes += files::InputFile(path).size();
  return bytes;
}

std::string weights_sha256(const fs::path& folder,
                           const std::function<bool(const std::string&, std::int64_t)>& advance) {
  const std::vector<fs::path> paths = weight_files(folder);
  sha256_ctx state;
  sha256_init(&state);
  std::vector<std::byte> buffer(std::size_t{1} << 20);
  for (const fs::path& path : paths) {
    const files::InputFile file(path);
    for (std::int64_t at = 0; at < file.size(); at += static_cast<std::int64_t>(buffer.size())) {
      const auto n = std::min(static_cast<std::int64_t>(buffer.size()), file.size() - at);
      const std::span chunk(buffer.data(), static_cast<std::size_t>(n));
      file.read(at, chunk);
      sha256_update(&state, chunk.size(), reinterpret_cast<const std::uint8_t*>(chunk.data()));
      if (!advance(path.filename().string(), n)) return {};
    }
  }
  std::array<std::uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&state, digest.size(), digest.data());
  constexpr std::string_view hex = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) (text += hex[byte >> 4]) += hex[byte & 15];
  return text;
}

PartialFolder::PartialFolder(fs::path out, const fs::path& interrupted) : out_(std::move(out)), path_(interrupted) {
  if (!path_.empty()) return;
  // A number follows only when an earlier process of the same id was killed (in containers ids repeat).
  const std::string base = out_.string() + ".partial-" + std::to_string(::getpid());
  for (int n = 0;; ++n) {
    path_ = n == 0 ? base : base + "-" + std::to_string(n);
    std::error_code error;
    if (fs::create_directory(path_, error)) return;
    if (error || n == 1000) fail("cannot create the output folder", path_, error ? error.value() : EEXIST);
  }
}

PartialFolder::~PartialFolder() {
  std::error_code ignored;  // nothing better can be done while another error is on its way
  if (exists_) fs::remove_all(path_, ignored);
}

void PartialFolder::commit(bool overwrite) {
  sync_tree(path_);
  std::error_code error;
  const bool replace = overwrite && fs::exists(out_, error);
  const unsigned flags = replace ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, out_.c_str(), flags) != 0) {
    if (errno != EINVAL && errno != ENOSYS) fail("cannot rename the finished output to", out_, errno);
    // A file system without these flags: remove the old folder first, then rename.
    if (replace) fs::remove_all(out_, error);
    if (::rename(path_.c_str(), out_.c_str()) != 0) fail("cannot rename the finished output to", out_, errno);
    exists_ = false;
  } else {
    exists_ = replace;  // after an exchange, path_ is the old output
  }
  if (exists_) fs::remove_all(path_, error);
  exists_ = false;
  files::sync_folder(out_.parent_path());
}

}  // namespace advisor
