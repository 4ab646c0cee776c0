#include "recommend/cell_judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "estimate/cost.h"

namespace advisor {

namespace {

constexpr double unknown = std::numeric_limits<double>::infinity();

/// By quality alone, and for certain.
bool comes_after(const Objectives& mine, const Objectives& best) {
  constexpr double clearly = 0.002;  // two of the steps within which the order takes qualities for equal (rank.h)
  return mine.predicted == best.predicted ? mine.quality < best.quality - clearly : mine.predicted;
}

FactLayer as_given(const Question& q, const FactLayer& with_default) {
  if (!q.default_limit) return with_default;
  auto given = with_default;
  given.clear("profile.accuracy.min"), given.clear("profile.accuracy.retain");
  return given;
}

}  // namespace

CellJudge::CellJudge(const Toolbox& tools, const Question& question)
    : tools_(tools),
      q_(question),
      treatment_facts_(tools.catalog.facts(question.hardware.device.generation)),
      query_facts_(query_facts(question.profile, question.hardware, question.task)),
      given_facts_(as_given(question, query_facts_)),
      sides_(tools.catalog.engines().size()),
      prefilters_(tools.catalog.treatments().size()),
      sites_(std::make_shared<std::vector<Sites>>(tools.catalog.treatments().size())) {
  qualities_.resize(static_cast<std::size_t>(tools.catalog.kept()));
  const auto tried = engines_to_try(q_.profile, q_.hardware.device);
  const auto first_asked = static_cast<std::ptrdiff_t>(tools.catalog.general_treatments());
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    const auto& engine = tools.catalog.engines()[i];
    auto& side = sides_[i];
    side.tried = std::find(tried.begin(), tried.end(), engine) != tried.end();
    const bool asked =
        std::any_of(tools.catalog.treatments().begin() + first_asked, tools.catalog.treatments().end(),
                    [&](const CatalogTreatment& treatment) { return treatment.engine == static_cast<int>(i); });
    if (!side.tried && !asked) continue;
    side.usable = engine_memory(engine, q_.hardware);
    side.prefill = prefill_tokens(engine, q_.hardware.device);
    side.traits = engine_traits(engine);
    side.offloads = can_offload(engine, q_.hardware);
  }
  for (const auto& treatment : tools.catalog.treatments()) {
    const bool on_tried = sides_[static_cast<std::size_t>(treatment.engine)].tried;
    tried_.push_back(treatment.asked() ? !on_tried || treatment.same_as < 0 : on_tried);
  }
  host_usable_ = usable_host_memory(q_.hardware);
  for (const auto kind : {OffloadKind::experts, OffloadKind::layers})
    host_rates_[static_cast<std::size_t>(kind)] = tools.estimator.speed().offload().rates(q_.hardware, kind);
  const auto& workload = q_.profile.workload;
  load_.input_tokens = workload.input_tokens, load_.output_tokens = workload.output_tokens;
  load_.concurrency = workload.concurrency;
  price_ = q_.profile.cost.usd_per_hour
               ? hourly_cost(tools.knowledge, q_.hardware, {.user_usd_per_hour = q_.profile.cost.usd_per_hour})
               : tools.price(q_.hardware);
  rates_ = advisor::job_rates(q_.hardware);
  Facts general;
  general.use(query_facts_);
  open_question_ = tools.rules.can_fire(general);
  open_pairs_.of(FactLayerId::candidate) = open_question_.of(FactLayerId::candidate);
  open_pairs_.of(FactLayerId::estimate) = open_question_.of(FactLayerId::estimate);
  const auto read = tools_.rules.reads(FactLayerId::estimate, open_pairs_);
  read_of_estimates_.assign(read.begin(), read.end());
  read_candidate_ = tools_.rules.readers(FactLayerId::candidate);
  check_profile();
}

CellJudge::CellJudge(const Toolbox& tools, const Question& question, const CellJudge* like)
    : CellJudge(tools, question) {
  if (like != nullptr) sites_ = like->sites_;
}

const RuleSource* CellJudge::enter(int model) {
  shown_ = {};
  model_ = model;
  entry_ = &q_.at(tools_, model);
  for (auto& side : sides_) side.entered = side.speeds_asked = false, side.whole_decode.reset();
  facts_.use(entry_->facts);
  described_ = nullptr;
  set_model(model == q_.current);
  Facts general;
  general.use(query_facts_);
  general.use(entry_->facts);
  asked_model_ = open_model_ = {};
  return tools_.rules.forbidden(general, FactLayerId::model, open_question_);
}

bool CellJudge::is_tried(const Applied& applied) const {
  return tried_[static_cast<std::size_t>(applied.treatment)] != 0;
}

