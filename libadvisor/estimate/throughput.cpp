#include "estimate/throughput.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include "estimate/fits.h"
#include "estimate/memory.h"
#include "estimate/speed_case.h"
#include "estimate/speed_fit.h"
#include "estimate/weights.h"

namespace advisor {

namespace {

/// One run against the next of the same setup, and one source against the next: together speed_noise for single
/// streams. Of loaded servers and of first tokens sources differ more (docs/estimation.md: what two publishers say of
/// one setup), except from one run of the user's own machine to the next.
constexpr double run_noise = 0.06;
double source_noise(const std::string& kind, bool own_machine) {
  if (own_machine || kind.starts_with("single")) return 0.08;
  return kind == "batch" || kind == "rate" || kind == "burst" ? 0.2 : 0.3;
}

/// What a correction loses on the way to another setup of the same model, as a standard deviation of ln seconds. Chosen
/// so that transferred estimates cover with their whole source left out.
constexpr double other_era = 0.12, other_format = 0.12;
constexpr double other_kind = 0.25, per_doubling_of_devices = 0.10, per_e_fold_of_load = 0.10;

constexpr double believable = 0.4;

bool about_prompts(const std::string& kind) { return kind == "prompt" || kind == "turn" || kind.ends_with("queue"); }

double e_folds(std::int64_t a, std::int64_t b) {
  return a == b ? 0 : std::log((static_cast<double>(a) + 256) / (static_cast<double>(b) + 256));
}

bool is_mixture(const Model& model) {
  return model.active_params && model.params && *model.active_params < 0.9 * *model.params;
}

}  // namespace

/// Rows of the very model, combined: a correction of ln seconds and its variance.
struct SpeedEstimator::Near {
  double correction = 0, precision = 0;  ///< precision of the correction's observations
  std::int64_t rows = 0;
  std::vector<std::string> sources;
  std::string version, recorded;
  bool exact = false;
  double noise = 0;  ///< of the answer around the truth, as a standard deviation
  double share = 1;  ///< of all noise that rows of this kind need (SpeedSpread)
};

SpeedEstimator::SpeedEstimator(const Knowledge& knowledge) {
  std::vector<FittedTerm> fitted;
  auto terms = terms_of(knowledge.fits, "speed");
  if (terms.empty()) terms = fitted = fit_speed(knowledge);
  table_ = SpeedTable(terms);
  std::vector<FittedTerm> fitted_offload;
  auto offload = terms_of(knowledge.fits, "offload");
  if (offload.empty()) offload = fitted_offload = fit_offload(knowledge, terms);
  offload_ = OffloadTable(offload);
  const SpeedCases cases(knowledge);
  struct Own {
    SpeedRow row;
    std::string model, recorded;
  };
  std::vector<Own> shipped, recorded;
  for (const auto& measurement : knowledge.speed)
    if (const auto question = cases.read(measurement))
      if (const auto row = speed_row(*question))
        (measurement.recorded.empty() ? shipped : recorded).push_back({*row, question->model.id, measurement.recorded});
  const auto order = [](const Own& a, const Own& b) {
    return std::tie(a.recorded, a.row.source, a.model, a.row.log_seconds, a.row.kind) <
           std::tie(b.recorded, b.row.source, b.model, b.row.log_seconds, b.row.kind);
  };
  std::sort(shipped.begin(), shipped.end(), order);
  std::sort(recorded.begin(), recorded.end(), order);
  // The user's rows first move the levels, so that other models on the same machine profit; then all count as rows of
  // their model, against the moved levels.
  for (const auto& own : recorded) learn(own.row);
  for (const auto& own : shipped) remember(own.row, own.model, own.recorded);
  for (const auto& own : recorded) remember(own.row, own.model, own.recorded);
}

void SpeedEstimator::learn(const SpeedRow& row) {
  const auto setup = table_.setup(row.levels);
  if (!setup) return;
  const auto predicted = log_seconds(row.work, setup->rates, row.quantity);
  const double noise = table_.spread(row.kind, row.levels.engine).total(speed_noise);
  table_.learn(row.levels, predicted.slope, row.log_seconds - predicted.value, noise, row.source);
}

void SpeedEstimator::remember(const SpeedRow& row, const std::string& model, const std::string& recorded) {
  const auto setup = table_.setup(row.levels);
  if (!setup) return;
  const double predicted = log_seconds(row.work, setup->rates, row.quantity).value;
  measured_[model][{row.levels.engine, row.levels.device}].push_back(
      {row.levels, row.work.load, row.work.devices * row.work.stages, row.quantity, row.log_seconds - predicted,
       about_prompts(row.kind), row.source, row.kind, row.engine_version, recorded});
}

SpeedEstimator::Near SpeedEstimator::nearby(const Observations& own, const SpeedLevels& levels, const std::string& kind,
                                            const SpeedWork& work, double share, bool words) {
  Near near;
  struct Study {
    std::string_view source;
    double distance = std::numeric_limits<double>::infinity(), sum = 0;
    std::int64_t rows = 0;
    bool own_machine = false;
  };
  std::vector<Study> studies;  // by source
  const bool prompts = about_prompts(kind);
  for (const auto& o : own) {
    if (o.prompts != prompts) continue;
    double distance = 0;
    const auto differs = [&](bool yes, double sd) { distance += yes ? sd * sd : 0; };
    differs(o.levels.era != levels.era, other_era);
    differs(o.levels.format != levels.format || o.levels.scheme != levels.scheme, other_format);
    differs(o.kind != kind, other_kind);
    if (const double devices = work.devices * work.stages; o.count != devices)
      differs(true, per_doubling_of_devices * std::log2(o.count / devices));
    const auto& load = work.load;
    differs(true, per_e_fold_of_load * e_folds(o.load.input_tokens + o.load.output_tokens / 2,
                                               load.input_tokens + load.output_tokens / 2));
    if (o.load.concurrency != load.concurrency)
      differs(true, per_e_fold_of_load *
                        std::log(static_cast<double>(o.load.concurrency) / static_cast<double>(load.concurrency)));
    if (load.requests_per_second > 0 && o.load.requests_per_second > 0)
      differs(true, per_e_fold_of_load * std::log(o.load.requests_per_second / load.requests_per_second));
    // Of each source the nearest rows speak; farther ones would only add their distance.
    auto place = std::lower_bound(studies.begin(), studies.end(), o.source,
                                  [](const Study& study, const std::string& source) { return study.source < source; });
    if (place == studies.end() || place->source != o.source) place = studies.insert(place, {o.source});
    auto& study = *place;
    if (distance < study.distance - 1e-12) study = {o.source, distance, 0, 0, !o.recorded.empty()};
    if (distance > study.distance + 1e-12) continue;
    // Elsewhere, a run that is far off was another setup than it says (weights in main memory, a shared machine).
    study.sum += distance < 1e-12 ? o.residual : std::clamp(o.residual, -believable, believable);
    ++study.rows;
    if (distance < 1e-12) {
      near.exact = true;
      if (words) near.recorded = std::max(near.recorded, o.recorded), near.version = std::max(near.version, o.version);
    }
  }
  double weighted = 0;
  const double usual = source_noise(kind, false);
  near.noise = share * std::hypot(run_noise, usual);
  near.share = share;
  for (const auto& study : studies) {
    const double between = study.own_machine ? source_noise(kind, true) : usual;
    if (study.own_machine && study.distance < 1e-12) near.noise = share * std::hypot(run_noise, between);
    const double precision =
        1 / (study.distance +
             share * share * (run_noise * run_noise / static_cast<double>(study.rows) + between * between));
    near.precision += precision;
    weighted += precision * study.sum / static_cast<double>(study.rows);
    if (!words || (near.exact && study.distance > 1e-12)) continue;
    near.rows += study.rows;
    near.sources.emplace_back(study.source);
  }
  if (near.precision > 0) near.correction = weighted / near.precision;
  return near;
}

void SpeedEstimator::correct(Distribution& prior, const Near& near) {
  if (near.precision <= 0) return;
  const double noise = near.noise * near.noise;
  const double variance = std::max(prior.sd * prior.sd - noise, std::pow(near.share * run_noise, 2));
  const double posterior = 1 / (1 / variance + near.precision);
  prior.mean += posterior * near.precision * near.correction;
  prior.sd = std::min(prior.sd, std::sqrt(posterior + noise));
}

const SpeedEstimator::Measured* SpeedEstimator::measured(const std::string& model) const {
  const auto known = measured_.find(model);
  return known == measured_.end() ? nullptr : &known->second;
}

const SpeedEstimator::Observations* SpeedEstimator::observations(const Measured* measured, const SpeedLevels& levels) {
  if (measured == nullptr || levels.device.empty()) return nullptr;  // explicit numbers name no device
  const auto known = measured->find({levels.engine, levels.device});
  return known == measured->end() ? nullptr : &known->second;
}

std::optional<SpeedEstimator::Site> SpeedEstimator::site(const Variant& variant, const Hardware& hardware,
                                                         bool mixture) const {
  static_assert(std::tuple_size_v<decltype(Site::spreads)> == speed_kinds.size());
  Site site;
  site.levels = speed_levels(variant, hardware.device, mixture);
  auto setup = table_.setup(site.levels);
  if (!setup) return std::nullopt;
  site.setup = std::move(*setup);
  for (std::size_t i = 0; i < speed_kinds.size(); ++i)
    site.spreads[i] = table_.spread(speed_kinds[i], site.levels.engine);
  return site;
}

Distribution SpeedEstimator::numbers(const Site& site, const SpeedWork& work, SpeedQuantity quantity,
                                     const Observations* own) {
  const auto kind = speed_kind_index(work, quantity, site.levels.mixture);
  auto seconds = answer(work, site.setup, quantity, site.spreads[kind]);
  if (own != nullptr)
    correct(seconds, nearby(*own, site.levels, std::string(speed_kinds[kind]), work, site.spreads[kind].share, false));
  return seconds.scaled(0, speed_sign(quantity));
}

Rate SpeedEstimator::ask(const Measured* measured, const SpeedSetup& setup, const SpeedRow& question) const {
  const auto spread = table_.spread(question.kind, question.levels.engine);
  auto prior = answer(question.work, setup, question.quantity, spread);
  const auto* own = observations(measured, question.levels);
  const auto near = own ? nearby(*own, question.levels, question.kind, question.work, spread.share, true) : Near{};
  Rate rate;
  rate.rows = setup.rows, rate.sources = *setup.sources;
  rate.basis = Basis::modelled;
  rate.engine_version = table_.newest_version(question.levels.engine);
  rate.how = "fitted to rows of " + SpeedTable::cell_of(setup, question.levels);
  if (near.precision > 0) {
    correct(prior, near);
    rate.basis = near.exact ? Basis::measured : Basis::transferred;
    rate.rows = near.rows, rate.sources = near.sources;
    rate.how =
        near.exact ? "measured in this setup" : "fitted, corrected by other setups of the model on this hardware";
    if (!near.version.empty()) rate.engine_version = near.version;
    if (near.exact && !near.recorded.empty()) rate.how = "measured here on " + near.recorded;
  }
  rate.log = prior.scaled(0, speed_sign(question.quantity));
  return rate;
}

std::vector<std::optional<Rate>> SpeedEstimator::rates(const Model& model, const Variant& variant,
                                                       const Hardware& hardware, const Load& load,
                                                       std::span<const Asked> questions) const {
  std::vector<std::optional<Rate>> answers(questions.size());
  const auto work = speed_work(model, variant, hardware, load);
  if (!work) return answers;
  SpeedRow row;
  row.work = *work;
  row.levels = speed_levels(variant, hardware.device, is_mixture(model));
  const auto setup = table_.setup(row.levels);
  if (!setup) return answers;
  const auto* own = measured(model.id);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    row.quantity = questions[i].quantity;
    row.work.load.requests_per_second = questions[i].requests_per_second;
    row.kind = speed_kind(row.work, row.quantity, row.levels.mixture);
    answers[i] = ask(own, *setup, row);
  }
  return answers;
}

