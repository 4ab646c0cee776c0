#include "recommend/rejections.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "core/suggest.h"
#include "core/units.h"
#include "estimate/memory.h"
#include "recommend/accuracy.h"
#include "recommend/detail.h"

namespace advisor {

namespace {

std::string bytes(double value) { return format_quantity(value, Dimension::bytes); }
std::string seconds(double value) { return format_quantity(value, Dimension::seconds); }
std::string hours(double value) { return format_number(std::round(value * 100) / 100) + " h"; }
std::string dollars(double value) { return format_number(std::round(value * 100) / 100); }

std::string_view code_of(const Cell& cell) {
  if (cell.fate == Fate::forbidden) return cell.rule->code.empty() ? "rule" : std::string_view(cell.rule->code);
  switch (cell.failed) {
    case Limit::memory: return "memory";
    case Limit::accuracy: return "quality";
    case Limit::ttft:
    case Limit::tpot: return "latency";
    case Limit::budget:
    case Limit::effort: return "budget";
  }
  return "rule";
}

double chance_of_failed(const Cell& cell) {
  const auto& c = cell.chances;
  const Chance all[] = {c.memory, c.accuracy, c.ttft, c.tpot, c.budget, c.effort};
  return all[static_cast<std::size_t>(cell.failed)].value_or(0);
}

/// How far off: needed / available memory, or improbability. Forbidden cells are all equally far.
double miss(const Cell& cell) {
  if (cell.fate == Fate::forbidden) return 0;
  if (cell.failed == Limit::memory)
    return cell.memory_available > 0 ? cell.memory_total / cell.memory_available : 1e300;
  return 1 - chance_of_failed(cell);
}

std::string quality_reason(const Toolbox& tools, const Question& q, const Cell& cell) {
  const auto words = quality_words(tools, q, cell);
  const auto& quality = *words.estimate;
  const bool predicted = !words.baseline.empty();
  std::string text = "keeps " + percent(quality.retention->mean) + " (" + percent(quality.retention->low) + " to " +
                     percent(quality.retention->high) + ") of " + q.at(tools, cell.model).model->id;
  if (std::isfinite(quality.value.mean)) {
    text += std::string(", ") + (predicted ? "predicted " : "") + percent(quality.value.mean);
    if (predicted) text += " (" + percent(quality.value.low) + " to " + percent(quality.value.high) + ")";
    text += " on " + quality.task;
  }
  return text + (q.profile.accuracy.min
                     ? "; at least " + percent(*q.profile.accuracy.min) + " wanted"
                     : "; " + percent(*q.profile.accuracy.retain) + " of " + q.model->id + " wanted");
}

std::string limit_reason(const Toolbox& tools, const Question& q, CellJudge& judge, const Cell& cell,
                         Rejection& rejection) {
  const std::string odds = percent(chance_of_failed(cell)) + " likely, " + percent(q.profile.confidence) + " asked for";
  switch (cell.failed) {
    case Limit::memory: {
      const auto memory = memory_words(tools, q, judge, cell);
      rejection.memory_detail = "weights " + bytes(memory.weights) + ", KV cache " + bytes(memory.kv_cache) + " for " +
                                std::to_string(memory.concurrency) + " x " + std::to_string(memory.context) +
                                " tokens, engine " + bytes(memory.overhead);
      if (const auto& engine =
              tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)].choice.variant.engine;
          can_offload(engine, q.hardware))
        *rejection.memory_detail +=
            "; " + bytes(usable_host_memory(q.hardware)) + " of the host's memory do not make room for it either";
      return "needs " + bytes(memory.total) + ", " + bytes(memory.available) + " available on " +
             device_name(q.hardware) + " (" + odds + ")";
    }
    case Limit::accuracy: return quality_reason(tools, q, cell) + ": " + odds;
    case Limit::ttft:
      return "first token after " + seconds(std::exp(cell.log_ttft.mean)) + ", " + seconds(*q.profile.slo.ttft) +
             " wanted: " + odds;
    case Limit::tpot:
      return seconds(std::exp(cell.log_tpot.mean)) + " per token, " + seconds(*q.profile.slo.tpot) + " wanted: " + odds;
    case Limit::budget:
      return dollars(judge.usd_per_hour()->mean) + " USD per hour, " + format_number(*q.profile.budget.usd_per_hour) +
             " in the budget: " + odds;
    case Limit::effort:
      return hours(std::exp(cell.log_hours.mean)) + " of compression work, " +
             hours(*q.profile.budget.hours_to_compress) + " in the budget: " + odds;
  }
  return "";
}

/// "W16A16 50 % 2:4": what is done to the weights.
std::string weights_of(const Variant& variant) {
  return variant.scheme + (variant.sparsity > 0 ? " " + percent(variant.sparsity) + " " + variant.pattern : "");
}

/// The same with a cache that is not stored as usual: "F16 with KV cache q8_0".
std::string stored_as(const Variant& variant) {
  return weights_of(variant) + (variant.kv == Variant{}.kv ? "" : " with KV cache " + variant.kv);
}

}  // namespace

