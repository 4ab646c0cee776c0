#include "recommend/judge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "core/units.h"
#include "estimate/cost.h"
#include "estimate/memory.h"
#include "recommend/accuracy.h"
#include "recommend/plan.h"

namespace advisor {

namespace {

std::string bytes(double value) { return format_quantity(value, Dimension::bytes); }

Rejection rejection(const Candidate& candidate, std::string code, std::string rule, std::string because) {
  return {candidate.action,         candidate.model->id,      candidate.variant.scheme,
          candidate.variant.engine, candidate.variant.format, std::move(code),
          std::move(rule),          std::move(because),       std::nullopt};
}

/// What decides first when several rules forbid: what no setting can change, then what hardware can.
int code_order(const std::string& code) {
  static const std::array<const char*, 8> order{"modality", "licence", "engine", "rule",
                                                "quality",  "memory",  "budget", "latency"};
  return static_cast<int>(std::find(order.begin(), order.end(), code) - order.begin());
}

std::string device_name(const Hardware& hardware) {
  const auto& device = hardware.device;
  return std::to_string(hardware.count) + " x " +
         (!device.name.empty() ? device.name
          : !device.id.empty() ? device.id
                               : "this hardware");
}

std::string memory_reason(const Question& question, const MemoryEstimate& memory) {
  return "needs " + bytes(memory.total) + ", " + bytes(memory.available) + " available on " +
         device_name(question.hardware);
}

std::string memory_detail(const MemoryEstimate& memory) {
  return "weights " + bytes(memory.weights) + ", KV cache " + bytes(memory.kv_cache) + " for " +
         std::to_string(memory.concurrency) + " x " + std::to_string(memory.context) + " tokens, engine " +
         bytes(memory.overhead);
}

/// Speed, cost and the chances of their limits. Returns what is missing to judge a limit that is set.
std::string judge_speed(const Toolbox& tools, const Question& q, const Candidate& candidate, Judged& judged) {
  const auto& workload = q.profile.workload;
  const Load load{workload.input_tokens, workload.output_tokens, workload.concurrency};
  std::string missing;
  const auto decode = tools.speed.decode(*candidate.model, candidate.variant, q.hardware, load);
  const auto first = tools.speed.first_token(*candidate.model, candidate.variant, q.hardware, load);
  auto& option = judged.option;
  if (decode) option.decode_tokens_per_second = decode->estimate();
  if (first) option.ttft_seconds = first->estimate();
  if (q.profile.slo.tpot) {
    if (decode) {
      // TPOT = sequences / rate <= limit  <=>  ln rate >= ln(sequences / limit)
      const double needed = std::log(static_cast<double>(load.concurrency) / *q.profile.slo.tpot);
      judged.chances.tpot = decode->log.probability_above(needed);
    } else {
      missing = "bandwidth of the hardware (slo.tpot)";
    }
  }
  if (q.profile.slo.ttft) {
    if (first) {
      judged.chances.ttft = first->log.probability_below(std::log(*q.profile.slo.ttft));
    } else {
      missing = "peak rate of the hardware (slo.ttft)";
    }
  }
  option.usd_per_hour = hourly_cost(tools.knowledge, q.hardware);
  if (option.usd_per_hour) {
    if (decode) option.usd_per_million_tokens = cost_per_million(*option.usd_per_hour, *decode);
    if (q.profile.budget.usd_per_hour)
      judged.chances.budget = option.usd_per_hour->mean <= *q.profile.budget.usd_per_hour ? 1.0 : 0.0;
  } else if (q.profile.budget.usd_per_hour) {
    option.warnings.push_back("no price of " + device_name(q.hardware) +
                              " is known: budget.usd_per_hour is not checked");
  }
  return missing;
}

Rejection limit_rejection(const Question& q, const Candidate& candidate, const Judged& judged,
                          const FailedLimit& failed, bool predicted) {
  const auto& option = judged.option;
  const std::string odds = percent(failed.probability) + " likely, " + percent(q.profile.confidence) + " asked for";
  if (failed.limit == "memory") {
    auto refused = rejection(candidate, "memory", "", memory_reason(q, option.memory) + " (" + odds + ")");
    refused.memory_detail = memory_detail(option.memory);
    return refused;
  }
  if (failed.limit == "accuracy") {
    const auto& quality = *option.quality;
    std::string text = "keeps " + percent(quality.retention->mean) + " (" + percent(quality.retention->low) + " to " +
                       percent(quality.retention->high) + ") of " + candidate.model->id;
    if (std::isfinite(quality.value.mean)) {
      text += std::string(", ") + (predicted ? "predicted " : "") + percent(quality.value.mean) +
              (predicted ? " (" + percent(quality.value.low) + " to " + percent(quality.value.high) + ")" : "") +
              " on " + quality.task;
    }
    text += q.profile.accuracy.min ? "; at least " + percent(*q.profile.accuracy.min) + " wanted"
                                   : "; " + percent(*q.profile.accuracy.retain) + " of " + q.model->id + " wanted";
    return rejection(candidate, "quality", "", text + ": " + odds);
  }
  if (failed.limit == "ttft")
    return rejection(candidate, "latency", "",
                     "first token after " + format_quantity(option.ttft_seconds->mean, Dimension::seconds) + ", " +
                         format_quantity(*q.profile.slo.ttft, Dimension::seconds) + " wanted: " + odds);
  if (failed.limit == "tpot")
    return rejection(
        candidate, "latency", "",
        format_quantity(static_cast<double>(q.profile.workload.concurrency) / option.decode_tokens_per_second->mean,
                        Dimension::seconds) +
            " per token, " + format_quantity(*q.profile.slo.tpot, Dimension::seconds) + " wanted: " + odds);
  return rejection(candidate, "budget", "",
                   format_number(std::round(option.usd_per_hour->mean * 100) / 100) + " USD per hour, " +
                       format_number(*q.profile.budget.usd_per_hour) + " in the budget");
}

void set_memory(FactSheet& facts, const MemoryEstimate& memory) {
  facts.set("memory.total", Value(memory.total));
  facts.set("memory.weights", Value(memory.weights));
  facts.set("memory.kv_cache", Value(memory.kv_cache));
  facts.set("memory.overhead", Value(memory.overhead));
  facts.set("memory.available", Value(memory.available));
}

void set_quality(FactSheet& facts, const QualityJudgement& quality) {
  if (!quality.estimate) return;
  const auto& estimate = *quality.estimate;
  if (std::isfinite(estimate.value.mean)) {
    facts.set("quality.mean", Value(estimate.value.mean));
    facts.set("quality.low", Value(estimate.value.low));
  }
  facts.set("quality.retention", Value(estimate.retention->mean));
  if (estimate.probability) facts.set("quality.probability", Value(*estimate.probability));
  facts.set("quality.basis", Value(std::string(name(estimate.retention->basis))));
}

const Finding* first_forbid(const Findings& findings) {
  const auto found =
      std::min_element(findings.forbids.begin(), findings.forbids.end(),
                       [](const auto& a, const auto& b) { return code_order(a.code) < code_order(b.code); });
  return found == findings.forbids.end() ? nullptr : &*found;
}

void explain_quality(const Question& q, const QualityJudgement& quality, Option& option) {
  if (!option.quality) return;
  option.evidence.push_back({"measurement", q.task.family, quality.how, {}});
  if (!quality.baseline.empty()) option.evidence.push_back({"prediction", option.quality->task, quality.baseline, {}});
}

}  // namespace

FactSheet facts_of(const Toolbox& tools, const Question& q, const Candidate& candidate) {
  const auto technique = tools.techniques.find(candidate.variant.technique);
  FactSheet facts = collect(q.profile, q.hardware, *candidate.model, candidate.variant, q.task,
                            technique == tools.techniques.end() ? nullptr : technique->second,
                            tools.support(candidate.variant, q.hardware.device));
  facts.set("plan.action", Value(candidate.action));
  facts.set("plan.uses_published",
            Value(candidate.choice != nullptr && find_published(tools.knowledge, candidate.variant) != nullptr));
  return facts;
}

Judgement judge(const Toolbox& tools, const Question& q, const Candidate& candidate) {
  Judgement result;
  Judged judged;
  auto& option = judged.option;
  option.action = candidate.action;
  option.variant = candidate.variant;

  FactSheet facts = facts_of(tools, q, candidate);
  const auto& workload = q.profile.workload;
  const auto memory =
      estimate_memory(*candidate.model, candidate.variant, q.hardware, workload.context, workload.concurrency);
  if (memory) {
    set_memory(facts, *memory);
    option.memory = *memory;
    judged.chances.memory = memory_distribution(*memory).probability_below(memory->available);
    result.miss = memory->available > 0 ? memory->total / memory->available : 1e300;
  }
  const auto quality = judge_quality(tools, q, candidate);
  set_quality(facts, quality);

  const auto findings = tools.rules.apply(facts, "variant");
  if (const auto* forbid = first_forbid(findings)) {
    auto refused = rejection(candidate, forbid->code.empty() ? "rule" : forbid->code, forbid->rule, forbid->reason);
    if (forbid->code == "memory" && memory) {
      refused.because = memory_reason(q, *memory);
      refused.memory_detail = memory_detail(*memory);
    }
    result.rejection = std::move(refused);
    return result;
  }
  option.quality = quality.estimate;
  if (quality.estimate) judged.chances.accuracy = quality.estimate->probability;
  judged.quality = quality.key;
  const auto missing_speed = judge_speed(tools, q, candidate, judged);
  if (const auto failed = failed_limits(judged.chances, q.profile.confidence); !failed.empty()) {
    result.rejection = limit_rejection(q, candidate, judged, failed.front(), !quality.baseline.empty());
    if (failed.front().limit != "memory") result.miss = 1 - failed.front().probability;
    return result;
  }
  for (const auto& unknown : findings.unknowns)
    if (unknown.kind == "forbid") result.gaps.push_back(unknown.gap());
  if (!memory) {
    result.undecided = Gap{"memory of " + candidate.model->id, "its number of parameters"};
  } else if (!quality.missing.empty()) {
    const bool measured = quality.estimate.has_value();  // then it is a score that is missing
    result.undecided = Gap{
        "quality of " + (measured ? candidate.model->id : candidate.variant.technique + " " + candidate.variant.scheme),
        quality.missing};
  } else if (!missing_speed.empty()) {
    result.undecided = Gap{"speed of " + candidate.model->id, missing_speed};
  }
  if (result.undecided) return result;
  for (const auto& warn : findings.warns) {
    option.warnings.push_back(warn.reason);
    option.evidence.push_back(warn.evidence());
  }
  explain_quality(q, quality, option);
  add_plan(tools, q, candidate, option);
  result.option = std::move(judged);
  return result;
}

namespace {

/// The score that an uncompressed model needs; below it compression cannot help. A limit relative to a prediction
/// counts at its lower end, and not at all when nobody set it.
double least_score(const Question& q) {
  double threshold = q.profile.accuracy.min.value_or(0);
  if (!q.profile.accuracy.retain || !q.baseline) return threshold;
  if (!q.baseline->predicted()) return std::max(threshold, *q.profile.accuracy.retain * q.baseline->value);
  return q.default_limit ? threshold : std::max(threshold, *q.profile.accuracy.retain * q.baseline->low);
}

/// Models without a score in the table, by the lower end of their prediction, so that what is hardly known comes last.
std::vector<std::pair<const Model*, Baseline>> predicted_models(const Toolbox& tools, const Question& q) {
  std::vector<std::pair<const Model*, Baseline>> models;
  for (const auto& model : tools.knowledge.models)
    if (model.params && model.id != q.model->id)
      if (auto baseline = tools.scores.baseline(model, *q.table); baseline && baseline->predicted())
        models.emplace_back(&model, std::move(*baseline));
  std::sort(models.begin(), models.end(), [](const auto& a, const auto& b) {
    return std::tie(b.second.low, a.first->id) < std::tie(a.second.low, b.first->id);
  });
  return models;
}

/// Collects models to switch to: the best few of every doubling of size that rules admit.
class Switches {
 public:
  Switches(const Toolbox& tools, const Question& q, const std::vector<std::string>& engines,
           std::vector<Rejection>& rejections)
      : tools_(tools), q_(q), engines_(engines), rejections_(rejections) {}

