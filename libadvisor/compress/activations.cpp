#include "compress/activations.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "compress/outputs.h"
#include "core/error.h"
#include "tensor/parallel.h"

namespace advisor {
namespace fs = std::filesystem;
namespace {

constexpr const char* prefix = "activations-";

[[noreturn]] void fail(const char* what, int error) {
  throw Error(ErrorCode::io_error, std::string(what) + " the file of calibration activations: " +
                                       std::generic_category().message(error) + "; raise --memory or free disk space");
}

}  // namespace

Activations::File Activations::File::unnamed(const fs::path& folder, std::int64_t bytes) {
  std::string name = (folder / "activations-XXXXXX").string();
  File file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) fail("cannot create", errno);
  ::unlink(name.c_str());
  file.reserve(bytes);
  return file;
}

Activations::File Activations::File::create(const fs::path& path, std::int64_t bytes) {
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  if (!file) fail("cannot create", errno);
  file.reserve(bytes);
  return file;
}

Activations::File Activations::File::open(const fs::path& path) {
  File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) fail("cannot open", errno);
  return file;
}

Activations::File::~File() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Activations::File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

Activations::File& Activations::File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

void Activations::File::reserve(std::int64_t bytes) const {
  const int error = ::posix_fallocate(descriptor_, 0, std::max<std::int64_t>(bytes, 1));
  if (error != 0) fail("cannot reserve", error);
}

void Activations::File::read(std::int64_t at, std::span<float> values) const {
  for (auto bytes = std::as_writable_bytes(values); !bytes.empty();) {
    const ssize_t got = ::pread(descriptor_, bytes.data(), bytes.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("cannot read", got < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    at += got;
  }
}

void Activations::File::write(std::int64_t at, std::span<const float> values) const {
  for (auto bytes = std::as_bytes(values); !bytes.empty();) {
    const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail("cannot write", put < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    at += put;
  }
}

void Activations::File::flush() const {
  if (::fdatasync(descriptor_) != 0) fail("cannot write", errno);
}

Activations::Activations(std::vector<std::int64_t> lengths, std::int64_t width, std::int64_t budget, fs::path folder,
                         bool keep)
    : lengths_(std::move(lengths)), width_(width), folder_(std::move(folder)), keep_(keep) {
  std::int64_t at = 0;
  for (const std::int64_t length : lengths_) {
    offsets_.push_back(at);
    at += length * width_ * static_cast<std::int64_t>(sizeof(float));
  }
  offsets_.push_back(at);
  on_disk_ = at > budget;
  if (!on_disk_) memory_.resize(lengths_.size());
  if (keep_) prints_.resize(lengths_.size());
  if (on_disk_ && !keep_) current_ = File::unnamed(folder_, at);
}

Tensor Activations::read(std::int64_t i) const {
  const auto n = static_cast<std::size_t>(i);
  Tensor x({lengths_[n], width_});
  if (on_disk_) {
    current_.read(offsets_[n], x.span());
  } else {
    std::ranges::copy(memory_[n].span(), x.data());
  }
  return x;
}

void Activations::write(std::int64_t i, Tensor x) {
  const auto n = static_cast<std::size_t>(i);
  if (next_) {
    next_.write(offsets_[n], x.span());
    prints_[n] = fingerprint(x.span());
  } else if (on_disk_) {
    current_.write(offsets_[n], x.span());
  }
  if (!on_disk_) memory_[n] = std::move(x);
}

void Activations::begin(std::int64_t layer) {
  // The inputs of the first block are made faster than kept: nothing but the embedding goes into them.
  if (keep_ && (on_disk_ || layer > 0)) next_ = File::create(file_name(layer), bytes());
}

std::uint64_t Activations::end() {
  if (!next_) return 0;
  next_.flush();
  File done = std::move(next_);
  if (on_disk_) current_ = std::move(done);
  return fingerprint_of_all();
}

void Activations::load(std::int64_t layer, std::uint64_t print, int threads) {
  File file = File::open(file_name(layer));
  parallel_for(size(), threads, [&](std::int64_t i) {
    const auto n = static_cast<std::size_t>(i);
    Tensor x({lengths_[n], width_});
    file.read(offsets_[n], x.span());
    prints_[n] = fingerprint(x.span());
    if (!on_disk_) memory_[n] = std::move(x);
  });
  if (on_disk_) current_ = std::move(file);
  if (fingerprint_of_all() != print)
    throw Error(ErrorCode::io_error, file_name(layer).string() +
                                         " does not hold what the interrupted run wrote; remove its folder and start "
                                         "anew without resuming");
}

void Activations::remove_files(const fs::path& folder, std::int64_t layer) {
  const std::string kept = prefix + std::to_string(layer);
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(prefix) && name != kept) fs::remove(entry.path());
  }
}

fs::path Activations::file_name(std::int64_t layer) const { return folder_ / (prefix + std::to_string(layer)); }

std::uint64_t Activations::fingerprint_of_all() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t print : prints_) sum = fold(sum, print);
  return sum == 0 ? 1 : sum;  // 0 says that nothing is kept
}

}  // namespace advisor