Action CellJudge::action_of(const Applied& applied) const {
  const bool whole = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)].whole;
  if (model_ == q_.current) return whole ? Action::keep : Action::compress;
  return whole ? Action::switch_model : Action::compress_and_switch;
}

Accuracy CellJudge::uncompressed(int model) const { return judge_accuracy(q_, model, {1, 0, 30}); }

/// Rules of this layer read nothing of the model: one answer for all. Of the others those that model and treatment
/// leave open are asked for the pair.
const RuleSource* CellJudge::treatment_rule(const Applied& applied) {
  auto& known = prefilters_[static_cast<std::size_t>(applied.treatment)];
  const auto& facts = treatment_facts_[static_cast<std::size_t>(applied.treatment)];
  if (!known.asked) {
    known.asked = true;
    Facts general;
    general.use(query_facts_);
    general.use(facts);
    known.rule = tools_.rules.forbidden(general, FactLayerId::treatment);
    const auto& treatment = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)];
    general.use(treatment.of_candidates);
    general.use(treatment.of_estimates);
    known.open = tools_.rules.can_fire(general, variant_scope, open_pairs_);
  }
  facts_.use(facts);
  if (const auto fresh = known.open.without(asked_model_); fresh.any()) {
    Facts general;
    general.use(query_facts_);
    general.use(entry_->facts);
    open_model_ |= tools_.rules.can_fire(general, variant_scope, fresh);
    asked_model_ |= fresh;
  }
  open_ = open_model_ & known.open;
  return known.rule;
}

const RuleSource* CellJudge::candidate_rule(const Applied& applied, Action action) {
  if ((open_ & read_candidate_).any()) set_candidate(applied, action);
  return tools_.rules.forbidden(facts_, FactLayerId::candidate, open_);
}

const SpeedEstimator::Site* CellJudge::site(const Applied& applied) {
  const auto like = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)].runs_as;
  auto& known = (*sites_)[static_cast<std::size_t>(like)];
  const std::size_t kind = entry_->mixture ? 1 : 0;
  auto& site = known.of[kind];
  if (!site)
    site = std::make_unique<const Site>(tools_.estimator.speed().site(
        tools_.catalog.treatments()[static_cast<std::size_t>(like)].choice.variant, q_.hardware, entry_->mixture));
  return *site ? &**site : nullptr;
}

const CellJudge::Quality& CellJudge::quality_of(const Applied& applied, double mixed_bits) {
  const auto& treatment = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)];
  auto& known = qualities_[static_cast<std::size_t>(treatment.kept_as)];
  if (known.is_of(model_) && treatment.choice.upper.empty()) return known;
  known.model = model_;
  known.recovery = recovery_of(tools_, q_, model_, applied.treatment, mixed_bits);
  if (!known.recovery) return known;
  known.accuracy = judge_accuracy(q_, model_, *known.recovery);
  known.objectives = quality_of(model_, known.accuracy);
  return known;
}

void CellJudge::judge_quality(const Applied& applied, Cell& cell) {
  const auto& quality = quality_of(applied, cell.mixed_bits);
  if (!quality.recovery) {
    cell.missing = Missing::retention;
    return;
  }
  const auto& accuracy = quality.accuracy;
  cell.has_recovery = true;
  cell.recovery = *quality.recovery;
  if (accuracy.value) cell.has_value = true, cell.value = *accuracy.value;
  if (accuracy.relative) cell.has_relative = true, cell.relative = *accuracy.relative;
  cell.chances.accuracy = accuracy.probability;
  cell.missing = accuracy.missing;
  cell.objectives.quality = quality.objectives.quality, cell.objectives.predicted = quality.objectives.predicted;
}

Objectives CellJudge::quality_of(int model, const Accuracy& accuracy) const {
  Objectives objectives;
  objectives.quality = accuracy.relative ? accuracy.relative->quantile(0.05)
                       : accuracy.value  ? accuracy.value->quantile(0.05)
                                         : 0;
  // The model in use is compared with itself: what it scores does not matter then.
  objectives.predicted = model != q_.current && q_.standing(model).predicted;
  return objectives;
}