std::optional<Rate> SpeedEstimator::ask(const Model& model, const Variant& variant, const Hardware& hardware,
                                        const Load& load, SpeedQuantity quantity) const {
  const Asked one[] = {{quantity, load.requests_per_second}};
  return std::move(rates(model, variant, hardware, load, one).front());
}

std::optional<Rate> SpeedEstimator::decode(const Model& model, const Variant& variant, const Hardware& hardware,
                                           Load load) const {
  return ask(model, variant, hardware, load, SpeedQuantity::decode);
}
std::optional<Rate> SpeedEstimator::throughput(const Model& model, const Variant& variant, const Hardware& hardware,
                                               Load load) const {
  return ask(model, variant, hardware, load, SpeedQuantity::throughput);
}
std::optional<Rate> SpeedEstimator::prefill(const Model& model, const Variant& variant, const Hardware& hardware,
                                            Load load) const {
  return ask(model, variant, hardware, load, SpeedQuantity::prefill);
}
std::optional<Rate> SpeedEstimator::first_token(const Model& model, const Variant& variant, const Hardware& hardware,
                                                Load load) const {
  return ask(model, variant, hardware, load, SpeedQuantity::first_token);
}
std::optional<Rate> SpeedEstimator::time_per_token(const Model& model, const Variant& variant, const Hardware& hardware,
                                                   Load load) const {
  return ask(model, variant, hardware, load, SpeedQuantity::per_token);
}

