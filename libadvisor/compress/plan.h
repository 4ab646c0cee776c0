// What a request comes down to once model, recipe, formats and disk have been looked at: everything that run and verify
// need. Private to compress/.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/format.h"
#include "checkpoint/imatrix.h"
#include "compress/calibration.h"
#include "compress/job.h"
#include "compress/steps.h"

namespace advisor {

struct OutputJob {
  const FormatImpl* format = nullptr;
  OutputPlan plan;
  DType scale_dtype = DType::bf16;
  std::filesystem::path subfolder;  ///< empty when there is one output: it is the output folder itself
};

struct PreparedJob {
  CompressPlan plan;
  std::filesystem::path out;  ///< absolute
  bool overwrite = false;
  int threads = 1;
  std::unique_ptr<Checkpoint> source;
  PreparedSteps steps;                             ///< none: convert only
  std::vector<std::optional<QuantScheme>> stored;  ///< per tensor of a quantized source: its codes are taken over
  std::vector<OutputJob> outputs;
  /// The model goes through block by block and matrices are seen whole; else tile by tile.
  bool by_blocks = false;
  Calibration calibration;                               ///< without sequences: nothing is observed
  std::map<std::string, std::vector<float>> importance;  ///< read from a file, by tensor: see read_imatrix()
  std::optional<ImatrixWriter::Source> imatrix;          ///< what calibration sees is written to a file
  bool kv_cache = false;                                 ///< scales of the cache are measured and stored
  Needs needs = Needs::nothing;                          ///< what has to be observed
  std::int64_t activation_budget = 0;  ///< bytes of activations that are kept in memory; more goes to a file
  bool keep_activations = false;       ///< in files too, so that a run that was killed goes on with the next block
  bool keep_cancelled = false;
  std::chrono::milliseconds save_interval{0};
  std::map<std::string, std::string> identity;  ///< see Identity in journal.h
  /// Empty where none was read.
  std::span<const float> importance_of(const std::string& tensor) const {
    const auto found = importance.find(tensor);
    return found == importance.end() ? std::span<const float>() : std::span<const float>(found->second);
  }

  std::filesystem::path interrupted;  ///< folder of the run that is resumed; empty: a new run
};

PreparedJob prepare(const CompressRequest& request);

/// Seconds that run and verify will take on this machine: the first quantized tensor's first tile is read, quantized
/// and bounded once on one core; writing goes at the rate of a short flushed file. An estimate, within a factor of two.
double estimate_seconds(const PreparedJob& job);

/// Bytes that a job by blocks holds at its peak, activations between blocks left out: an upper estimate.
std::int64_t block_memory(const PreparedJob& job);
/// Floating-point operations of a job by blocks.
double block_work(const PreparedJob& job);

std::int64_t available_memory();      ///< MemAvailable of the machine, or the cgroup's limit, in bytes; 0 = unknown
std::int64_t resident_memory();       ///< VmRSS of this process in bytes
std::int64_t peak_resident_memory();  ///< VmHWM of this process in bytes

}  // namespace advisor
