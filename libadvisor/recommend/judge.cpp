#include "recommend/judge.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "core/units.h"
#include "estimate/cost.h"
#include "estimate/memory.h"
#include "recommend/plan.h"

namespace advisor {

namespace {

std::string bytes(double value) { return format_quantity(value, Dimension::bytes); }

std::string percent(double value) { return format_number(std::round(value * 1000) / 10) + " %"; }

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

constexpr double not_known = std::numeric_limits<double>::quiet_NaN();

/// An absolute value that nobody knows: JSON writes null.
Estimate unknown_value(const Retention& kept) {
  Estimate estimate = to_estimate({1, 0, 30}, kept.basis, kept.rows, kept.sources);
  estimate.mean = estimate.sd = estimate.low = estimate.high = not_known;
  return estimate;
}

struct QualityJudgement {
  std::optional<QualityEstimate> estimate;
  double key = 0;  ///< lower bound relative to the model in use
  std::string how;
  std::string missing;  ///< why the limit cannot be judged
};

/// Product of two independent factors, to first order.
Distribution times(const Distribution& a, const Distribution& b) {
  return {a.mean * b.mean, std::hypot(a.mean * b.sd, b.mean * a.sd), std::min(a.df, b.df)};
}

Distribution value_of(const Distribution& recovery, const Baseline& baseline, double chance) {
  const Distribution above{baseline.value - chance, baseline.sd, 30};
  return times(recovery, above).scaled(chance, 1);
}

/// Score relative to the model in use: for the same model its own noise cancels.
std::optional<Distribution> relative_of(const Question& q, const Candidate& candidate, const Distribution& recovery,
                                        const std::optional<Baseline>& own) {
  if (candidate.model == q.model)
    return own ? relative_to_baseline(recovery, own->value, q.yardstick.chance) : recovery;
  if (!own || !q.baseline || q.baseline->value <= 0) return std::nullopt;
  const auto value = value_of(recovery, *own, q.yardstick.chance);
  const double base = q.baseline->value, relative_sd = q.baseline->sd / base;
  return Distribution{value.mean / base, std::hypot(value.sd / base, value.mean / base * relative_sd), value.df};
}

QualityJudgement judge_quality(const Toolbox& tools, const Question& q, const Candidate& candidate) {
  QualityJudgement result;
  const auto kept = tools.quality.retention(*candidate.model, candidate.variant, q.yardstick);
  if (!kept) {
    result.missing = "a measurement of " + candidate.variant.technique + " " + candidate.variant.scheme + " on " +
                     q.task.family + " tasks";
    return result;
  }
  result.how = kept->how;
  const auto own = q.table ? tools.quality.baseline(candidate.model->id, *q.table) : std::nullopt;
  const auto relative = relative_of(q, candidate, kept->recovery, own);
  QualityEstimate estimate;
  estimate.task = q.table && own ? q.table->task : q.task.id;
  const auto own_relative = own ? relative_to_baseline(kept->recovery, own->value, q.yardstick.chance) : kept->recovery;
  estimate.retention = to_estimate(own_relative, kept->basis, kept->rows, kept->sources);
  estimate.value = unknown_value(*kept);
  if (own) {
    auto sources = kept->sources;
    sources.push_back(own->source);
    estimate.value = to_estimate(value_of(kept->recovery, *own, q.yardstick.chance), kept->basis, kept->rows + 1,
                                 std::move(sources));
  }
  const auto& limit = q.profile.accuracy;
  double probability = 1;
  if (limit.min) {
    if (own) {
      probability = value_of(kept->recovery, *own, q.yardstick.chance).probability_above(*limit.min);
    } else {
      result.missing = "a score of " + candidate.model->id + " on " + q.task.id + " (accuracy.min is absolute)";
    }
  }
  if (limit.retain) {
    const auto compared = relative || !q.default_limit ? relative : std::optional(own_relative);
    if (compared) {
      // A copy keeps exactly what it has: no rounding may turn 1 >= 1 into a miss.
      const bool same = compared->sd <= 0 && compared->mean >= *limit.retain - 1e-12;
      probability = std::min(probability, same ? 1.0 : compared->probability_above(*limit.retain));
    } else {
      result.missing = "scores of " + candidate.model->id + " and " + q.model->id + " in one table on " + q.task.family;
    }
  }
  if (result.missing.empty()) estimate.probability = probability;
  if (relative)
    result.key = relative->quantile(0.05);
  else if (own)
    result.key = value_of(kept->recovery, *own, q.yardstick.chance).quantile(0.05);
  result.estimate = std::move(estimate);
  return result;
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
                          const FailedLimit& failed) {
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
    if (std::isfinite(quality.value.mean)) text += ", " + percent(quality.value.mean) + " on " + quality.task;
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

void set_memory(Facts& facts, const MemoryEstimate& memory) {
  facts.set("memory.total", Value(memory.total));
  facts.set("memory.weights", Value(memory.weights));
  facts.set("memory.kv_cache", Value(memory.kv_cache));
  facts.set("memory.overhead", Value(memory.overhead));
  facts.set("memory.available", Value(memory.available));
}

void set_quality(Facts& facts, const QualityJudgement& quality) {
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
}

}  // namespace

Facts facts_of(const Toolbox& tools, const Question& q, const Candidate& candidate) {
  Facts facts = collect(q.profile, q.hardware, *candidate.model, candidate.variant, q.task);
  if (const auto technique = tools.techniques.find(candidate.variant.technique); technique != tools.techniques.end())
    set_technique(facts, *technique->second);
  facts.set("plan.action", Value(candidate.action));
  facts.set("plan.retrained", Value(false));
  facts.set("plan.uses_published",
            Value(candidate.choice != nullptr && find_published(tools.knowledge, candidate.variant) != nullptr));
  if (const auto* support = tools.support(candidate.variant, q.hardware.device)) {
    facts.set("engine.supports_format", Value(support->supported));
    facts.set("engine.support_source", Value(support->source));
  }
  return facts;
}

Judgement judge(const Toolbox& tools, const Question& q, const Candidate& candidate) {
  Judgement result;
  Judged judged;
  auto& option = judged.option;
  option.action = candidate.action;
  option.variant = candidate.variant;

  Facts facts = facts_of(tools, q, candidate);
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
    result.rejection = limit_rejection(q, candidate, judged, failed.front());
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

std::vector<const Model*> models_to_switch_to(const Toolbox& tools, const Question& q,
                                              const std::vector<std::string>& engines,
                                              std::vector<Rejection>& rejections) {
  std::vector<const Model*> chosen;
  if (!q.table || engines.empty() || !q.profile.allow.switch_model) return chosen;
  std::map<std::string, const Model*> models;
  for (const auto& model : tools.knowledge.models) models[model.id] = &model;
  double threshold = q.profile.accuracy.min.value_or(0);
  if (q.profile.accuracy.retain && q.baseline)
    threshold = std::max(threshold, *q.profile.accuracy.retain * q.baseline->value);
  std::map<int, int> taken;
  std::vector<const Model*> too_weak;  // best first
  for (const auto& id : tools.quality.ranked(*q.table)) {
    const auto found = models.find(id);
    if (found == models.end() || found->second == q.model || id == q.model->id || !found->second->params) continue;
    if (tools.quality.baseline(id, *q.table)->value < threshold) {
      too_weak.push_back(found->second);
      continue;
    }
    auto candidate = as_published(*found->second, "switch", engines).front();
    const auto findings = tools.rules.apply(facts_of(tools, q, candidate), "variant");
    const auto* forbid = first_forbid(findings);
    if (forbid != nullptr && (forbid->code == "modality" || forbid->code == "licence")) {
      candidate.variant.scheme = candidate.variant.engine = candidate.variant.format = "";
      rejections.push_back(rejection(candidate, forbid->code, forbid->rule, forbid->reason));
      continue;
    }
    if (taken[std::ilogb(*found->second->params)]++ < switches_per_size) chosen.push_back(found->second);
  }
  if (!too_weak.empty()) {
    const auto& best = *too_weak.front();
    std::string because = "scores " + percent(tools.quality.baseline(best.id, *q.table)->value) + " on " +
                          q.table->task + " uncompressed, " + percent(threshold) + " wanted";
    if (too_weak.size() > 1) because += "; " + std::to_string(too_weak.size() - 1) + " other models score less";
    rejections.push_back({"switch", best.id, "", "", "", "quality", "", because, std::nullopt});
  }
  return chosen;
}

}  // namespace advisor
