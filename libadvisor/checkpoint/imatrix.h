// Importance matrices ("imatrix") of llama.cpp: what an error in each input column of a matrix counts, as the mean
// square of that input over a text. Read in both forms that llama.cpp reads, GGUF (since July 2025) and the binary one
// before it (".dat"); written as GGUF. For every matrix NAME of the model file there are two float32 tensors,
// NAME.in_sum2 [parts, columns] = sum of squares and NAME.counts [parts, 1] = vectors; parts are experts.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/files.h"

namespace advisor {

/// Beside the model that was made with it. No model is looked for under this name.
inline constexpr const char* imatrix_file_name = "imatrix.gguf";

/// Mean squares of the inputs of matrices of `model`, by Hugging Face name; without those that saw nothing (experts)
/// and those that the model does not have. Throws not_found, io_error, parse_error naming the entry, invalid_argument
/// when an entry does not fit its matrix or none belongs to the model.
std::map<std::string, std::vector<float>> read_imatrix(const std::filesystem::path& path, const Checkpoint& model);

/// Matrices of decoder blocks that go into the file: all that GGUF has a name for.
std::vector<TensorInfo> imatrix_tensors(const Checkpoint& model);

/// A file that is filled matrix by matrix, in any order, and gone on with when an interrupted run left it.
class ImatrixWriter {
 public:
  struct Source {
    std::vector<std::string> texts;  ///< names of what the model was shown
    std::int64_t sequences = 0, sequence_length = 0;
  };
  ImatrixWriter(const Checkpoint& model, const Source& source, const std::filesystem::path& folder, bool resume);

  static std::int64_t bytes(const Checkpoint& model, const Source& source);

  /// Of a tensor that is not in the file nothing is written.
  void write(const std::string& tensor, std::int64_t vectors, std::span<const float> mean_square) const;
  void flush() const { file_.flush(); }
  void close() { file_.close(); }

 private:
  struct Slot {
    std::int64_t sums = 0, count = 0;  ///< offsets in the file
  };
  struct Layout {
    std::vector<std::byte> header;
    std::map<std::string, Slot> slots;  ///< by Hugging Face name
    std::int64_t size = 0;
  };
  static Layout lay_out(const Checkpoint& model, const Source& source);

  Layout layout_;
  files::OutputFile file_;
};

}  // namespace advisor
