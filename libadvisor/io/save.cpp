#include "io/save.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace advisor {

namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::io_error, path.string() + ": cannot be written: " + why);
}

/// Unlike a stream it tells why it failed, and it can flush to the disk.
void write_through(const fs::path& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(path, std::strerror(errno));
  std::size_t done = 0;
  int error = 0;
  while (done < text.size() && error == 0) {
    const auto written = ::write(file, text.data() + done, text.size() - done);
    if (written >= 0) {
      done += static_cast<std::size_t>(written);
    } else if (errno != EINTR) {
      error = errno;
    }
  }
  if (error == 0 && ::fsync(file) != 0 && errno != EINVAL && errno != EROFS) error = errno;  // pipes have no disk
  if (::close(file) != 0 && error == 0) error = errno;
  if (error != 0) fail(path, std::strerror(error));
}

/// Removes what was begun unless it was kept.
class Partial {
 public:
  explicit Partial(const fs::path& final_place)
      : path_(final_place.string() + ".partial-" + std::to_string(::getpid())) {}
  ~Partial() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;
  const fs::path& path() const { return path_; }
  void move_to(const fs::path& place) const {
    std::error_code ec;
    fs::rename(path_, place, ec);
    if (ec) fail(place, ec.message());
  }

 private:
  fs::path path_;
};

}  // namespace

void save_file(const fs::path& path, const std::string& text) {
  const Partial partial(path);
  write_through(partial.path(), text);
  partial.move_to(path);
}

void save_folder(const fs::path& folder, const std::map<std::string, std::string>& files, bool overwrite) {
  std::error_code ec;
  const auto place = fs::path(folder.string().ends_with('/') ? folder.parent_path() : folder);
  if (fs::exists(place, ec) && !overwrite)
    throw Error(ErrorCode::invalid_argument, place.string() + ": exists already; name a new folder or overwrite it");
  const Partial partial(place);
  if (!fs::create_directories(partial.path(), ec)) fail(partial.path(), ec.message());
  for (const auto& [name, text] : files) write_through(partial.path() / name, text);
  if (overwrite) {
    const Partial old(place.string() + ".old");
    if (fs::exists(place, ec)) fs::rename(place, old.path(), ec);
    if (ec) fail(place, ec.message());
    partial.move_to(place);
  } else {
    partial.move_to(place);
  }
}

}  // namespace advisor