bool was_asked(const Toolbox& tools, const Cell& cell) {
  return tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)].asked();
}

Rejection reject(const Toolbox& tools, const Question& q, CellJudge& judge, const Cell& cell) {
  const auto variant = variant_of(tools, q, cell);
  Rejection rejection{std::string(name(cell.action)),
                      variant.model,
                      stored_as(variant),
                      variant.engine,
                      variant.format,
                      std::string(code_of(cell)),
                      "",
                      "",
                      std::nullopt};
  if (cell.fate == Fate::limit) {
    rejection.because = limit_reason(tools, q, judge, cell, rejection);
    if (cell.failed != Limit::memory) return rejection;
  }
  // The rule that says so, with its reason filled in; of memory only its name: the limit says more.
  const auto findings = tools.rules.apply(judge.facts_of(cell), "variant");
  for (const auto& finding : findings.forbids) {
    const bool named = cell.fate == Fate::forbidden ? finding.rule == cell.rule->id : finding.code == "memory";
    if (!named) continue;
    rejection.rule = finding.rule;
    if (cell.fate == Fate::forbidden && finding.code != "memory") rejection.because = finding.reason;
  }
  if (cell.fate == Fate::forbidden && rejection.because.empty()) {
    Cell as_limit = cell;
    as_limit.fate = Fate::limit, as_limit.failed = Limit::memory;
    rejection.because = limit_reason(tools, q, judge, as_limit, rejection);
  }
  return rejection;
}

namespace {

void add_name(std::vector<std::string>& items, const std::string& item) {
  if (!item.empty() && std::find(items.begin(), items.end(), item) == items.end()) items.push_back(item);
}

/// Cells with one cause, as one rejection: all schemes named, the reason of the nearest miss.
class Group {
 public:
  void add(const Cell& cell) { members_.push_back(&cell); }
  Rejection merged(const Toolbox& tools, const Question& q, CellJudge& judge) const {
    const auto* nearest = *std::min_element(members_.begin(), members_.end(),
                                            [](const Cell* a, const Cell* b) { return miss(*a) < miss(*b); });
    auto rejection = reject(tools, q, judge, *nearest);
    std::vector<std::string> schemes, engines;
    add_name(schemes, rejection.scheme), add_name(engines, rejection.engine);
    std::vector<char> told(tools.catalog.treatments().size());
    std::vector<const Variant*> short_caches;
    for (const auto* member : members_) {
      if (std::exchange(told[static_cast<std::size_t>(member->treatment)], 1)) continue;
      const auto& variant = tools.catalog.treatments()[static_cast<std::size_t>(member->treatment)].choice.variant;
      add_name(engines, variant.engine);
      if (variant.kv == Variant{}.kv)
        add_name(schemes, weights_of(variant));
      else
        short_caches.push_back(&variant);
    }
    // What fails with the usual cache is not told again with a shorter one.
    for (const auto* variant : short_caches)
      if (std::find(schemes.begin(), schemes.end(), weights_of(*variant)) == schemes.end())
        add_name(schemes, stored_as(*variant));
    if (schemes.size() > 1 && nearest->fate == Fate::limit)
      rejection.because = schemes.front() + ", the nearest: " + rejection.because;
    rejection.scheme = join(schemes, ", ");
    rejection.engine = join(engines, ", ");
    if (engines.size() > 1) rejection.format.clear();
    rejection.count = static_cast<std::int64_t>(members_.size());
    return rejection;
  }

