// The residual stream of every calibration sequence between two blocks: in memory, or in a file where it would take
// more than its share of the budget. The inputs of a block can also be kept in a file from which a run that was killed
// goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "tensor/tensor.h"

namespace advisor {

class Activations {
 public:
  /// Sequences of `lengths` rows of `width` floats, all in memory when they take at most `budget` bytes, else in files
  /// of `folder`. Without `keep` there is one file at most, that nobody sees and that disappears with the process; with
  /// it the inputs of each block are in a file of their own. Throws io_error when a file cannot be made.
  Activations(std::vector<std::int64_t> lengths, std::int64_t width, std::int64_t budget, std::filesystem::path folder,
              bool keep = false);

  std::int64_t size() const { return static_cast<std::int64_t>(lengths_.size()); }
  std::int64_t bytes() const { return offsets_.back(); }
  bool on_disk() const { return on_disk_; }
  /// Rows [lengths[i], width] of sequence i. Distinct sequences may be read and written from several threads.
  Tensor read(std::int64_t i) const;
  void write(std::int64_t i, Tensor x);

  /// What is written from now on are the inputs of block `layer`. Each sequence is read before it is written.
  void begin(std::int64_t layer);
  /// All have been written and, when they are kept, flushed to the device. Returns their fingerprint, 0 when they are
  /// not kept.
  std::uint64_t end();
  /// Goes on with the inputs of block `layer` that another process kept. Throws io_error when they are not those of the
  /// fingerprint.
  void load(std::int64_t layer, std::uint64_t print, int threads);
  /// Removes the files that were kept but those of block `layer`; -1: all of them.
  static void remove_files(const std::filesystem::path& folder, std::int64_t layer);

 private:
  class File {
   public:
    File() = default;
    static File unnamed(const std::filesystem::path& folder, std::int64_t bytes);
    static File create(const std::filesystem::path& path, std::int64_t bytes);
    static File open(const std::filesystem::path& path);
    ~File();
    File(File&& other) noexcept;
    File& operator=(File&& other) noexcept;
    explicit operator bool() const { return descriptor_ >= 0; }
    void read(std::int64_t at, std::span<float> values) const;
    void write(std::int64_t at, std::span<const float> values) const;
    void flush() const;

   private:
    explicit File(int descriptor) : descriptor_(descriptor) {}
    void reserve(std::int64_t bytes) const;
    int descriptor_ = -1;
  };

  std::filesystem::path file_name(std::int64_t layer) const;
  std::uint64_t fingerprint_of_all() const;

  std::vector<std::int64_t> lengths_, offsets_;  ///< offsets in bytes
  std::int64_t width_;
  std::filesystem::path folder_;
  bool keep_, on_disk_ = false;
  std::vector<Tensor> memory_;         ///< unless on disk
  std::vector<std::uint64_t> prints_;  ///< of each sequence as it was written, when they are kept
  File current_;                       ///< what is read, on disk
  File next_;                          ///< what is being written, when it is kept
};

}  // namespace advisor
