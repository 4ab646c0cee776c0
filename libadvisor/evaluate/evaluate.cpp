#include "evaluate/evaluate.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/version.h"
#include "evaluate/divergence.h"
#include "evaluate/measure.h"
#include "tensor/parallel.h"

namespace advisor {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Suite collect(const EvaluateRequest& request) {
  Suite suite;
  if (request.suite) {
    suite = read_suite(*request.suite);
  }
  if (request.text) {
    suite.texts.push_back(read_text(*request.text));
  }
  for (const auto& file : request.choices) {
    suite.choices.push_back(read_choices(file));
  }
  if (suite.texts.empty() && suite.choices.empty()) {
    throw Error(ErrorCode::invalid_argument, "nothing to measure with: name a suite, a text or a choice file");
  }
  return suite;
}

/// The model before compression. Throws invalid_argument unless it reads the texts as the same tokens.
Decoder open_baseline(const EvaluateRequest& request, const Suite& suite, const Decoder& decoder,
                      const Tokenizer& tokenizer) {
  if (suite.texts.empty()) {
    throw Error(ErrorCode::invalid_argument, "a baseline is compared on a text, and there is none to measure with");
  }
  std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(*request.baseline);
  Tokenizer other(checkpoint->tokenizer());
  for (const TextSet& set : suite.texts) {
    if (other.bos() != tokenizer.bos() || other.encode(set.text) != tokenizer.encode(set.text)) {
      throw Error(ErrorCode::invalid_argument, "the baseline " + request.baseline->string() + " cuts " + set.source +
                                                   " into other tokens than the model; it must be the model before "
                                                   "compression");
    }
  }
  Decoder baseline(*checkpoint, request.threads);
  check_comparable(decoder, baseline);
  return baseline;
}

}  // namespace

void for_each_with_progress(const Measure& measure, const std::string& stage, std::int64_t n,
                            const std::function<void(std::int64_t)>& body) {
  Clock::time_point start = Clock::now();
  auto report = [&](std::int64_t done) {
    if (measure.progress && !measure.progress({stage, done, n, seconds_since(start)})) {
      throw Error(ErrorCode::cancelled, "cancelled during " + stage);
    }
  };
  report(0);
  // Slices grow from one item per thread until one takes about a quarter of a second: small models lose no time to
  // reporting, large ones still report and can be cancelled.
  std::int64_t slice = measure.threads > 0 ? measure.threads : std::max(1U, std::thread::hardware_concurrency());
  for (std::int64_t begin = 0; begin < n;) {
    Clock::time_point slice_start = Clock::now();
    std::int64_t count = std::min(slice, n - begin);
    parallel_for(count, measure.threads, [&](std::int64_t i) { body(begin + i); });
    begin += count;
    if (seconds_since(slice_start) < 0.125) {
      slice *= 2;
    }
    report(begin);
  }
}

EvaluationReport evaluate(const EvaluateRequest& request, const EvaluateProgressFn& progress) {
  Clock::time_point start = Clock::now();
  if (request.limit < 0 || request.threads < 0) {
    throw Error(ErrorCode::invalid_argument, "limit and threads of an evaluation cannot be negative");
  }
  Suite suite = collect(request);
  std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(request.model);
  Tokenizer tokenizer(checkpoint->tokenizer());
  Decoder decoder(*checkpoint, request.threads);

  EvaluationReport report;
  report.model = request.model.string();
  report.format = checkpoint->format();
  report.version = version();
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    report.weight_bytes += tensor.bytes;
  }
  std::optional<Decoder> baseline;
  if (request.baseline) {
    baseline.emplace(open_baseline(request, suite, decoder, tokenizer));
  }
  Measure measure{decoder, tokenizer, request.threads, request.limit, progress, baseline ? &*baseline : nullptr};
  for (const TextSet& set : suite.texts) {
    report.perplexity.push_back(measure_perplexity(measure, set));
  }
  for (const ChoiceSet& set : suite.choices) {
    report.choices.push_back(measure_choices(measure, set));
  }
  report.seconds = seconds_since(start);
  return report;
}

}  // namespace advisor
