#include "compress/job.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <new>
#include <optional>

#include "compress/blocks.h"
#include "compress/convert.h"
#include "compress/journal.h"
#include "compress/meter.h"
#include "compress/output.h"
#include "compress/outputs.h"
#include "compress/plan.h"
#include "compress/scheme.h"
#include "compress/tiles.h"
#include "compress/verify.h"
#include "core/error.h"
#include "core/version.h"

namespace advisor {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Whole rows as a technique that needs no more than the importance of their inputs solves them.
QuantizedTensor weighted(const PreparedStep& step, std::span<const float> rows, std::int64_t cols,
                         std::span<const float> importance, DType scale_dtype) {
  const LayerStats stats = importance_only(importance);
  return step.technique->solve(rows, cols, &stats, step.scheme, step.params, scale_dtype, 1).tensor;
}

/// The tensors that `left` names go through tile by tile.
void compress_tiles(const PreparedJob& job, const std::vector<std::size_t>& left, Outputs& outputs, Meter& meter) {
  std::vector<TensorInfo> tensors;
  for (const std::size_t i : left) tensors.push_back(job.source->tensors()[i]);
  const auto write = [&](const Tile& tile) {
    const TensorInfo& tensor = tensors[tile.tensor];
    const std::size_t index = left[tile.tensor];
    if (!job.stored.empty() && job.stored[index]) {
      copy_codes(job, index, tile, outputs);
      return meter.advance(tensor.name, tile.source_bytes);
    }
    const TileBuffer buffer(tile.size());
    const std::span<float> rows = buffer.span();
    job.source->read_rows(tensor, tile.begin, tile.end, rows);
    try {
      check_finite(rows, tile.cols, tile.begin);
      const std::span<const float> importance = job.importance_of(tensor.name);
      for (std::size_t i = 0; i < job.outputs.size(); ++i) {
        const PreparedStep* step = job.outputs[i].format->takes_codes ? job.steps.find(index) : nullptr;
        if (step != nullptr && !importance.empty()) {
          // No bound: it holds for searches that count all errors alike.
          outputs.write_codes(i, index, tile.begin,
                              weighted(*step, rows, tile.cols, importance, job.outputs[i].scale_dtype), {});
        } else if (step != nullptr) {
          const QuantizedTensor codes =
              step->technique->quantize(rows, tile.cols, step->scheme, step->params, job.outputs[i].scale_dtype);
          outputs.write_codes(i, index, tile.begin, codes, rows);
        } else {
          outputs.write_rows(i, index, tile.begin, rows, importance, false);
        }
      }
    } catch (const Error& error) {
      throw Error(error.code(), tensor.name + ": " + error.what());
    }
    meter.advance(tensor.name, tile.source_bytes);
  };
  try {
    for_each_tile(tensors, job.threads, write, [&](std::size_t tensor) {
      outputs.finish_tensor(left[tensor]);
      outputs.save_when_due();
    });
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled && job.keep_cancelled) outputs.save_rest();
    throw;
  }
}

Expectations compress(const PreparedJob& job, const std::filesystem::path& folder, Journal& journal, Meter& meter,
                      std::vector<std::string>& notes) {
  Outputs outputs(job, folder, journal);
  const auto& tensors = job.source->tensors();
  std::int64_t finished = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (outputs.finished(i)) finished += tensors[i].bytes;
  if (finished > 0) meter.advance("finished before", finished);
  if (job.by_blocks) compress_blocks(job, folder, Finished(journal.finished()), outputs, meter, notes);
  std::vector<std::size_t> left;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (!outputs.finished(i)) left.push_back(i);
  for (const OutputJob& output : job.outputs)
    for (const std::size_t i : left)
      if (output.plan.tensors[i].scheme && job.by_blocks)
        throw Error(ErrorCode::unsupported,
                    tensors[i].name + " is no linear layer of a decoder block; leave it out of the targets");
  compress_tiles(job, left, outputs, meter);
  if (!job.stored.empty()) {  // those of a cache are taken over too
    const std::vector<KvScales> scales = job.source->kv_scales();
    for (std::size_t i = 0; i < scales.size(); ++i) outputs.write_kv_scales(static_cast<std::int64_t>(i), scales[i]);
  }
  return outputs.finish();
}

/// What verification has to read.
std::int64_t bytes_to_verify(const PreparedJob& job, const std::filesystem::path& folder) {
  std::int64_t bytes = 0;
  for (const OutputJob& output : job.outputs) bytes += job.plan.source_bytes + weight_bytes(folder / output.subfolder);
  return bytes;
}

