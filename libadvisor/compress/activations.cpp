#include "compress/activations.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/error.h"

namespace advisor {
namespace {

[[noreturn]] void fail(const char* what, int error) {
  throw Error(ErrorCode::io_error, std::string(what) + " the file of calibration activations: " +
                                       std::generic_category().message(error) + "; raise --memory or free disk space");
}

}  // namespace

Activations::Activations(std::vector<std::int64_t> lengths, std::int64_t width, std::int64_t budget,
                         const std::filesystem::path& folder)
    : lengths_(std::move(lengths)), width_(width) {
  std::int64_t at = 0;
  for (const std::int64_t length : lengths_) {
    offsets_.push_back(at);
    at += length * width_ * static_cast<std::int64_t>(sizeof(float));
  }
  offsets_.push_back(at);
  if (at <= budget) {
    memory_.resize(lengths_.size());
    return;
  }
  std::string name = (folder / "activations-XXXXXX").string();
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail("cannot create", errno);
  ::unlink(name.c_str());
  if (const int error = ::posix_fallocate(descriptor_, 0, std::max<std::int64_t>(at, 1)); error != 0) {
    ::close(descriptor_);
    descriptor_ = -1;
    fail("cannot reserve", error);
  }
}

Activations::~Activations() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::int64_t Activations::bytes() const { return offsets_.back(); }

Tensor Activations::read(std::int64_t i) const {
  const auto n = static_cast<std::size_t>(i);
  Tensor x({lengths_[n], width_});
  if (!on_disk()) {
    std::ranges::copy(memory_[n].span(), x.data());
    return x;
  }
  auto bytes = std::as_writable_bytes(x.span());
  for (std::int64_t at = offsets_[n]; !bytes.empty();) {
    const ssize_t got = ::pread(descriptor_, bytes.data(), bytes.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) fail("cannot read", got < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
    at += got;
  }
  return x;
}

void Activations::write(std::int64_t i, Tensor x) {
  const auto n = static_cast<std::size_t>(i);
  if (!on_disk()) {
    memory_[n] = std::move(x);
    return;
  }
  auto bytes = std::as_bytes(x.span());
  for (std::int64_t at = offsets_[n]; !bytes.empty();) {
    const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail("cannot write", put < 0 ? errno : EIO);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    at += put;
  }
}

}  // namespace advisor