std::vector<std::optional<Rate>> SpeedEstimator::with_host(const Model& model, const Variant& variant,
                                                           const Hardware& hardware, const Load& load,
                                                           std::span<const Asked> questions,
                                                           const Placement& placed) const {
  std::vector<std::optional<Rate>> answers(questions.size());
  const auto here = site(variant, hardware, is_mixture(model));
  const auto host = offload_.rates(hardware, placed.kind);
  const auto weights = estimate_weights(model, variant);
  if (!here || !host || !weights) return answers;
  const auto kv = kv_layout(model);
  const auto work = speed_work(model,
                               {weights->bytes, weights->read_bytes, weights->active_params, kv ? &*kv : nullptr,
                                kv_value_bytes(variant.kv), usable_memory(variant.engine, hardware), &placed, &*host},
                               describe_scheme(variant.scheme), engine_traits(variant.engine), hardware, load);
  if (!work) return answers;
  Rate rate;
  rate.basis = Basis::modelled;
  rate.rows = here->setup.rows + offload_.rows();
  rate.sources = *here->setup.sources;
  rate.sources.insert(rate.sources.end(), offload_.sources().begin(), offload_.sources().end());
  rate.engine_version = table_.newest_version(variant.engine);
  rate.how = "fitted to rows of " + SpeedTable::cell_of(here->setup, here->levels) + ", and to " +
             std::to_string(offload_.rows()) + " runs with weights in the host's memory" +
             (hardware.host_bandwidth ? "" : "; the bandwidth of the host's memory is assumed");
  for (std::size_t i = 0; i < questions.size(); ++i) {
    auto loaded = *work;
    loaded.load.requests_per_second = questions[i].requests_per_second;
    rate.log = numbers(*here, loaded, questions[i].quantity, nullptr);
    answers[i] = rate;
  }
  return answers;
}

