// Measures a model from its files: perplexity and multiple choice. Does not know how the weights were made.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace advisor {

struct EvaluateRequest {
  std::filesystem::path model;
  std::optional<std::filesystem::path> suite;  ///< folder with *.txt and *.jsonl
  std::optional<std::filesystem::path> text;   ///< one text for perplexity
  std::vector<std::filesystem::path> choices;  ///< *.jsonl
  /// The model before compression: with a text, how far predictions moved from its. Is loaded beside the model.
  std::optional<std::filesystem::path> baseline;
  int threads = 0;
  std::int64_t limit = 0;  ///< first N items of each choice file and N windows of text; 0 = all
};

/// Distance of the model's predictions from the baseline's, over the tokens that perplexity scores; natural log.
/// Defined as by llama-perplexity --kl-divergence.
struct Divergence {
  double mean = 0, low = 0, high = 0;  ///< of KL(baseline || model) per token; 95 % interval over windows, else NaN
  double median = 0, p99 = 0, maximum = 0;
  double same_top = 0;    ///< share of tokens of which both find the same next token likeliest
  double rms_change = 0;  ///< root of the mean square change of the probability of the token that did follow
  double baseline_nll = 0, baseline_perplexity = 0;
};

struct PerplexityResult {
  std::string name;
  double value = 0, low = 0, high = 0;  ///< 95 % interval over windows; NaN for a single window
  double nll = 0;                       ///< total, natural log
  double bits_per_byte = 0;
  std::int64_t tokens = 0, windows = 0, window = 0;
  std::optional<Divergence> divergence;  ///< with a baseline
};

struct FamilyScore {
  std::string family;  ///< as the items say, "knowledge/capital"
  std::int64_t n = 0, correct = 0;
  double accuracy = 0, low = 0, high = 0;  ///< 95 % Wilson interval
};

struct ChoiceResult {
  std::string name;
  std::string family;  ///< what stands before "/" in the items' families; "mixed" when they differ
  std::int64_t n = 0, correct = 0;
  double accuracy = 0, low = 0, high = 0;  ///< 95 % Wilson interval
  double chance = 0;
  std::vector<std::uint8_t> hits;     ///< per item, for paired comparison
  std::vector<FamilyScore> families;  ///< by name
};

struct EvaluationReport {
  std::string model, format, version;
  std::int64_t weight_bytes = 0;
  std::vector<PerplexityResult> perplexity;
  std::vector<ChoiceResult> choices;
  double seconds = 0;
};

struct EvaluateProgress {
  std::string stage;  ///< "perplexity lm_heldout", "choices knowledge"
  std::int64_t done = 0, total = 0;
  double seconds = 0;
};
/// Called from the thread that called evaluate(); false cancels.
using EvaluateProgressFn = std::function<bool(const EvaluateProgress&)>;

/// Reads and checks the whole suite, then the model, then measures. The figures do not depend on `threads`.
EvaluationReport evaluate(const EvaluateRequest& request, const EvaluateProgressFn& progress = {});

/// schema "advisor.evaluation/1"; "perplexity" is the first text and "divergence" its distance from the baseline (null
/// when none), "choices" a list.
std::string to_json(const EvaluationReport& report);

}  // namespace advisor