 private:
  std::vector<const Cell*> members_;
};

/// Of the models to switch to a cause is told once, of the one that came nearest; of the model in use each action has
/// its own.
struct Cause {
  bool in_use = false;
  Action action = Action::keep;
  const RuleSource* rule = nullptr;
  Limit limit = Limit::memory;
  bool operator==(const Cause&) const = default;
};

Cause cause_of(const Question& q, const Cell& cell) {
  const bool ruled = cell.fate == Fate::forbidden;
  return {cell.model == q.current, cell.action, ruled ? cell.rule : nullptr, ruled ? Limit::memory : cell.failed};
}

void add_cells(const Toolbox& tools, const Question& q, CellJudge& judge, const Decision& decision,
               std::vector<Rejection>& rejections) {
  struct Told {
    Cause cause;
    Group group;
    int models = 0, last = -2;
  };
  std::vector<Told> all;  // as first met: the model in use first; a few dozen
  for (const auto& cell : decision.cells) {
    if (cell.fate != Fate::forbidden && cell.fate != Fate::limit) continue;
    if (was_asked(tools, cell)) continue;  // told by itself
    const auto cause = cause_of(q, cell);
    auto place = std::find_if(all.begin(), all.end(), [&](const Told& told) { return told.cause == cause; });
    if (place == all.end()) place = all.insert(place, {cause, {}});
    place->group.add(cell);
    if (place->last != cell.model) ++place->models, place->last = cell.model;
  }
  for (const auto& told : all) {
    auto rejection = told.group.merged(tools, q, judge);
    if (told.models > 1)
      rejection.because += " (and " + std::to_string(told.models - 1) + " other models for the same reason)";
    rejections.push_back(std::move(rejection));
  }
}

/// The best score that is wanted of any model; what is said to those that do not reach it.
std::string wanted(const Question& q) {
  if (q.profile.accuracy.min) return "at least " + percent(*q.profile.accuracy.min);
  return percent(*q.profile.accuracy.retain) + " of " + q.model->id;
}

void add_models(const Toolbox& tools, const Question& q, CellJudge& judge, const Decision& decision,
                std::vector<Rejection>& rejections) {
  using Why = ModelFate::Why;
  std::map<std::string, std::vector<const ModelFate*>> by_rule;
  std::vector<const ModelFate*> weak;
  for (const auto& fate : decision.models) {
    if (fate.why == Why::rule) by_rule[fate.rule->id].push_back(&fate);
    if (fate.why == Why::too_weak) weak.push_back(&fate);
  }
  const auto best = [](const std::vector<const ModelFate*>& fates) {
    return *std::max_element(fates.begin(), fates.end(),
                             [](const ModelFate* a, const ModelFate* b) { return a->score < b->score; });
  };
  for (const auto& [rule, fates] : by_rule) {
    const auto* first = best(fates);
    const auto& model = *q.at(tools, first->model).model;
    judge.enter(first->model);
    std::string because;
    for (const auto& finding : tools.rules.apply(judge.facts(), "variant").forbids)
      if (finding.rule == rule) because = finding.reason;
    if (fates.size() > 1) because += " (and " + std::to_string(fates.size() - 1) + " other models for the same reason)";
    rejections.push_back({"switch", model.id, "", "", "", first->rule->code.empty() ? "rule" : first->rule->code, rule,
                          because, std::nullopt, static_cast<std::int64_t>(fates.size())});
  }
  if (weak.empty()) return;
  const auto* first = best(weak);
  const auto& model = *q.at(tools, first->model).model;
  const auto& baseline = q.standing(first->model).baseline;
  std::string because = "scores " + describe(*baseline) + " on " + q.table->task + " uncompressed, " + wanted(q) +
                        " wanted: " + percent(first->probability) + " likely, " + percent(q.profile.confidence) +
                        " asked for";
  if (weak.size() > 1) because += "; " + std::to_string(weak.size() - 1) + " other models do not reach it either";
  rejections.push_back(
      {"switch", model.id, "", "", "", "quality", "", because, std::nullopt, static_cast<std::int64_t>(weak.size())});
}

}  // namespace

std::vector<Rejection> rejections_of(const Toolbox& tools, const Question& q, CellJudge& judge,
                                     const Decision& decision) {
  std::vector<Rejection> rejections;
  add_cells(tools, q, judge, decision, rejections);
  add_models(tools, q, judge, decision, rejections);
  return rejections;
}

void sort_gaps(std::vector<Gap>& gaps) {
  const auto key = [](const Gap& gap) { return std::tie(gap.subject, gap.needs); };
  std::sort(gaps.begin(), gaps.end(), [&](const Gap& a, const Gap& b) { return key(a) < key(b); });
  gaps.erase(std::unique(gaps.begin(), gaps.end(), [&](const Gap& a, const Gap& b) { return key(a) == key(b); }),
             gaps.end());
}

std::vector<Gap> gaps_of(const Toolbox& tools, const Question& q, const Decision& decision) {
  std::set<std::pair<std::string, std::string>> gaps;
  // Of cells that nobody can decide the first of each kind and model: the treatments of a model lack the same.
  std::set<std::tuple<int, Missing>> told;
  for (const auto& cell : decision.cells) {
    if (cell.fate != Fate::undecided || was_asked(tools, cell)) continue;
    const bool of_treatment = cell.missing == Missing::retention || cell.missing == Missing::effort;
    if (!told.emplace(of_treatment ? -2 - cell.treatment : cell.model, cell.missing).second) continue;
    const auto gap = gap_of(tools, q, cell);
    gaps.emplace(gap.subject, gap.needs);
  }
  std::int64_t no_size = 0, not_scored = 0;
  for (const auto& fate : decision.models) {
    no_size += fate.why == ModelFate::Why::no_size;
    not_scored += fate.why == ModelFate::Why::not_scored;
  }
  if (no_size > 0) gaps.emplace(std::to_string(no_size) + " models to switch to", "their parameters or geometry");
  if (not_scored > 0 && q.table)
    gaps.emplace(std::to_string(not_scored) + " models to switch to",
                 "a score on " + q.table->task + ": nothing known predicts one");
  std::vector<Gap> sorted;
  for (const auto& [subject, needs] : gaps) sorted.push_back({subject, needs});
  return sorted;
}

}  // namespace advisor
