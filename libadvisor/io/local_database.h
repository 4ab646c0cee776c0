// The user's own measurements, beside the shipped database that nobody writes: one SQLite file with a layout of its
// own, safe with several writers at once (write-ahead log, waiting writers, one transaction per recording). What is in
// it joins the knowledge as rows with `recorded` set and a source "local:<recording>".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/knowledge.h"
#include "io/import_match.h"

namespace advisor {

/// Appends the rows of `database` (of one model, when `model` is not empty) and their sources, and makes the digest
/// depend on them. A file that does not exist is no rows. Throws parse_error (not such a database), unsupported
/// (another layout), io_error.
void append_local(Knowledge& knowledge, const std::filesystem::path& database, const std::string& model = {});

class LocalDatabase {
 public:
  /// Nothing is opened or created before it is needed; reading from a file that does not exist finds nothing.
  explicit LocalDatabase(std::filesystem::path path);
  const std::filesystem::path& path() const { return path_; }

  /// Stores all of it or nothing and returns what was stored, with its id. A file whose content was recorded before is
  /// refused, unless it is an uncompressed run that new rows are compared with: then only what is new is stored. So is
  /// a row that is there already. Throws invalid_argument naming the earlier recording.
  Recording store(Recording recording);

  /// What store() would, without storing; creates no file.
  Recording check(Recording recording) const;

  std::vector<Recording> recordings() const;  ///< oldest first, with their rows
  std::vector<RecordedScore> scores() const;

  /// Takes back the recording of this id, or the last one for 0; returns it. Throws not_found.
  Recording undo(std::int64_t id);

 private:
  std::filesystem::path path_;
};

}  // namespace advisor
