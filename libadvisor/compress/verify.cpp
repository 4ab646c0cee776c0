#include "compress/verify.h"

#include <cmath>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "core/error.h"

namespace advisor {
namespace {

struct TileResult {
  std::uint64_t print = 0;
  Distance distance;
};

class Verifier {
 public:
  Verifier(const PreparedJob& job, std::size_t output, const std::filesystem::path& folder,
           std::span<const Expected> expected)
      : job_(job), output_(job.outputs[output]), folder_(folder), expected_(expected), file_(open_checkpoint(folder)) {
    for (const PlannedTensor& planned : output_.plan.tensors) {
      const TensorInfo* stored = file_->find(planned.source.name);
      if (output_.format->leaves_out != nullptr && output_.format->leaves_out(planned.source)) {
        if (stored != nullptr) fail(planned.source, "is there, which was not meant");
        stored_.push_back(nullptr);
        continue;
      }
      if (stored == nullptr) fail(planned.source, "is missing");
      if (stored->shape != planned.source.shape) fail(planned.source, "has another shape");
      if (!planned.scheme &&
          kernels::block_type_named(stored->stored_as) != output_.format->stored_type(output_.plan, planned))
        fail(planned.source, "is stored as " + stored->stored_as + ", which was not meant");
      stored_.push_back(stored);
    }
    results_.resize(stored_.size());
  }

  void check_tile(const Tile& tile) {
    if (stored_[tile.tensor] == nullptr) return;
    const bool measured = expected_[tile.tensor].measured;
    if (measured) {  // what the bytes decode to was compared when they were written
      const std::vector<std::byte> bytes = file_->read_stored(*stored_[tile.tensor], tile.begin, tile.end);
      if (!bytes.empty()) return keep(tile, {fingerprint(bytes), {}});
    }
    const TileBuffer decoded(tile.size());
    file_->read_rows(*stored_[tile.tensor], tile.begin, tile.end, decoded.span());
    TileResult result{fingerprint(decoded.span()), {}};
    if (!measured) {
      const TileBuffer source(tile.size());
      job_.source->read_rows(output_.plan.tensors[tile.tensor].source, tile.begin, tile.end, source.span());
      add_squares(source.span(), decoded.span(), result.distance);
    }
    keep(tile, result);
  }

  /// nullopt: the format leaves it out.
  std::optional<TensorReport> finish(std::size_t tensor) {
    if (stored_[tensor] == nullptr) return std::nullopt;
    const PlannedTensor& planned = output_.plan.tensors[tensor];
    const Expected& expected = expected_[tensor];
    std::uint64_t seen = 0;
    Distance distance = expected.distance;
    for (const TileResult& tile : results_[tensor]) {
      seen = fold(seen, tile.print);
      distance.error += tile.distance.error;
      distance.norm += tile.distance.norm;
    }
    std::vector<TileResult>().swap(results_[tensor]);
    if (seen != expected.print) fail(planned.source, "does not decode to the values that were written");
    if (!std::isfinite(distance.error)) fail(planned.source, "decodes to values that are not finite");
    TensorReport report;
    report.name = planned.source.name;
    report.stored_as = stored_[tensor]->stored_as;
    report.bytes = stored_[tensor]->bytes;
    const double norm = distance.norm > 0 ? std::sqrt(distance.norm) : 1;
    report.relative_error = std::sqrt(distance.error) / norm;
    if (!expected.measured) return report;
    report.budget = std::sqrt(distance.bound) / norm;
    if (distance.error > distance.bound) {
      std::ostringstream text;
      text << "has relative error " << report.relative_error << ", above the budget " << report.budget << " of "
           << report.stored_as;
      fail(planned.source, text.str());
    }
    return report;
  }

 private:
  void keep(const Tile& tile, const TileResult& result) {
    const std::lock_guard lock(mutex_);
    auto& tiles = results_[tile.tensor];
    if (tiles.size() <= tile.index) tiles.resize(tile.index + 1);
    tiles[tile.index] = result;
  }

  [[noreturn]] void fail(const TensorInfo& tensor, const std::string& what) const {
    throw Error(ErrorCode::internal, "verification of the " + std::string(output_.format->id) +
                                         " output failed: " + tensor.name + " " + what +
                                         "; the output was removed. Check disk and memory, "
                                         "and report this if it happens again");
  }

  const PreparedJob& job_;
  const OutputJob& output_;
  const std::filesystem::path folder_;
  const std::span<const Expected> expected_;
  std::unique_ptr<Checkpoint> file_;
  std::vector<const TensorInfo*> stored_;  ///< nullptr: left out
  std::mutex mutex_;
  std::vector<std::vector<TileResult>> results_;
};

}  // namespace

std::vector<TensorReport> verify_output(const PreparedJob& job, std::size_t output, const std::filesystem::path& folder,
                                        std::span<const Expected> expected,
                                        const std::function<void(const Tile&)>& advance) {
  Verifier verifier(job, output, folder, expected);
  std::vector<TensorReport> reports;
  for_each_tile(
      job.source->tensors(), job.threads,
      [&](const Tile& tile) {
        verifier.check_tile(tile);
        advance(tile);
      },
      [&](std::size_t tensor) {
        if (auto report = verifier.finish(tensor)) reports.push_back(std::move(*report));
      });
  return reports;
}

}  // namespace advisor