  bool full(const Model& model) const {
    const auto taken = taken_.find(std::ilogb(*model.params));
    return taken != taken_.end() && taken->second >= switches_per_size;
  }

  void add(const Model& model, bool say_why_not) {
    auto candidate = as_published(model, "switch", engines_).front();
    const auto findings = tools_.rules.apply(facts_of(tools_, q_, candidate), "variant");
    const auto* forbid = first_forbid(findings);
    if (forbid != nullptr && (forbid->code == "modality" || forbid->code == "licence")) {
      candidate.variant.scheme = candidate.variant.engine = candidate.variant.format = "";
      if (say_why_not) rejections_.push_back(rejection(candidate, forbid->code, forbid->rule, forbid->reason));
    } else if (!full(model)) {
      ++taken_[std::ilogb(*model.params)];
      chosen.push_back(&model);
    }
  }

  std::vector<const Model*> chosen;

 private:
  const Toolbox& tools_;
  const Question& q_;
  const std::vector<std::string>& engines_;
  std::vector<Rejection>& rejections_;
  std::map<int, int> taken_;
};

/// One rejection for all scored models that are too weak, the best first.
void reject_too_weak(const Toolbox& tools, const Question& q, const std::vector<const Model*>& too_weak,
                     std::vector<Rejection>& rejections) {
  if (too_weak.empty()) return;
  const auto& best = *too_weak.front();
  std::string because = "scores " + percent(tools.scores.baseline(best, *q.table)->value) + " on " + q.table->task +
                        " uncompressed, " + percent(least_score(q)) + " wanted";
  if (too_weak.size() > 1) because += "; " + std::to_string(too_weak.size() - 1) + " other models score less";
  rejections.push_back({"switch", best.id, "", "", "", "quality", "", because, std::nullopt});
}

}  // namespace

std::vector<const Model*> models_to_switch_to(const Toolbox& tools, const Question& q,
                                              const std::vector<std::string>& engines,
                                              std::vector<Rejection>& rejections) {
  if (!q.table || engines.empty() || !q.profile.allow.switch_model) return {};
  std::map<std::string, const Model*> models;
  for (const auto& model : tools.knowledge.models) models[model.id] = &model;
  const double threshold = least_score(q);
  Switches switches(tools, q, engines, rejections);
  std::vector<const Model*> too_weak;  // best first
  for (const auto& id : tools.scores.ranked(*q.table)) {
    const auto found = models.find(id);
    if (found == models.end() || id == q.model->id || !found->second->params) continue;
    if (tools.scores.baseline(id, *q.table)->value < threshold) {
      too_weak.push_back(found->second);
    } else {
      switches.add(*found->second, true);
    }
  }
  reject_too_weak(tools, q, too_weak, rejections);
  // What is only predicted fills the places that scored models leave, where even the prediction is sure enough.
  for (const auto& [model, baseline] : predicted_models(tools, q))
    if (!switches.full(*model) && baseline.quantile(1 - q.profile.confidence) >= threshold) switches.add(*model, false);
  return switches.chosen;
}

}  // namespace advisor