/// Opens each output again and compares. SHA-256 takes one byte after the other, so that it has a thread of its own
/// beside those that compare; with one thread it comes after them.
void verify_all(const PreparedJob& job, const std::filesystem::path& folder, const Expectations& expected,
                const ProgressFn& progress, CompressReport& report) {
  const auto stage = Clock::now();
  Meter meter(progress, "verify", bytes_to_verify(job, folder));
  std::atomic<bool> stop = false;
  const auto digest_all = [&] {
    std::vector<std::string> digests;
    for (const OutputJob& output : job.outputs)
      digests.push_back(weights_sha256(folder / output.subfolder, [&](const std::string& file, std::int64_t bytes) {
        if (!stop) meter.advance(file, bytes);
        return !stop;
      }));
    return digests;
  };
  std::future<std::vector<std::string>> digests =
      std::async(job.threads > 1 ? std::launch::async : std::launch::deferred, digest_all);
  try {
    for (std::size_t i = 0; i < job.outputs.size(); ++i) {
      const auto place = folder / job.outputs[i].subfolder;
      CompressReport::Output output;
      output.format = job.plan.outputs[i].format;
      output.type = job.plan.outputs[i].type;
      output.folder = job.plan.outputs[i].folder;
      output.tensors = verify_output(job, i, place, expected[i], [&](const Tile& tile) {
        meter.advance(job.source->tensors()[tile.tensor].name, tile.source_bytes);
      });
      for (const TensorReport& tensor : output.tensors)
        output.worst_relative_error = std::max(output.worst_relative_error, tensor.relative_error);
      output.bytes = folder_bytes(place);
      report.outputs.push_back(std::move(output));
    }
  } catch (...) {
    stop = true;  // the future waits for its thread
    throw;
  }
  const std::vector<std::string> sha256 = digests.get();
  for (std::size_t i = 0; i < sha256.size(); ++i) report.outputs[i].sha256 = sha256[i];
  report.verify_seconds = seconds_since(stage);
}

void remove_journal(const std::filesystem::path& out) {
  std::error_code ignored;  // the output is complete with it too
  std::filesystem::remove(out / journal_file_name, ignored);
}

CompressReport work(PreparedJob& job, const PartialFolder& partial, Journal& journal, const ProgressFn& progress) {
  CompressReport report;
  Expectations expected;
  {
    const auto stage = Clock::now();
    Meter meter(progress, "compress", job.plan.source_bytes);
    expected = compress(job, partial.path(), journal, meter, job.plan.notes);
    report.compress_seconds = seconds_since(stage);
  }
  verify_all(job, partial.path(), expected, progress, report);
  report.plan = std::move(job.plan);
  report.threads = job.threads;
  report.version = version();
  return report;
}

CompressReport run(const CompressRequest& asked, const ProgressFn& progress) {
  const auto start = Clock::now();
  const CompressRequest request = spend_budget(asked, progress);
  PreparedJob job = prepare(request);
  job.plan.seconds = estimate_seconds(job);
  // The folder of an interrupted run is ours, to be removed on failure, once its journal is locked.
  std::optional<Journal> journal;
  if (request.resume) journal.emplace(Journal::resume(job.interrupted));
  PartialFolder partial(job.out, job.interrupted);
  if (!journal) journal.emplace(Journal::create(partial.path(), job.identity));
  try {
    CompressReport report = work(job, partial, *journal, progress);
    report.peak_memory = peak_resident_memory();
    report.seconds = seconds_since(start);
    std::filesystem::remove(partial.path() / report_file_name);  // of a run that was killed behind this line
    write_file(partial.path() / report_file_name, to_json(report) + "\n");
    partial.commit(request.overwrite);
    remove_journal(job.out);
    return report;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::cancelled) throw;
    const bool keep = job.keep_cancelled && !journal->finished().tensors.empty();
    if (!keep) throw Error(ErrorCode::cancelled, "cancelled; nothing was kept of the output");
    partial.keep();
    throw Error(ErrorCode::cancelled, "cancelled; what is finished stays in " + partial.path().string() +
                                          ": the same command with --resume goes on, or remove that folder");
  }
}

}  // namespace

CompressReport run_compression(const CompressRequest& request, const ProgressFn& progress) {
  try {
    // A run that was killed right behind its rename has finished and left but its journal.
    if (request.resume && std::filesystem::exists(request.out / report_file_name)) remove_journal(request.out);
    return run(request, progress);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::out_of_memory, "not enough memory to compress " + request.model.string() +
                                              "; use fewer threads, each holds one tile of every stage");
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::io_error, error.what());
  }
}

}  // namespace advisor
