// Everything a job writes: one writer per output, and what each tensor must decode to when it is opened again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "compress/plan.h"
#include "compress/tiles.h"

namespace advisor {

/// What verification expects of one tensor of one output.
struct Expected {
  std::uint64_t print = 0;  ///< of what it decodes to, folded over its tiles in order
  bool printed = false;     ///< `print` is set: it must decode to exactly that
  bool bounded = true;      ///< the distance from the source must lie within the error budget of its scheme
};

/// Per output and tensor of the source.
using Expectations = std::vector<std::vector<Expected>>;

/// 64-bit fingerprint of the bits of a tile.
std::uint64_t fingerprint(std::span<const float> values);
inline std::uint64_t fold(std::uint64_t sum, std::uint64_t tile) { return (sum ^ tile) * 0x9e3779b97f4a7c15u + 1; }

/// Writes may come from several threads for distinct rows.
class Outputs {
 public:
  Outputs(const PreparedJob& job, const std::filesystem::path& folder);

  /// Rows from `begin` on, which begins a tile, of a tensor that the format stores dense or encodes itself. `changed`:
  /// they are not those of the source.
  void write_rows(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                  std::span<const float> importance, bool changed);
  /// Codes of rows from `begin` on, which begins a tile. `bounded`: the technique answers for their distance.
  void write_codes(std::size_t output, std::size_t tensor, std::int64_t begin, const QuantizedTensor& codes,
                   bool bounded);
  /// All rows of the tensor have been written to all outputs.
  void finish_tensor(std::size_t tensor);
  /// Ends the files.
  Expectations finish();

 private:
  void keep(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> decoded, bool bounded);

  const PreparedJob& job_;
  std::vector<std::unique_ptr<FormatWriter>> writers_;
  std::mutex mutex_;
  std::vector<std::vector<std::vector<std::uint64_t>>>
      tiles_;  ///< [output][tensor][tile], until the tensor is finished
  Expectations expected_;
};

}  // namespace advisor