void CellJudge::judge_speed(const CatalogTreatment& treatment, const Applied& applied, EngineSide& side, Cell& cell) {
  const auto* here = site(applied);
  if (here == nullptr) return;
  const double share = treatment.choice.upper.empty() || applied.upper_stored <= applied.stored
                           ? 0
                           : (memory_.weights - applied.stored) / (applied.upper_stored - applied.stored);
  const double read = applied.read + share * (applied.upper_read - applied.read);
  const auto& host = host_rates_[static_cast<std::size_t>(placed_.kind)];
  const bool offloaded = placed_.layers > 0;
  if (offloaded && !host) return;
  const auto work = speed_work(*entry_->model,
                               {memory_.weights + placed_.left, read, entry_->active_params, &*entry_->kv,
                                treatment.kv_value_bytes, side.usable.bytes, &placed_, offloaded ? &*host : nullptr},
                               treatment.scheme, side.traits, q_.hardware, load_);
  if (!work) return;
  if (!side.speeds_asked)
    side.speeds_asked = true, side.speeds = SpeedEstimator::observations(entry_->speeds, here->levels);
  using Q = SpeedQuantity;
  // Nothing was measured of the model with weights there.
  const auto* own = offloaded ? nullptr : side.speeds;
  cell.has_speed = true;
  const auto log_decode = SpeedEstimator::numbers(*here, *work, Q::decode, own);
  cell.log_decode = log_decode;
  // Alone, nobody's prompt comes between two tokens.
  auto loaded = *work;
  loaded.load.requests_per_second = q_.profile.workload.requests_per_second.value_or(0);
  const bool shared = loaded.load.concurrency > 1 || loaded.load.requests_per_second > 0;
  const auto log_tpot = shared ? SpeedEstimator::numbers(*here, loaded, Q::per_token, own) : log_decode.scaled(0, -1);
  cell.log_tpot = log_tpot;
  if (q_.profile.slo.tpot) cell.chances.tpot = log_tpot.probability_below(std::log(*q_.profile.slo.tpot));
  if (q_.profile.slo.ttft) {
    const auto log_ttft = SpeedEstimator::numbers(*here, loaded, Q::first_token, own);
    cell.log_ttft = log_ttft;
    cell.has_ttft = true;
    cell.chances.ttft = log_ttft.probability_below(std::log(*q_.profile.slo.ttft));
  }
  cell.objectives.latency = std::exp(cell.log_tpot.mean);
}

void CellJudge::judge_cost(Cell& cell) {
  if (!price_) return;
  if (q_.profile.budget.usd_per_hour)
    cell.chances.budget = Distribution{price_->mean, price_->sd, 30}.probability_below(*q_.profile.budget.usd_per_hour);
  if (cell.has_speed)
    cell.objectives.cost = price_->mean / (std::exp(cell.log_decode.mean) * q_.profile.cost.utilisation * 3600) * 1e6;
}

/// Hours of compression work on the machine in question. What somebody published is not made again; the time to fetch a
/// checkpoint depends on a network that nobody described, and is not counted.
void CellJudge::judge_effort(const CatalogTreatment& treatment, const Applied& applied, Cell& cell) {
  const auto& choice = treatment.choice;
  const bool nothing_to_do = choice.steps.empty() || choice.origin == Origin::found || applied.published != nullptr ||
                             (choice.steps.size() == 1 && choice.quantized_kv);
  cell.objectives.effort = nothing_to_do ? 0 : unknown;
  if (nothing_to_do) {
    if (q_.profile.budget.hours_to_compress) cell.chances.effort = 1;
    return;
  }
  if (!rates_ || !entry_->work) return;
  const double bytes = memory_.weights + placed_.left;
  auto hours = hours_of(treatment, bytes, false);
  const auto& limit = q_.profile.budget.hours_to_compress;
  const auto chance = [&] { return hours->probability_below(std::log(*limit)); };
  if (limit && hours && !(chance() >= q_.profile.confidence))
    if (const auto others = hours_of(treatment, bytes, true); others && others->mean < hours->mean)
      hours = others, cell.by_tool = true;
  if (!hours) return;
  cell.has_effort = true;
  cell.log_hours = *hours;
  cell.objectives.effort = std::exp(hours->mean);
  if (limit) cell.chances.effort = chance();
}

/// ln of the hours to make `bytes` of weights from the uncompressed model. `by_tool`: by other tools alone.
std::optional<Distribution> CellJudge::hours_of(const CatalogTreatment& treatment, double bytes, bool by_tool) const {
  const bool convert = treatment.choice.origin == Origin::as_published;
  const std::size_t jobs = convert ? 1 : treatment.work.size();
  if (jobs == 0) return std::nullopt;
  double hours = 0, squares = 0, df = 30;
  for (std::size_t i = 0; i < jobs; ++i) {
    const auto* work = convert ? nullptr : treatment.work_of(*entry_, i, by_tool);
    if (!convert && work == nullptr) return std::nullopt;
    const auto cost = job_cost(convert ? Job::convert : Job::compress, *entry_->work, work, bytes, *rates_);
    const double mean = std::exp(cost.log_hours.mean);
    hours += mean, squares += mean * cost.log_hours.sd * mean * cost.log_hours.sd;
    df = std::min(df, cost.log_hours.df);
  }
  return Distribution{std::log(hours), std::sqrt(squares) / hours, df};
}

