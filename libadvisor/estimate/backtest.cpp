#include "estimate/backtest.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "core/error.h"
#include "estimate/backtest_baselines.h"
#include "estimate/quality_case.h"
#include "estimate/speed_case.h"

namespace advisor {

namespace {

const BacktestKind& kind_of(const std::string& id) {
  for (const auto& kind : backtest_kinds())
    if (id == kind.id) return kind;
  throw Error(ErrorCode::internal, "no kind of backtest is called " + id);
}

const BacktestKind& kind_of(const QualityCase& question) {
  return kind_of(question.pruning ? "pruning_" + question.measure : question.measure);
}

const BacktestKind& kind_of(const SpeedCase& question) {
  if (question.quantity != "decode") return kind_of(question.quantity);
  if (question.load.concurrency > 1) return kind_of("decode_batched");
  return kind_of(question.mixture ? "decode_moe" : "decode_dense");
}

/// The rest of the knowledge that fits and cases read: everything but measurements, scores and fitted terms.
Knowledge vocabularies(const Knowledge& knowledge) {
  Knowledge some;
  some.models = knowledge.models;
  some.devices = knowledge.devices;
  some.techniques = knowledge.techniques;
  some.tasks = knowledge.tasks;
  some.families = knowledge.families;
  some.sources = knowledge.sources;
  return some;
}

using Publishers = std::map<std::string, std::string>;

/// What goes with a row when it is left out. Speeds go by publisher: one that tests a machine twice has the same
/// machine, the same settings and often the same runs in both tables.
const std::string& left_out_of(const QualityMeasurement& row, LeftOut what, const Publishers&) {
  return what == LeftOut::source ? row.source : row.model;
}
const std::string& left_out_of(const SpeedMeasurement& row, LeftOut what, const Publishers& publishers) {
  if (what == LeftOut::model) return row.model;
  const auto found = publishers.find(row.source);
  return found == publishers.end() ? row.source : found->second;
}

BacktestRow describe(const QualityCase& question) {
  BacktestRow row;
  row.kind = &kind_of(question);
  row.model = question.model.id, row.family = question.yardstick.family, row.task = question.yardstick.task;
  row.technique = question.treatment.technique, row.format = question.format;
  row.source = question.source, row.where = question.where;
  row.observed = question.observed;
  return row;
}

BacktestRow describe(const SpeedCase& question) {
  BacktestRow row;
  row.kind = &kind_of(question);
  row.model = question.model.id, row.engine = question.variant.engine, row.format = question.variant.scheme;
  row.technique = question.variant.technique, row.hardware = question.hardware.device.kind;
  row.quantity = question.quantity;
  row.source = question.source, row.where = question.where;
  row.observed = question.observed;
  return row;
}

/// Quality or speed: which rows, cases, estimator and baselines belong together.
struct QualitySide {
  using Measurement = QualityMeasurement;
  using Case = QualityCase;
  using Cases = QualityCases;
  using Estimator = QualityEstimator;
  static constexpr auto rows = &Knowledge::quality;

  GroupedFigures figures;
  void learn(const Case& question) { figures.add(flat_keys(question), question.observed); }
  std::vector<std::optional<double>> baselines(const Case& question) const {
    const auto keys = flat_keys(question);
    return {figures.mean(keys), figures.median(keys)};
  }
};

struct SpeedSide {
  using Measurement = SpeedMeasurement;
  using Case = SpeedCase;
  using Cases = SpeedCases;
  using Estimator = SpeedEstimator;
  static constexpr auto rows = &Knowledge::speed;

  GroupedFigures figures;
  void learn(const Case& question) {
    const auto ideal = ideal_speed(question);
    if (ideal) figures.add(roofline_keys(question, kind_of(question).id), question.observed - *ideal);
  }
  std::vector<std::optional<double>> baselines(const Case& question) const {
    const auto ideal = ideal_speed(question);
    const auto factor = figures.median(roofline_keys(question, kind_of(question).id));
    if (!ideal || !factor) return {std::nullopt};
    return {*ideal + *factor};
  }
};

/// One side of a backtest: the questions, and by fold which of them.
template <typename Side>
class Run {
 public:
  Run(const Knowledge& knowledge, const std::vector<typename Side::Measurement>& asked, LeftOut what,
      BacktestReport& report)
      : knowledge_(knowledge), what_(what), publishers_(publishers(knowledge.sources)), cases_(knowledge) {
    std::set<std::string> known;
    for (const auto& row : knowledge.*Side::rows) {
      known.insert(left_out_of(row, what, publishers_));
      if (auto question = cases_.read(row))
        training_.push_back({left_out_of(row, what, publishers_), std::move(*question)});
    }
    for (const auto& row : asked) {
      std::string why;
      const auto question = cases_.read(row, &why);
      if (!question) {
        ++report.unscored[why];
        continue;
      }
      const std::string& name = left_out_of(row, what, publishers_);
      BacktestRow& described = scored_.emplace_back(describe(*question));
      described.known = known.contains(name);
      folds_[described.known ? name : ""].push_back(questions_.size());
      questions_.push_back(*question);
    }
    for (const auto& [name, members] : folds_) names_.push_back(name);
  }

