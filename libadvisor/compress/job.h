// One compression: dry run, run with progress and cancel, verification, report.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compress/calibration.h"
#include "core/recipe.h"

namespace advisor {

struct CompressRequest {
  std::filesystem::path model, out;
  Recipe recipe;
  CalibrationRequest calibration;  ///< without texts: techniques that need none only
  std::int64_t memory = 0;         ///< bytes the job should stay within; 0 = most of what is free now
  int threads = 0;                 ///< 0 = all cores
  bool overwrite = false;          ///< replace an existing output folder
};

/// What will happen, before it happens.
struct CompressPlan {
  std::string model, architecture, source_format;
  std::string technique, scheme;
  std::map<std::string, std::string> params;  ///< every parameter, defaults included
  std::string calibration;                    ///< what the model is shown; empty: nothing
  struct Output {
    std::string format, type;
    std::filesystem::path folder;  ///< final place
    std::int64_t bytes = 0;
    std::vector<std::string> engines;  ///< engines that read it: filled by the facade from the catalog
  };
  std::vector<Output> outputs;
  std::int64_t source_bytes = 0, output_bytes = 0, disk_free = 0, peak_memory = 0;  ///< peak_memory is a bound
  double seconds = 0;  ///< estimate, from a quick self-measurement on this machine
  std::int64_t tensors = 0, quantized_tensors = 0;
  std::vector<std::string> notes;
};

struct Progress {
  std::string stage;                 ///< "compress", "verify"
  std::string item;                  ///< tensor name, or the name of the file whose digest is taken
  std::int64_t done = 0, total = 0;  ///< bytes of source, and in "verify" those of the digested files
  double seconds = 0;                ///< since the start of the stage
};
/// Called from one thread at a time; return false to cancel.
using ProgressFn = std::function<bool(const Progress&)>;

struct TensorReport {
  std::string name, stored_as;
  std::int64_t bytes = 0;
  double relative_error = 0;  ///< ||W - W'||_F / ||W||_F of the reopened file
  double budget = 0;          ///< largest admissible relative_error of the scheme for this tensor
};

struct CompressReport {
  CompressPlan plan;
  struct Output {
    std::string format, type;
    std::filesystem::path folder;
    std::int64_t bytes = 0;
    std::string sha256;  ///< of the weight files, in name order
    std::vector<TensorReport> tensors;
    double worst_relative_error = 0;
  };
  std::vector<Output> outputs;
  double seconds = 0;
  double compress_seconds = 0, verify_seconds = 0;  ///< the parts of it that grow with the model
  std::int64_t peak_memory = 0;                     ///< VmHWM of the process
  int threads = 0;
  std::string version;
};

/// Opens the model, matches targets, asks technique and format, measures disk; refuses now, not at 80 %.
CompressPlan plan_compression(const CompressRequest& request);

/// Writes to `<out>.partial-<pid>`, fsyncs, verifies by reopening, writes advisor_report.json, renames.
/// On any failure nothing is left behind. Throws cancelled when progress returns false.
CompressReport run_compression(const CompressRequest& request, const ProgressFn& progress);

/// schema "advisor.compression/1"
std::string to_json(const CompressReport& report);
std::string to_json(const CompressPlan& plan);

}  // namespace advisor
