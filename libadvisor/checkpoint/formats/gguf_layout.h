// Where everything of a GGUF output lies: one file, or several of a limited size. Private to formats/gguf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint/files.h"
#include "checkpoint/gguf.h"

namespace advisor::gguf {

/// Buffers of old checkpoints that every reader computes itself.
bool is_dropped(std::string_view name);

std::int64_t columns(const TensorInfo& tensor);

/// nullopt: a type of ggml that no encoder here writes (IQ1 .. IQ3), or no type of ggml.
std::optional<kernels::BlockType> type_of(const OutputPlan& plan, const PlannedTensor& planned);

inline constexpr std::size_t max_parts = 65535;  ///< split.count has 16 bits

/// Offsets count on from one file to the next, as in Parts.
struct Layout {
  struct File {
    std::vector<std::byte> header;
    std::int64_t begin = 0, size = 0;
  };
  std::vector<File> files;
  std::vector<Place> places;         ///< parallel to the plan; no tensor name: not written
  std::vector<TensorEntry> entries;  ///< parallel to the plan; offset and size are those of the part
  std::vector<std::pair<TensorEntry, std::vector<std::byte>>> extra;  ///< rotary factors, with their data
  std::int64_t size = 0;
};

/// For a plan whose tensors are not refused. A new file begins before a tensor with which the tensors of the last would
/// exceed plan.split_max_size, as llama-gguf-split cuts; a tensor is never cut, and one file has no split metadata.
Layout lay_out(const OutputPlan& plan);

/// The files of a layout, headers written.
class PartFiles {
 public:
  PartFiles(const OutputPlan& plan, const Layout& layout, const std::filesystem::path& folder);
  /// At an offset of a tensor, which lies in one file.
  void write(std::int64_t offset, std::span<const std::byte> bytes) const;
  void flush() const;
  void close();

 private:
  std::vector<files::OutputFile> files_;
  std::vector<std::int64_t> begins_;
};

}  // namespace advisor::gguf
