// A GGUF model in one file or in several, "NAME-00001-of-00003.gguf": the metadata are those of the first, the tensors
// are spread over all. Private to the reader.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/files.h"
#include "checkpoint/gguf.h"

namespace advisor::gguf {

/// What the name of a part says.
struct PartName {
  std::string prefix;  ///< path without "-00001-of-00003.gguf"
  std::int64_t number = 1, count = 1;
  std::filesystem::path path_of(std::int64_t part) const;
};
/// nullopt for a name of another form.
std::optional<PartName> part_name(const std::filesystem::path& path);

/// The one file to open among those of a folder: the only one, or the first part of the only model; otherwise nullopt.
std::optional<std::filesystem::path> first_part(const std::vector<std::filesystem::path>& files);

class Parts {
 public:
  /// Opens `path` and, when it says that it is the first of several, the others beside it. Throws not_found for a part
  /// that is missing, parse_error for parts that do not belong together, invalid_argument for a later part.
  explicit Parts(const std::filesystem::path& path);

  /// Of all parts: offsets count on from one file to the next.
  const Header& header() const { return header_; }
  /// Reads at an offset of a tensor, which lies in one part.
  void read(std::int64_t offset, std::span<std::byte> out) const;
  const std::filesystem::path& path() const { return files_.front().path(); }

 private:
  void add(const std::filesystem::path& path, std::int64_t number, std::int64_t count);
  std::vector<files::InputFile> files_;
  std::vector<std::int64_t> begins_;  ///< of files_, in header_'s offsets
  Header header_;
};

}  // namespace advisor::gguf
