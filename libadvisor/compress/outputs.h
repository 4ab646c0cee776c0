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

/// Sums of squares: ||W - W'||_F^2, ||W||_F^2, and what the first may be at most.
struct Distance {
  double error = 0, norm = 0, bound = 0;
};
/// Adds error and norm of a piece. The order of summation does not depend on anything.
void add_squares(std::span<const float> source, std::span<const float> decoded, Distance& distance);

/// What verification expects of one tensor of one output.
struct Expected {
  std::uint64_t print = 0;  ///< of what it decodes to, folded over its tiles in order: the file must say exactly that
  bool measured = false;    ///< `distance` was taken when it was written; it has a bound then
  Distance distance;
};

/// Per output and tensor of the source.
using Expectations = std::vector<std::vector<Expected>>;

/// 64-bit fingerprint of the bits of a tile: guards against mistakes, not against attackers.
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
  /// Codes of rows from `begin` on, which begins a tile. `source`: the rows that they stand for, when the technique
  /// answers for their distance; else empty.
  void write_codes(std::size_t output, std::size_t tensor, std::int64_t begin, const QuantizedTensor& codes,
                   std::span<const float> source);
  /// All rows of the tensor have been written to all outputs.
  void finish_tensor(std::size_t tensor);
  /// Ends the files.
  Expectations finish();

 private:
  struct TileRecord {
    std::uint64_t print = 0;
    Distance distance;
  };
  /// `source` and `bound` (of the sum of squares): empty and 0 when nobody answers for the distance.
  void keep(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> decoded,
            std::span<const float> source, double bound);

  const PreparedJob& job_;
  std::vector<std::unique_ptr<FormatWriter>> writers_;
  std::mutex mutex_;
  std::vector<std::vector<std::vector<TileRecord>>> tiles_;  ///< [output][tensor][tile], until the tensor is finished
  Expectations expected_;
};

}  // namespace advisor
