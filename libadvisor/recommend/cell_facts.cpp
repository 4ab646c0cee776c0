// What rules read of a cell: its facts, layer by layer.
#include <algorithm>
#include <cmath>
#include <limits>

#include "recommend/cell_judge.h"

namespace advisor {

namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

struct Slots {
  int model = fact_slot("variant.model"), action = fact_slot("plan.action"), current = fact_slot("plan.current_model"),
      uses_published = fact_slot("plan.uses_published"), retrained = fact_slot("plan.retrained"),
      is_qat = fact_slot("plan.is_qat"), official_published = fact_slot("plan.official_published"),
      qat_published = fact_slot("plan.qat_published"), checkpoint = fact_slot("published.checkpoint"),
      official = fact_slot("published.official"), publisher = fact_slot("published.publisher"),
      memory_total = fact_slot("memory.total"), memory_weights = fact_slot("memory.weights"),
      memory_kv = fact_slot("memory.kv_cache"), memory_overhead = fact_slot("memory.overhead"),
      memory_available = fact_slot("memory.available"), memory_share = fact_slot("memory.share"),
      memory_kv_share = fact_slot("memory.kv_share"), mean = fact_slot("quality.mean"), low = fact_slot("quality.low"),
      retention = fact_slot("quality.retention"), probability = fact_slot("quality.probability"),
      baseline_predicted = fact_slot("quality.baseline_predicted"), decode = fact_slot("speed.decode"),
      ttft = fact_slot("speed.ttft"), tpot = fact_slot("speed.tpot"), gain = fact_slot("speed.gain"),
      per_hour = fact_slot("cost.usd_per_hour"), per_million = fact_slot("cost.usd_per_million"),
      offload_kind = fact_slot("offload.kind"), offload_layers = fact_slot("offload.layers"),
      offload_bytes = fact_slot("offload.host_bytes"), offload_share = fact_slot("offload.host_share"),
      hours = fact_slot("effort.hours"), rows = fact_slot("quality.rows"), basis = fact_slot("quality.basis"),
      knowledge_rows = fact_slot("quality.knowledge_rows"), perplexity_only = fact_slot("quality.perplexity_only");
};
const Slots& slots() {
  static const Slots all;
  return all;
}

}  // namespace

void CellJudge::set_model(bool current) {
  candidate_facts_.clear();
  candidate_facts_.set(slots().model, Value(entry_->model->id));
  candidate_facts_.set(slots().current, current);
}

void CellJudge::check_profile() {
  const auto add = [&](const RuleSource* rule) {
    if (rule != nullptr) profile_rules_.push_back(rule);
  };
  facts_.use(q_.at(tools_, q_.current).facts);
  candidate_facts_.set(slots().model, Value(q_.model->id));
  facts_.use(candidate_facts_);
  facts_.use(given_facts_);
  for (std::size_t layer = 0; layer < fact_layers; ++layer)
    add(tools_.rules.forbidden(facts_, static_cast<FactLayerId>(layer), "profile"));
  facts_.use(query_facts_);
  add(tools_.rules.forbidden(facts_, FactLayerId::query, "variant"));
}

Findings CellJudge::profile_findings() {
  enter(q_.current);
  facts_.use(given_facts_);
  auto findings = tools_.rules.apply(facts_, "profile");
  facts_.use(query_facts_);
  // A rule about variants that reads the question alone forbids all of them: that too is said once.
  for (auto& forbid : tools_.rules.apply(facts_, "variant").forbids) {
    const bool for_all = std::any_of(profile_rules_.begin(), profile_rules_.end(),
                                     [&](const RuleSource* rule) { return rule->id == forbid.rule; });
    if (for_all) findings.forbids.push_back(std::move(forbid));
  }
  return findings;
}

void CellJudge::set_candidate(const Applied& applied, Action action) {
  const auto& s = slots();
  const auto& choice = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)].choice;
  const bool first = described_ == nullptr;
  if (first || described_action_ != action) candidate_facts_.set(s.action, Value(std::string(name(action))));
  const auto put = [&](int slot, const PublishedCheckpoint* row, const PublishedCheckpoint* before) {
    if (!first && row == before) return;
    row != nullptr ? candidate_facts_.set(slot, Value(row->checkpoint)) : candidate_facts_.clear(slot);
  };
  put(s.official_published, applied.official, first ? nullptr : described_->official);
  put(s.qat_published, applied.qat, first ? nullptr : described_->qat);
  if (first || applied.published != described_->published) {
    put(s.checkpoint, applied.published, first ? nullptr : described_->published);
    if (applied.published != nullptr) {
      candidate_facts_.set(s.official, applied.published->official);
      candidate_facts_.set(s.publisher, Value(applied.published->publisher));
    } else {
      candidate_facts_.clear(s.official), candidate_facts_.clear(s.publisher);
    }
  }
  candidate_facts_.set(s.uses_published, applied.published != nullptr);
  candidate_facts_.set(s.retrained, choice.origin == Origin::found);
  candidate_facts_.set(s.is_qat, choice.origin == Origin::found && choice.variant.technique == "qat");
  facts_.use(candidate_facts_);
  described_ = &applied, described_action_ = action;
}