std::optional<Prediction> SpeedEstimator::predict(const SpeedCase& question) const {
  const auto row = speed_row(question);
  if (!row) return std::nullopt;
  const auto setup = table_.setup(row->levels);
  if (!setup) return std::nullopt;
  const auto rate = ask(measured(question.model.id), *setup, *row);
  return Prediction{rate.log, rate.basis, rate.rows, rate.sources, rate.how};
}

std::optional<SpeedSetup> SpeedEstimator::setup(const Model& model, const Variant& variant,
                                                const Hardware& hardware) const {
  return table_.setup(speed_levels(variant, hardware.device, is_mixture(model)));
}

SpeedSpread SpeedEstimator::spread(const SpeedWork& work, SpeedQuantity quantity, const std::string& engine) const {
  return table_.spread(speed_kind(work, quantity, work.used < 1), engine);
}

namespace {

/// Where a machine is about to saturate, the first token's time has a slope without a bound, and the term is never that
/// far out. A share this large (a factor of e) is measured at one standard deviation to either side instead.
constexpr double steep = 1;

double secant(const SpeedWork& work, const SpeedTerms& terms, std::size_t term, double centre, SpeedQuantity quantity) {
  double largest = 0;
  for (const double side : {-1.0, 1.0}) {
    auto moved = terms.value;
    moved[term] += side * terms.sd[term];
    largest = std::max(largest, std::abs(log_seconds(work, speed_rates(moved), quantity).value - centre));
  }
  return largest;
}

/// The same for one rate of the host's memory, which is no term of the model: known with `sd` of its logarithm.
double host_share(const SpeedWork& work, const SpeedRates& rates, double SpeedWork::*rate, double sd, double centre,
                  SpeedQuantity quantity) {
  double largest = 0;
  for (const double side : {-1.0, 1.0}) {
    auto moved = work;
    moved.*rate *= std::exp(side * sd);
    largest = std::max(largest, std::abs(log_seconds(moved, rates, quantity).value - centre));
  }
  return largest;
}

}  // namespace

Distribution SpeedEstimator::answer(const SpeedWork& work, const SpeedSetup& setup, SpeedQuantity quantity,
                                    const SpeedSpread& spread) {
  const auto seconds = log_seconds(work, setup.rates, quantity);
  double variance = speed_noise * speed_noise;
  for (std::size_t t = 0; t < speed_terms; ++t) {
    double share = seconds.slope[t] * setup.terms.sd[t];
    if (std::abs(share) > steep) share = secant(work, setup.terms, t, seconds.value, quantity);
    variance += share * share;
  }
  if (work.host_rate > 0) {
    const double read =
        host_share(work, setup.rates, &SpeedWork::host_rate, work.host_rate_sd, seconds.value, quantity);
    const double link =
        host_share(work, setup.rates, &SpeedWork::host_link, work.host_link_sd, seconds.value, quantity);
    variance += read * read + link * link;
  }
  return {seconds.value, spread.total(std::sqrt(variance)), speed_df};
}

}  // namespace advisor
