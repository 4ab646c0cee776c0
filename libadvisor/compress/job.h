// One compression: dry run, run with progress and cancel, verification, report.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compress/calibration.h"
#include "core/recipe.h"

namespace advisor {

/// How a budget was spent: one row per group of matrices that share a choice.
struct PrecisionReport {
  struct Row {
    std::vector<std::string> tensors;
    std::string choice;
    std::int64_t weights = 0, bytes = 0;  ///< of all of them, as chosen
    double error = 0;                     ///< part of the squared output that rounding to nearest loses
    double divergence = 0;                ///< that this is predicted to cost the model, in nats per token
  };
  std::string budget;  ///< "4.5 bits per weight"
  std::vector<std::string> candidates;
  std::int64_t weights = 0, bytes = 0;  ///< of all matrices that were chosen for
  double divergence = 0,
         divergence_bound = 0;  ///< no choice within the budget is predicted to lose less than the bound
  std::vector<Row> rows;
};

struct CompressRequest {
  std::filesystem::path model, out;
  Recipe recipe;
  CalibrationRequest calibration;  ///< without texts: techniques that need none only
  /// Importance of inputs from a file of llama-imatrix or `save_imatrix` instead of a calibration; empty: none.
  std::filesystem::path imatrix{};
  bool save_imatrix = false;  ///< writes what calibration saw of the inputs to <out>/imatrix.gguf
  std::int64_t memory = 0;    ///< bytes the job should stay within; 0 = most of what is free now
  int threads = 0;            ///< 0 = all cores
  bool overwrite = false;     ///< replace an existing output folder
  /// Go on with the run of exactly this request that was killed or cancelled, from its last finished block or tensor.
  /// The output is that of a run without interruption, byte for byte. Throws not_found when there is no such run,
  /// invalid_argument when something else was asked of it, there are several, or a process still works on it.
  bool resume = false;
  bool keep_cancelled = false;  ///< a run that progress cancels leaves what it finished; a resumed one always does
  /// Between two flushes of finished tensors, which is what a power failure may cost; blocks are flushed one by one.
  /// The default is the time after which the kernel writes to the device by itself.
  std::chrono::milliseconds save_interval{30'000};
  std::shared_ptr<const PrecisionReport> precision{};  ///< how spend_budget() came to the recipe; only reported
};

/// What will happen, before it happens.
struct CompressPlan {
  std::string model, architecture, source_format;
  std::string technique, scheme;              ///< of several steps "awq+rtn" and "W4A16-g128, W8A16-g128"
  std::map<std::string, std::string> params;  ///< every parameter of the only step, defaults included
  struct Step {
    std::string technique, scheme;
    std::map<std::string, std::string> params;  ///< every parameter, defaults included
    std::vector<std::string> targets;
    std::int64_t tensors = 0;  ///< that it quantizes
  };
  std::vector<Step> steps;
  std::string calibration;  ///< what the model is shown; empty: nothing
  struct Output {
    std::string format, type;
    std::filesystem::path folder;  ///< final place
    std::int64_t bytes = 0;
    std::vector<std::string> schemes;  ///< stored in it: what an engine has to read
    std::vector<std::string> engines;  ///< that read all of it on some hardware: filled by the facade from the catalog
    std::map<std::string, std::vector<std::string>> hardware;  ///< generations on which each of them does
  };
  std::vector<Output> outputs;
  std::int64_t source_bytes = 0, output_bytes = 0, disk_free = 0, peak_memory = 0;  ///< peak_memory is a bound
  std::int64_t scratch_bytes = 0;  ///< of activations that lie beside the output while the job runs
  double seconds = 0;              ///< estimate, from a quick self-measurement on this machine
  std::int64_t tensors = 0, quantized_tensors = 0;
  std::vector<std::string> notes;
  std::shared_ptr<const PrecisionReport> precision{};  ///< of a recipe with a budget
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

/// The same request with the budget of its recipe spent: steps and types say what each matrix gets, `precision` why.
/// Shows the calibration text to the unquantized model once (stage "measure"); without a budget nothing happens. Throws
/// invalid_argument for a recipe that has no single step and format, unsupported for a format of one scheme, and says
/// what would fit when the budget cannot be kept.
CompressRequest spend_budget(const CompressRequest& request, const ProgressFn& progress);

/// Opens the model, matches targets, asks technique and format, measures disk; refuses now, not at 80 %. A budget is
/// spent first, which takes its time.
CompressPlan plan_compression(const CompressRequest& request);

/// Writes to `<out>.partial-<pid>`, fsyncs, verifies by reopening, writes advisor_report.json, renames.
/// On any failure nothing is left behind; a process that is killed leaves that folder with a journal, from which
/// `resume` goes on. Throws cancelled when progress returns false.
CompressReport run_compression(const CompressRequest& request, const ProgressFn& progress);

/// schema "advisor.compression/1"
std::string to_json(const CompressReport& report);
std::string to_json(const CompressPlan& plan);

}  // namespace advisor
