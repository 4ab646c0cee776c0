// Everything a job writes: one writer per output, and what each tensor must decode to when it is opened again.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "compress/expected.h"
#include "compress/journal.h"
#include "compress/plan.h"
#include "compress/stats.h"
#include "compress/tiles.h"

namespace advisor {

/// Adds error and norm of a piece. The order of summation does not depend on anything.
void add_squares(std::span<const float> source, std::span<const float> decoded, Distance& distance);

/// 64-bit fingerprint of the bits of a tile: guards against mistakes, not against attackers.
std::uint64_t fingerprint(std::span<const float> values);
std::uint64_t fingerprint(std::span<const std::byte> stored);
inline std::uint64_t fold(std::uint64_t sum, std::uint64_t tile) { return (sum ^ tile) * 0x9e3779b97f4a7c15u + 1; }

/// Writes may come from several threads for distinct rows.
class Outputs {
 public:
  /// What the journal says is finished is taken over. The journal has to outlive this.
  Outputs(const PreparedJob& job, const std::filesystem::path& folder, Journal& journal);

  bool finished(std::size_t tensor) const { return finished_[tensor]; }

  /// Rows from `begin` on, which begins a tile, of a tensor that the format stores dense or encodes itself. `changed`:
  /// they are not those of the source.
  void write_rows(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> rows,
                  std::span<const float> importance, bool changed);
  /// Codes of rows from `begin` on, which begins a tile. `source`: the rows that they stand for, when the technique
  /// answers for their distance; else empty.
  void write_codes(std::size_t output, std::size_t tensor, std::int64_t begin, const QuantizedTensor& codes,
                   std::span<const float> source);
  /// To every output that has a place for them.
  void write_kv_scales(std::int64_t layer, KvScales scales);
  /// What was seen of the inputs of a matrix, where the job writes that down.
  void write_importance(const std::string& tensor, const LayerStats& stats);
  /// All rows of the tensor have been written to all outputs.
  void finish_tensor(std::size_t tensor);
  /// Flushes what was finished since the last time and notes it in the journal. `blocks`, `activations`, `notes`: see
  /// Finished.
  void save(std::int64_t blocks, std::uint64_t activations, std::span<const std::string> notes);
  /// The same outside the blocks.
  void save_rest();
  void save_when_due();  ///< unless it was done less than the job's interval ago
  /// Ends the files.
  Expectations finish();

 private:
  void take_over(const Finished::Piece& piece);
  struct TileRecord {
    std::uint64_t print = 0;
    Distance distance;
  };
  /// `bytes`: the rows as Checkpoint::read_stored() will give them; empty where verification has to decode them, to
  /// measure them or because they are no run of bytes. `source` and `bound` (of the sum of
  /// squares): empty and 0 when nobody answers for the distance.
  void keep(std::size_t output, std::size_t tensor, std::int64_t begin, std::span<const float> decoded,
            std::span<const std::byte> bytes, std::span<const float> source, double bound);

  using Clock = std::chrono::steady_clock;

  const PreparedJob& job_;
  Journal& journal_;
  std::vector<std::unique_ptr<FormatWriter>> writers_;
  std::optional<ImatrixWriter> imatrix_;
  std::mutex mutex_;
  std::vector<std::vector<std::vector<TileRecord>>> tiles_;  ///< [output][tensor][tile], until the tensor is finished
  Expectations expected_;
  std::vector<bool> finished_;
  std::vector<std::size_t> unsaved_;  ///< finished, but not in the journal
  Clock::time_point saved_ = Clock::now();
};

}  // namespace advisor
