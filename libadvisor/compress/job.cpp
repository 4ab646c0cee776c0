#include "compress/job.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <new>

#include "compress/output.h"
#include "compress/plan.h"
#include "compress/scheme.h"
#include "compress/tiles.h"
#include "compress/verify.h"
#include "core/error.h"
#include "core/version.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Serializes the callback and turns its refusal into an error that stops the workers.
class Meter {
 public:
  Meter(const ProgressFn& callback, std::string stage, std::int64_t total) : callback_(callback) {
    progress_.stage = std::move(stage);
    progress_.total = total;
  }

  void advance(const std::string& item, std::int64_t bytes) {
    const std::lock_guard lock(mutex_);
    progress_.item = item;
    progress_.done += bytes;
    progress_.seconds = seconds_since(start_);
    if (callback_ && !stopped_) stopped_ = !callback_(progress_);
    if (stopped_) throw Error(ErrorCode::cancelled, "cancelled; nothing was kept of the output");
  }

 private:
  const ProgressFn& callback_;
  std::mutex mutex_;
  Progress progress_;
  const Clock::time_point start_ = Clock::now();
  bool stopped_ = false;
};

/// Streams the source once and hands every tile to all writers.
class Compressor {
 public:
  Compressor(const PreparedJob& job, const std::filesystem::path& folder) : job_(job) {
    for (const OutputJob& output : job.outputs) {
      const auto place = folder / output.subfolder;
      std::error_code error;
      std::filesystem::create_directory(place, error);  // exists already when there is no subfolder
      if (error) throw Error(ErrorCode::io_error, "cannot create " + place.string() + ": " + error.message());
      writers_.push_back(output.format->create(output.plan, place));
    }
    const std::size_t tensors = job.source->tensors().size();
    tiles_.assign(job.outputs.size(), std::vector<std::vector<std::uint64_t>>(tensors));
    sums_.assign(job.outputs.size(), std::vector<std::uint64_t>(tensors, 0));
  }

  Fingerprints run(Meter& meter) {
    const auto& tensors = job_.source->tensors();
    for_each_tile(
        tensors, job_.threads,
        [&](const Tile& tile) {
          write_tile(tile);
          meter.advance(tensors[tile.tensor].name, tile.source_bytes);
        },
        [&](std::size_t tensor) { finish_tensor(tensor); });
    for (const auto& writer : writers_) writer->finish();
    return std::move(sums_);
  }

 private:
  void write_tile(const Tile& tile) {
    const TensorInfo& tensor = job_.source->tensors()[tile.tensor];
    std::vector<float> rows(tile.size());
    job_.source->read_rows(tensor, tile.begin, tile.end, rows);
    try {
      check_finite(rows, tile.cols, tile.begin);
      for (std::size_t i = 0; i < writers_.size(); ++i) {
        const auto& scheme = job_.outputs[i].plan.tensors[tile.tensor].scheme;
        if (scheme)
          write_codes(i, tile, rows, *scheme);
        else
          writers_[i]->write_rows(tile.tensor, tile.begin, rows);
      }
    } catch (const Error& error) {
      throw Error(error.code(), tensor.name + ": " + error.what());
    }
  }

  void write_codes(std::size_t output, const Tile& tile, std::span<const float> rows, const QuantScheme& scheme) {
    const QuantizedTensor q =
        job_.technique->quantize(rows, tile.cols, scheme, job_.params, job_.outputs[output].scale_dtype);
    writers_[output]->write_quantized(tile.tensor, tile.begin, q);
    std::vector<float> decoded(rows.size());
    dequantize(q, decoded);
    const std::uint64_t print = fingerprint(decoded);
    const std::lock_guard lock(mutex_);
    auto& tiles = tiles_[output][tile.tensor];
    if (tiles.size() <= tile.index) tiles.resize(tile.index + 1);
    tiles[tile.index] = print;
  }

  void finish_tensor(std::size_t tensor) {
    for (std::size_t output = 0; output < tiles_.size(); ++output) {
      for (const std::uint64_t tile : tiles_[output][tensor]) sums_[output][tensor] = fold(sums_[output][tensor], tile);
      std::vector<std::uint64_t>().swap(tiles_[output][tensor]);
    }
  }

  const PreparedJob& job_;
  std::vector<std::unique_ptr<FormatWriter>> writers_;
  std::mutex mutex_;
  std::vector<std::vector<std::vector<std::uint64_t>>> tiles_;  ///< [output][tensor][tile], of the batch under way
  Fingerprints sums_;
};

void verify_all(const PreparedJob& job, const std::filesystem::path& folder, const Fingerprints& fingerprints,
                const ProgressFn& progress, CompressReport& report) {
  const auto stage = Clock::now();
  Meter meter(progress, "verify", job.plan.source_bytes * static_cast<std::int64_t>(job.outputs.size()));
  for (std::size_t i = 0; i < job.outputs.size(); ++i) {
    const auto place = folder / job.outputs[i].subfolder;
    CompressReport::Output output;
    output.format = job.plan.outputs[i].format;
    output.type = job.plan.outputs[i].type;
    output.folder = job.plan.outputs[i].folder;
    output.tensors = verify_output(job, i, place, fingerprints[i], [&](const Tile& tile) {
      meter.advance(job.source->tensors()[tile.tensor].name, tile.source_bytes);
    });
    for (const TensorReport& tensor : output.tensors)
      output.worst_relative_error = std::max(output.worst_relative_error, tensor.relative_error);
    output.bytes = folder_bytes(place);
    report.outputs.push_back(std::move(output));
  }
  report.verify_seconds = seconds_since(stage);
}

void digest_all(const PreparedJob& job, const std::filesystem::path& folder, const ProgressFn& progress,
                CompressReport& report) {
  const auto stage = Clock::now();
  std::int64_t total = 0;
  for (const OutputJob& output : job.outputs) total += weight_bytes(folder / output.subfolder);
  Meter meter(progress, "digest", total);
  for (std::size_t i = 0; i < job.outputs.size(); ++i)
    report.outputs[i].sha256 =
        weights_sha256(folder / job.outputs[i].subfolder,
                       [&](const std::string& file, std::int64_t bytes) { meter.advance(file, bytes); });
  report.digest_seconds = seconds_since(stage);
}

CompressReport run(const CompressRequest& request, const ProgressFn& progress) {
  const auto start = Clock::now();
  PreparedJob job = prepare(request);
  job.plan.seconds = estimate_seconds(job);
  PartialFolder partial(job.out);

  CompressReport report;
  Fingerprints fingerprints;
  {
    const auto stage = Clock::now();
    Meter meter(progress, "compress", job.plan.source_bytes);
    fingerprints = Compressor(job, partial.path()).run(meter);
    report.compress_seconds = seconds_since(stage);
  }
  verify_all(job, partial.path(), fingerprints, progress, report);
  digest_all(job, partial.path(), progress, report);
  report.plan = std::move(job.plan);
  report.threads = job.threads;
  report.version = version();
  report.peak_memory = peak_resident_memory();
  report.seconds = seconds_since(start);
  write_file(partial.path() / report_file_name, to_json(report) + "\n");
  partial.commit(request.overwrite);
  return report;
}

}  // namespace

CompressReport run_compression(const CompressRequest& request, const ProgressFn& progress) {
  try {
    return run(request, progress);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, "not enough memory to compress " + request.model.string() +
                                              "; use fewer threads, each holds one tile of every stage");
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::io_error, error.what());
  }
}

}  // namespace advisor
