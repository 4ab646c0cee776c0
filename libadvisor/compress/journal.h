// What a job has finished, noted beside what it wrote, so that a run that was killed can be continued. One line of JSON
// each: first what decides the bytes of the output, then every piece that was flushed to the device before its line was
// written. The file is locked while a run works on the folder; the lock ends with the process, however that ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "compress/expected.h"
#include "compress/output.h"
#include "compress/plan.h"

namespace advisor {

/// What decides the bytes of a job's output, by what a user calls it ("the recipe"): a text or a digest of each.
using Identity = std::map<std::string, std::string>;
Identity identity_of(const CompressRequest& request, const PreparedJob& job);

/// A piece of finished work.
struct Finished {
  struct Piece {
    std::string tensor;
    std::vector<Expected> expected;  ///< one per output
  };
  std::vector<Piece> tensors;
  std::int64_t blocks = 0;        ///< decoder blocks that are finished after this piece
  std::uint64_t activations = 0;  ///< fingerprint of the inputs of the next block; 0 = not kept
  std::vector<std::string> notes;
};

class Journal {
 public:
  /// A journal for a new folder. Throws io_error.
  static Journal create(const std::filesystem::path& folder, const Identity& identity);
  /// Goes on with the one of an interrupted run. Throws invalid_argument when another process works on it, io_error.
  static Journal resume(const std::filesystem::path& folder);
  ~Journal();
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Everything noted so far, as one piece.
  const Finished& finished() const { return finished_; }
  /// Adds a piece and flushes it to the device. Its tensors have to be there already.
  void add(const Finished& piece);

 private:
  Journal(std::filesystem::path path, int flags);
  void write(const std::string& line) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  Finished finished_;
};

/// The folder `<out>.partial-*` of the one interrupted run that this job would continue. Throws not_found when there is
/// no such run, invalid_argument when a process still works on it, when something else was asked of it (names what), or
/// when there are several.
std::filesystem::path find_interrupted(const std::filesystem::path& out, const Identity& identity);

/// Folders of interrupted runs for `out`, whatever was asked of them.
std::vector<std::filesystem::path> interrupted_runs(const std::filesystem::path& out);

}  // namespace advisor
