#include "compress/verify.h"

#include <array>
#include <cmath>
#include <cstring>
#include <mutex>
#include <sstream>

#include "compress/budget.h"
#include "core/error.h"
#include "tensor/kernels/blocks.h"

namespace advisor {
namespace {

struct TileResult {
  double error = 0, norm = 0, bound = 0;  ///< squared
  std::uint64_t fingerprint = 0;
};

/// Sums of squares in eight lanes: vectorizable, and the order is fixed.
void add_squares(std::span<const float> source, std::span<const float> decoded, TileResult& result) {
  std::array<double, 8> error{}, norm{};
  const auto add = [&](std::size_t i, std::size_t lane) {
    const double w = double{source[i]}, d = w - double{decoded[i]};
    error[lane] += d * d;
    norm[lane] += w * w;
  };
  std::size_t i = 0;
  for (; i + 8 <= source.size(); i += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) add(i + lane, lane);
  for (; i < source.size(); ++i) add(i, 0);
  for (std::size_t lane = 0; lane < 8; ++lane) {
    result.error += error[lane];
    result.norm += norm[lane];
  }
}

class Verifier {
 public:
  Verifier(const PreparedJob& job, std::size_t output, const std::filesystem::path& folder,
           std::span<const Expected> expected)
      : job_(job), output_(job.outputs[output]), folder_(folder), expected_(expected), file_(open_checkpoint(folder)) {
    for (const PlannedTensor& planned : output_.plan.tensors) {
      const TensorInfo* stored = file_->find(planned.source.name);
      if (stored == nullptr) fail(planned.source, "is missing");
      if (stored->shape != planned.source.shape) fail(planned.source, "has another shape");
      stored_.push_back(stored);
    }
    results_.resize(stored_.size());
  }

  void check_tile(const Tile& tile) {
    std::vector<float> source(tile.size()), decoded(tile.size());
    const PlannedTensor& planned = output_.plan.tensors[tile.tensor];
    job_.source->read_rows(planned.source, tile.begin, tile.end, source);
    file_->read_rows(*stored_[tile.tensor], tile.begin, tile.end, decoded);
    TileResult result;
    add_squares(source, decoded, result);
    const Expected& expected = expected_[tile.tensor];
    if (expected.printed) result.fingerprint = fingerprint(decoded);
    if (planned.scheme && expected.bounded) {
      result.bound = job_.technique->error_bound(source, tile.cols, *planned.scheme, job_.params, output_.scale_dtype);
    } else if (!planned.scheme && expected.bounded) {
      const kernels::BlockType type = stored_type(tile.tensor);
      result.bound = storage_error_bound(source, type, output_.plan.importance);
      if (!expected.printed) check_exact(tile, type, source, decoded);
    }
    const std::lock_guard lock(mutex_);
    auto& tiles = results_[tile.tensor];
    if (tiles.size() <= tile.index) tiles.resize(tile.index + 1);
    tiles[tile.index] = result;
  }

  TensorReport finish(std::size_t tensor) {
    TileResult total;
    std::uint64_t seen = 0;
    for (const TileResult& tile : results_[tensor]) {
      total.error += tile.error;
      total.norm += tile.norm;
      total.bound += tile.bound;
      seen = fold(seen, tile.fingerprint);
    }
    std::vector<TileResult>().swap(results_[tensor]);
    const PlannedTensor& planned = output_.plan.tensors[tensor];
    const Expected& expected = expected_[tensor];
    if (expected.printed && seen != expected.print)
      fail(planned.source, "does not decode to the values that were written");
    TensorReport report;
    report.name = planned.source.name;
    report.stored_as = stored_[tensor]->stored_as;
    report.bytes = stored_[tensor]->bytes;
    const double norm = std::sqrt(total.norm);
    report.relative_error = norm > 0 ? std::sqrt(total.error) / norm : std::sqrt(total.error);
    if (!std::isfinite(total.error)) fail(planned.source, "decodes to values that are not finite");
    if (!expected.bounded) return report;
    report.budget = norm > 0 ? std::sqrt(total.bound) / norm : std::sqrt(total.bound);
    if (total.error > total.bound) {
      std::ostringstream text;
      text << "has relative error " << report.relative_error << ", above the budget " << report.budget << " of "
           << report.stored_as;
      fail(planned.source, text.str());
    }
    return report;
  }

 private:
  [[noreturn]] void fail(const TensorInfo& tensor, const std::string& what) const {
    throw Error(ErrorCode::internal, "verification of the " + std::string(output_.format->id) +
                                         " output failed: " + tensor.name + " " + what +
                                         "; the output was removed. Check disk and memory, "
                                         "and report this if it happens again");
  }

  kernels::BlockType stored_type(std::size_t tensor) const {
    const auto type = kernels::block_type_named(stored_[tensor]->stored_as);
    if (!type) fail(*stored_[tensor], "is stored as " + stored_[tensor]->stored_as + ", which nothing here writes");
    return *type;
  }

  /// Dense and block types are pure functions of the weights: encode again and compare bit by bit.
  void check_exact(const Tile& tile, kernels::BlockType type, std::span<const float> source,
                   std::span<const float> decoded) const {
    const auto columns = static_cast<std::int64_t>(source.size());
    std::vector<std::byte> bytes(static_cast<std::size_t>(kernels::row_bytes(type, columns)));
    std::vector<float> expected(source.size());
    if (!kernels::encode_blocks(type, source, {}, bytes))
      fail(*stored_[tile.tensor], "has values that " + stored_[tile.tensor]->stored_as + " cannot hold");
    kernels::decode_blocks(type, bytes, expected);
    if (std::memcmp(expected.data(), decoded.data(), decoded.size_bytes()) != 0)
      fail(*stored_[tile.tensor], "does not decode to the values that were written");
  }

  const PreparedJob& job_;
  const OutputJob& output_;
  const std::filesystem::path folder_;
  const std::span<const Expected> expected_;
  std::unique_ptr<Checkpoint> file_;
  std::vector<const TensorInfo*> stored_;
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
      [&](std::size_t tensor) { reports.push_back(verifier.finish(tensor)); });
  return reports;
}

}  // namespace advisor
