// What other tools measured, read from the files they write: lm-evaluation-harness, llama-bench, llama-perplexity,
// `vllm bench serve`, our own evaluation and compression reports, and tables in the columns of data/measurements. A
// file's kind is told from its content, never from its name. The readers know the formats and nothing of the catalog:
// names stay as the tool spells them; import_match.h says which model, task and hardware they are.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace advisor {

/// What was done to the weights, as far as known; empty = not said. `technique` "none" says: nothing was.
struct WeightState {
  std::string technique, scheme, format;
};

/// One figure of a task, as the tool states it.
struct ToolQuality {
  std::string task;    ///< empty: the file does not say (llama-perplexity)
  std::string metric;  ///< "acc_norm", "perplexity"; shares are fractions of 1
  double value = 0;
  std::optional<double> standard_error{};
  std::optional<double> baseline{};  ///< of the uncompressed model, where the same file states it
  std::string family{};              ///< where the file states one of ours
  std::string settings{};            ///< all that must agree for two runs to be compared: shots, filter, items, window
  std::string shots{};
  std::string part_of{};  ///< group of tasks whose own figure holds this one
  std::string locator{};  ///< where in the file
};

/// One speed, in the unit that the metric names.
struct ToolSpeed {
  std::string metric;  ///< data/metrics.csv: decode_tok_s, prefill_tok_s, ttft_ms ...
  double value = 0;
  std::optional<double> standard_error{};
  std::optional<std::int64_t> input_tokens{}, output_tokens{}, concurrency{};
  std::string load{};  ///< "1", "10 req/s"
  std::string locator{};
};

/// One model in one state, measured by one tool.
struct ToolRun {
  std::string tool, tool_version;
  std::string model;  ///< as the tool names it: repository, folder, file or description
  WeightState weights;
  std::optional<double> params{};  ///< of the model, where the file states it
  std::optional<double> weight_bits{}, activation_bits{}, kv_bits{}, bits_per_weight{}, group_size{}, sparsity{};
  std::string pattern{}, sparsity_of{}, calibration{}, baseline_precision{};
  bool retrained = false;
  std::string engine{}, engine_version{}, hardware{}, parallelism{};
  std::int64_t hardware_count = 1;
  std::vector<ToolQuality> quality{};
  std::vector<ToolSpeed> speed{};
};

/// An output of `advisor compress`: says what the weights in a folder are.
struct MadeCheckpoint {
  std::string folder;
  WeightState weights;
  std::string source_model;
};

struct ImportedFile {
  std::string name, digest;
  std::string kind;  ///< "lm-evaluation-harness results", "llama-bench JSON" ...
  std::vector<ToolRun> runs;
  std::vector<MadeCheckpoint> made;
  std::vector<std::string> notes;  ///< what was left out and why
};

/// Throws parse_error (broken, truncated, NaN), unsupported (a kind that is not read); always with the file's name and,
/// where it is known, the line.
ImportedFile read_results(std::string_view text, const std::string& name);

/// As read_results. Throws not_found, io_error, or unsupported for more than 256 MiB.
ImportedFile read_results_file(const std::filesystem::path& path);

/// FNV-1a, 64 bits: names content, so that the same file is not recorded twice; defends against nothing.
std::string content_digest(std::string_view text);

}  // namespace advisor