  std::size_t folds() const { return names_.size(); }
  std::vector<BacktestRow> take() { return std::move(scored_); }

  /// Touches only the rows of this fold.
  void predict(std::size_t fold) {
    const std::string& name = names_[fold];
    Side baseline;
    for (const auto& [owner, question] : training_)
      if (name.empty() || owner != name) baseline.learn(question);
    baseline.figures.finish();
    Knowledge rest;
    if (!name.empty()) {
      rest = vocabularies(knowledge_);
      std::copy_if((knowledge_.*Side::rows).begin(), (knowledge_.*Side::rows).end(),
                   std::back_inserter(rest.*Side::rows),
                   [&](const auto& row) { return left_out_of(row, what_, publishers_) != name; });
    }
    const typename Side::Estimator estimator(name.empty() ? knowledge_ : rest);
    for (const std::size_t i : folds_.at(name)) answer(estimator, baseline, i);
  }

 private:
  void answer(const typename Side::Estimator& estimator, const Side& baseline, std::size_t i) {
    BacktestRow& row = scored_[i];
    row.baselines = baseline.baselines(questions_[i]);
    const auto prediction = estimator.predict(questions_[i]);
    if (!prediction || !std::isfinite(prediction->distribution.mean)) return;
    row.predicted = true;
    row.prediction = prediction->distribution;
    // Measurements are printed with three or four digits: no prediction is more certain than that.
    row.prediction.sd = std::max(row.prediction.sd, 1e-4);
    row.basis = prediction->basis;
    row.probability = row.prediction.probability_below(row.observed);
  }

  struct Training {
    std::string owner;
    typename Side::Case question;
  };
  const Knowledge& knowledge_;
  LeftOut what_;
  Publishers publishers_;
  typename Side::Cases cases_;
  std::vector<Training> training_;
  std::vector<typename Side::Case> questions_;
  std::vector<BacktestRow> scored_;
  std::map<std::string, std::vector<std::size_t>> folds_;  ///< "": nothing left out
  std::vector<std::string> names_;
};

/// Jobs 0 .. count-1 on `threads` threads. The first exception ends the work and is thrown here.
void run_jobs(std::size_t count, int threads, const std::function<void(std::size_t)>& job) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto work = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        job(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> pool;
  const auto wanted =
      static_cast<std::size_t>(threads > 0 ? threads : static_cast<int>(std::thread::hardware_concurrency()));
  for (std::size_t i = 1; i < std::min(std::max<std::size_t>(wanted, 1), count); ++i) pool.emplace_back(work);
  work();
  for (auto& thread : pool) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

const std::vector<BacktestKind>& backtest_kinds() {
  static const std::vector<BacktestKind> kinds{
      {"accuracy", "accuracy, quantized", "accuracy", ErrorUnit::recovery},
      {"pruning_accuracy", "accuracy, pruned", "accuracy", ErrorUnit::recovery},
      {"perplexity", "perplexity, quantized", "perplexity", ErrorUnit::log_ratio},
      {"pruning_perplexity", "perplexity, pruned", "perplexity", ErrorUnit::log_ratio},
      {"decode_dense", "decode, one stream, dense", "speed", ErrorUnit::relative},
      {"decode_moe", "decode, one stream, mixture of experts", "speed", ErrorUnit::relative},
      {"decode_batched", "decode, batched", "speed", ErrorUnit::relative},
      {"throughput", "output rate with prompts counted", "speed", ErrorUnit::relative},
      {"ttft", "time to first token", "speed", ErrorUnit::relative},
      {"tpot", "time per output token", "speed", ErrorUnit::relative},
      {"prefill", "prefill rate", "speed", ErrorUnit::relative}};
  return kinds;
}

std::vector<std::string> baseline_names(const BacktestKind& kind) {
  if (kind.unit == ErrorUnit::relative) return {"one-factor roofline"};
  const std::string of = std::string(kind.id).starts_with("pruning") ? "technique and pattern" : "format";
  return {"flat mean per " + of, "flat median per " + of};
}

BacktestReport backtest(const Knowledge& knowledge, const BacktestRequest& request, const BacktestProgress& progress) {
  BacktestReport report;
  report.left_out = request.left_out;
  report.rows = static_cast<std::int64_t>(request.quality.size() + request.speed.size());
  Run<QualitySide> quality(knowledge, request.quality, request.left_out, report);
  Run<SpeedSide> speed(knowledge, request.speed, request.left_out, report);
  const std::size_t total = quality.folds() + speed.folds();
  report.folds = static_cast<std::int64_t>(total);
  std::mutex mutex;
  std::int64_t done = 0;
  run_jobs(total, request.threads, [&](std::size_t job) {
    job < quality.folds() ? quality.predict(job) : speed.predict(job - quality.folds());
    const std::lock_guard lock(mutex);
    if (progress && !progress(++done, static_cast<std::int64_t>(total)))
      throw Error(ErrorCode::cancelled, "backtest cancelled");
  });
  report.scored = quality.take();
  for (auto& row : speed.take()) report.scored.push_back(std::move(row));
  return report;
}

}  // namespace advisor