void CellJudge::set_estimates(const Cell& cell, const EngineSide& side, const std::vector<char>* wanted) {
  const auto& s = slots();
  auto& facts = estimate_facts_;
  facts.clear(s.rows), facts.clear(s.basis);  // words: of facts_of() only, no forbid reads them
  const auto wants = [&](int slot) { return wanted == nullptr || (*wanted)[static_cast<std::size_t>(slot)] != 0; };
  const auto put = [&](int slot, auto&& value) {
    if (wants(slot)) facts.set(slot, value());
  };
  const auto exp_of = [](bool known, const Distribution& log) { return known ? std::exp(log.mean) : not_a_number; };
  const auto decode = [&] { return exp_of(cell.has_speed, cell.log_decode); };
  put(s.memory_total, [&] { return memory_.total; });
  put(s.memory_weights, [&] { return memory_.weights; });
  put(s.memory_kv, [&] { return memory_.kv_cache; });
  put(s.memory_overhead, [&] { return memory_.overhead; });
  put(s.memory_available, [&] { return memory_.available; });
  put(s.memory_share, [&] { return memory_.total / memory_.available; });
  put(s.memory_kv_share, [&] { return memory_.kv_cache / memory_.total; });
  if (wants(s.offload_kind) && told_placement_ != placed_.kind)
    facts.set(s.offload_kind, Value(std::string(name(placed_.kind)))), told_placement_ = placed_.kind;
  put(s.offload_layers, [&] { return static_cast<double>(placed_.layers); });
  put(s.offload_bytes, [&] { return placed_.host_weights; });
  put(s.offload_share, [&] { return placed_.host_weights / (memory_.weights + placed_.left); });
  put(s.mean, [&] { return cell.has_value ? cell.value.mean : not_a_number; });
  put(s.low, [&] { return cell.has_value ? cell.value.quantile(0.05) : not_a_number; });
  put(s.retention, [&] { return cell.has_recovery ? kept_of_own(q_, model_, cell.recovery).mean : not_a_number; });
  if (const auto& evidence = tools_.catalog.treatments()[static_cast<std::size_t>(cell.treatment)].evidence) {
    put(s.knowledge_rows, [&] { return static_cast<double>(evidence->knowledge); });
    put(s.perplexity_only, [&] { return evidence->perplexity_only(); });
  } else {
    facts.clear(s.knowledge_rows), facts.clear(s.perplexity_only);
  }
  put(s.probability, [&] { return cell.chances.accuracy.value_or(not_a_number); });
  put(s.baseline_predicted, [&] { return q_.standing(model_).predicted; });
  put(s.decode, decode);
  put(s.gain, [&] { return side.whole_decode ? decode() / *side.whole_decode : not_a_number; });
  put(s.tpot, [&] { return exp_of(cell.has_speed, cell.log_tpot); });
  put(s.ttft, [&] { return exp_of(cell.has_ttft, cell.log_ttft); });
  put(s.per_hour, [&] { return price_ ? price_->mean / 3600 : not_a_number; });
  put(s.per_million, [&] { return cell.objectives.cost < unknown ? cell.objectives.cost : not_a_number; });
  put(s.hours, [&] { return cell.objectives.effort < unknown ? cell.objectives.effort * 3600 : not_a_number; });
  facts_.use(facts);
}

const Facts& CellJudge::facts_of(const Cell& cell) {
  if (shown_.model == cell.model && shown_.treatment == cell.treatment) return facts_;
  enter(cell.model);
  const auto& what = applied(cell);
  const auto& treatment = tools_.catalog.treatments()[static_cast<std::size_t>(cell.treatment)];
  // The rate of the uncompressed model on this engine belongs to the facts.
  for (const auto& other : entry_->applied) {
    const auto& whole = tools_.catalog.treatments()[static_cast<std::size_t>(other.treatment)];
    if (whole.engine == treatment.engine && action_of(other) == action_of(entry_->applied.front())) {
      judge(other);
      break;
    }
  }
  facts_.use(treatment_facts_[static_cast<std::size_t>(cell.treatment)]);
  set_candidate(what, cell.action);
  shown_ = {cell.model, cell.treatment, {}};
  if (!entry_->has_size) return facts_;
  auto& side = side_of(treatment);
  Cell again;
  chance_of_memory(treatment, weights_of(treatment, what, side, again), side);
  if (cell.offloaded > 0) {
    placed_ = place(*what.layers, cell.offloaded);
    chance_of(with_host(terms_, placed_));
  }
  set_estimates(cell, side, nullptr);
  shown_.quality = quality_words(tools_, q_, cell);
  if (const auto& quality = shown_.quality.estimate; quality && quality->retention) {
    estimate_facts_.set(slots().rows, Value(static_cast<double>(quality->retention->n)));
    estimate_facts_.set(slots().basis, Value(std::string(name(quality->retention->basis))));
    facts_.use(estimate_facts_);
  }
  return facts_;
}

}  // namespace advisor