Cell CellJudge::judge(const Applied& applied) {
  Cell cell;
  judge(applied, cell);
  return cell;
}

void CellJudge::judge(const Applied& applied, Cell& cell) {
  const auto& treatment = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)];
  shown_.treatment = -1;
  cell.model = model_, cell.treatment = applied.treatment;
  cell.action = action_of(applied);
  cell.objectives = {0, unknown, unknown, unknown, false};
  const auto forbidden = [&](const RuleSource* rule) {
    if (rule != nullptr) cell.fate = Fate::forbidden, cell.rule = rule;
    return rule != nullptr;
  };
  const auto fail = [&](Limit limit) { cell.fate = Fate::limit, cell.failed = limit; };
  if (forbidden(treatment_rule(applied))) return;
  if (!entry_->has_size) {
    if (!forbidden(candidate_rule(applied, cell.action))) cell.missing = Missing::size;
    return;
  }
  auto& side = side_of(treatment);
  const double confidence = q_.profile.confidence;
  const double weights = weights_of(treatment, applied, side, cell);
  cell.chances.memory = chance_of_memory(treatment, weights, side);
  cell.memory_total = memory_.total, cell.memory_available = memory_.available;
  if (!(*cell.chances.memory >= confidence) && !(side.offloads && make_room(applied, cell)))
    return fail(Limit::memory);  // the cheapest question first
  cell.memory_total = memory_.total;
  if (forbidden(candidate_rule(applied, cell.action))) return;
  judge_quality(applied, cell);
  if (cell.chances.accuracy && !(*cell.chances.accuracy >= confidence)) return fail(Limit::accuracy);
  judge_speed(treatment, applied, side, cell);
  judge_cost(cell);
  judge_effort(treatment, applied, cell);
  if (open_.of(FactLayerId::estimate) != 0) {
    set_estimates(cell, side, &read_of_estimates_);
    if (forbidden(tools_.rules.forbidden(facts_, FactLayerId::estimate, open_))) return;
  }
  if (const auto failed = first_failed(cell.chances, confidence)) return fail(*failed);
  const auto& slo = q_.profile.slo;
  if (cell.missing == Missing::nothing && !cell.has_speed && (slo.ttft || slo.tpot)) cell.missing = Missing::speed;
  if (cell.missing == Missing::nothing && q_.profile.budget.hours_to_compress && !cell.chances.effort)
    cell.missing = Missing::effort;
  cell.fate = cell.missing == Missing::nothing ? Fate::feasible : Fate::undecided;
  if (cell.has_speed && treatment.whole) side.whole_decode = std::exp(cell.log_decode.mean);
}

bool CellJudge::is_behind(const Applied& applied, const Objectives& best) {
  const auto& treatment = tools_.catalog.treatments()[static_cast<std::size_t>(applied.treatment)];
  // The rate of the uncompressed model is a fact of the cells after it; the quality of a mix depends on memory.
  if (treatment.whole || !treatment.choice.upper.empty() || !entry_->has_size) return false;
  const auto& quality = quality_of(applied, 0);
  if (!quality.recovery || quality.accuracy.missing != Missing::nothing) return true;
  const auto& chance = quality.accuracy.probability;
  if (chance && !(*chance >= q_.profile.confidence)) return true;
  return comes_after(quality.objectives, best);
}

bool CellJudge::is_behind(int model, const Objectives& best) const {
  // Retrained checkpoints may keep more than all.
  if (q_.at(tools_, model).retrained) return false;
  // Nothing keeps more than `most`. The quality is a concave function of what is kept, as its spread is the root of a
  // sum of squares: where it still rises at `most`, that is its greatest, and each treatment adds a spread of its own.
  const double most = q_.standings->cache == nullptr ? 1 : std::max(1.0, q_.standings->cache->recovery.mean);
  const auto top = quality_of(model, judge_accuracy(q_, model, {most, 0, 30}));
  const auto below = quality_of(model, judge_accuracy(q_, model, {0.999 * most, 0, 30}));
  return below.quality <= top.quality && comes_after(top, best);
}

const Applied& CellJudge::applied(const Cell& cell) const {
  const auto& all = q_.at(tools_, cell.model).applied;
  return *std::lower_bound(all.begin(), all.end(), cell.treatment,
                           [](const Applied& one, int treatment) { return one.treatment < treatment; });
}

}  // namespace advisor
