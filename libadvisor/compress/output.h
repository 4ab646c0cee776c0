// The output folder: checks before the job, the partial folder during it, the rename at its end. A run that fails,
// throws leaves nothing behind; one that is killed leaves `<out>.partial-<pid>`, to be resumed, never a half `<out>`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace advisor {

/// Name of the report inside every output folder; also what tells our folders from others.
inline constexpr const char* report_file_name = "advisor_report.json";
/// Name of the journal in a partial folder (journal.h).
inline constexpr const char* journal_file_name = "advisor_journal.jsonl";

/// Absolute path of the output without a trailing slash. Throws invalid_argument when it exists and may not be
/// replaced, lies inside the model's folder or contains it; not_found when its parent folder does not exist; io_error
/// when the parent cannot be written.
std::filesystem::path check_output(const std::filesystem::path& out, const std::filesystem::path& model,
                                   bool overwrite);

std::int64_t free_disk(const std::filesystem::path& folder);     ///< bytes an unprivileged user can still write
std::int64_t folder_bytes(const std::filesystem::path& folder);  ///< of its files, but for a journal

/// Bytes per second written through to the device, from one short unnamed file in `folder`; 0 when the file system
/// has no unnamed files.
double disk_rate(const std::filesystem::path& folder);

/// Writes a small file.
void write_file(const std::filesystem::path& path, const std::string& content);

std::int64_t weight_bytes(const std::filesystem::path& folder);  ///< of the weight files below

/// Hex SHA-256 over the contents of the weight files (*.safetensors, *.gguf) of a folder, in order of their names.
/// `advance` is told of every piece that was read, its file and its bytes; empty result when it returns false.
std::string weights_sha256(const std::filesystem::path& folder,
                           const std::function<bool(const std::string& file, std::int64_t bytes)>& advance);

/// A folder beside `out` that disappears with everything in it unless it is committed or kept.
class PartialFolder {
 public:
  /// Makes the folder, or takes over `interrupted`. Throws io_error when it cannot be made.
  explicit PartialFolder(std::filesystem::path out, const std::filesystem::path& interrupted = {});
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// It stays where it is when this object ends.
  void keep() { exists_ = false; }
  /// Waits until everything in the folder is on the device and renames it to `out`. An old `out` is exchanged in one
  /// step and then removed.
  void commit(bool overwrite);

 private:
  std::filesystem::path out_, path_;
  bool exists_ = true;
};

}  // namespace advisor
