// Small file helpers of this folder: reads that name the file and the reason when they fail, and never keep pages
// resident. POSIX only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace advisor::files {

/// Reads a whole small file; throws not_found, io_error, or parse_error when it is larger than `limit` bytes.
std::string read_text(const std::filesystem::path& path, std::int64_t limit);

/// A file open for reading at any offset from any thread. pread, not mmap: the pages stay in the page cache and never
/// count as this process's memory, and a file that shrinks is an error message instead of SIGBUS.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path);  ///< throws not_found or io_error
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  InputFile& operator=(InputFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::int64_t size() const { return size_; }
  /// Fills `out` from `offset`; throws io_error naming the file when it ends before that.
  void read(std::int64_t offset, std::span<std::byte> out) const;

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

/// A new file of known size, written in any order from any thread; gaps read as zero. Takes all its space at once, so
/// that a full disk is found before the work and not at 80 %. The kernel is told to write what has come so far every
/// few megabytes, so that the flush at the end of a job finds little left to do.
class OutputFile {
 public:
  /// `resume`: goes on with the file that an interrupted run left, whose bytes stay. Throws io_error, and leaves no new
  /// file behind then.
  OutputFile(const std::filesystem::path& path, std::int64_t size, bool resume = false);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  OutputFile& operator=(OutputFile&&) = delete;

  void write(std::int64_t offset, std::span<const std::byte> bytes) const;
  void flush() const;  ///< waits until what was written is on the device
  void close();        ///< does not wait for the device: see sync_file

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
  mutable std::atomic<std::int64_t> written_{0};
};

/// Waits until the contents of a file are on the device.
void sync_file(const std::filesystem::path& path);

/// Flushes the names in a folder to the device.
void sync_folder(const std::filesystem::path& folder);

}  // namespace advisor::files
