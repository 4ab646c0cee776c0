#include "estimate/ability.h"

#include <algorithm>
#include <cmath>

namespace advisor {

namespace {

/// Variance of the intercepts of a harness that was not in the fit, and of a task in it. Within the fit both look
/// smaller, because most tasks have one harness only; with these, 91 % of the scores of harnesses left out whole fall
/// into their 90 % interval.
constexpr double unseen_harness = 0.3, unseen_table = 0.3;

/// Share of 1 that tests vary by, see test_noise.
double noise_quantile(double p) { return Distribution{0, test_noise, 30}.quantile(p); }

std::string plural(std::int64_t n, const std::string& noun) {
  return std::to_string(n) + " " + noun + (n == 1 ? "" : "s");
}

bool takes(const Model& model, std::initializer_list<const char*> inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [&](const char* input) {
    return std::find(model.modalities_in.begin(), model.modalities_in.end(), input) != model.modalities_in.end();
  });
}

bool takes_inputs_of(const Model& model, const std::string& family) {
  if (family == "vision_language") return takes(model, {"image", "video"});
  if (family == "speech") return takes(model, {"audio"});
  return true;
}

}  // namespace

double Baseline::quantile(double p) const {
  if (!predicted()) {
    static const double at_05 = Distribution{0, 1, 30}.quantile(0.05);  // asked of every score there is
    const double away = p == 0.05 ? at_05 : p == 0.95 ? -at_05 : Distribution{0, 1, 30}.quantile(p);
    return std::clamp(value + sd * away, 0.0, 1.0);
  }
  const double away = logit_to_score(logit.quantile(p), chance) - value;
  return std::clamp(value + std::copysign(std::hypot(away, noise_quantile(p)), p - 0.5), 0.0, 1.0);
}

AbilityModel::AbilityModel(std::span<const FittedTerm> terms, const std::vector<Task>& tasks) {
  for (const auto& term : terms)
    if (term.term != "scored")
      levels_[term.term].emplace(term.level, Level{term.value, term.sd * term.sd, term.rows, term.sources});
  for (const auto& task : tasks)
    if (find("task", task.id) != nullptr) tasks_[task.id] = {task.family, task.chance.value_or(0)};
}

const AbilityModel::Level* AbilityModel::find(const std::string& term, const std::string& level) const {
  const auto levels = levels_.find(term);
  if (levels == levels_.end()) return nullptr;
  const auto found = levels->second.find(level);
  return found == levels->second.end() ? nullptr : &found->second;
}

double AbilityModel::spread(const std::string& effect) const {
  const auto* term = find("spread", effect);
  return term == nullptr ? 0 : term->value * term->value;
}

AbilityModel::Level AbilityModel::find_or_spread(const std::string& term, const std::string& level) const {
  if (const auto* found = find(term, level)) return *found;
  double variance = spread(term);
  if (term == "harness") variance = std::max(variance, unseen_harness);
  if (term == "table") variance = std::max(variance, unseen_table);
  return {0, variance, 0, {}};
}

/// The effect of size is a straight line only where models were scored; it is not drawn further than a doubling.
bool AbilityModel::size_is_known_ground(const Model& model) const {
  const auto *least = find("ln_params", "least"), *most = find("ln_params", "most");
  if (!model.params || least == nullptr || most == nullptr) return true;
  const double size = std::log(*model.params), doubling = std::log(2.0);
  return size >= least->value - doubling && size <= most->value + doubling;
}

AbilityModel::Ability AbilityModel::ability(const Model& model) const {
  if (const auto* own = find("ability", model.id)) return {*own, true};
  const auto traits = traits_of(model, false);
  Level prior{0, spread("ability"), 0, {}};
  for (std::size_t k = 0; k < Traits::count; ++k)
    if (const auto* slope = find("slope", Traits::names[k])) {
      prior.value += slope->value * traits.x[k];
      prior.variance += slope->variance * traits.x[k] * traits.x[k];
    }
  const auto levels = trait_levels(traits);
  for (std::size_t e = 0; e < levels.size(); ++e) {
    const auto effect = find_or_spread(ability_effects[e], levels[e]);
    prior.value += effect.value;
    prior.variance += effect.variance;
  }
  return {prior, false};
}

AbilityModel::Sum AbilityModel::intercept(const ScoreRow& row, const std::string& specialty) const {
  Sum sum;
  if (const auto* term = find("intercept", "")) sum.mean = term->value;
  const auto levels = score_levels(row, specialty);
  for (std::size_t e = 0; e < levels.size(); ++e) {
    const auto effect = find_or_spread(score_effects[e], levels[e]);
    sum.mean += effect.value;
    sum.variance += effect.variance;
  }
  return sum;
}

void AbilityModel::learn(const ScoreRow& row, const Model& model) {
  if (!knows_task(row.task)) return;
  auto own = ability(model);
  const auto traits = traits_of(model, false);
  const auto level = row.model + "|" + row.family;
  auto bent = find_or_spread("model_family", level);
  const auto around = intercept(row, traits.specialty);
  const auto discrimination = find_or_spread("discrimination", row.task);
  const double slope = discrimination.value;
  const double share = std::clamp((row.value - row.chance) / (1 - row.chance), row.chance > 0 ? 0.03 : 0.01, 0.99);
  const double noise = std::pow(test_noise / (1 - row.chance) / (share * (1 - share)), 2);
  // One step of the Kalman filter with a diagonal state: ability and bent for the family.
  const double total = around.variance + slope * slope * own.level.variance + spread("residual") + noise;
  const double surprise = score_to_logit(row.value, row.chance) - around.mean - slope * own.level.value;
  const double gain = slope * own.level.variance / total, bent_gain = bent.variance / total;
  own.level.value += gain * surprise;
  own.level.variance *= 1 - gain * slope;
  bent.value += bent_gain * surprise;
  bent.variance *= 1 - bent_gain;
  ++own.level.rows;
  own.level.sources.insert(own.level.sources.end(), row.sources.begin(), row.sources.end());
  ++bent.rows;
  levels_["ability"][row.model] = own.level;
  levels_["model_family"][level] = bent;
}

std::optional<Baseline> AbilityModel::predict(const Model& model, const ScoreTable& table) const {
  const auto task = tasks_.find(table.task);
  if (task == tasks_.end()) return std::nullopt;
  const auto& [family, chance] = task->second;
  if (!takes_inputs_of(model, family) && find("model_family", model.id + "|" + family) == nullptr) return std::nullopt;
  const auto own = ability(model);
  if (!own.own_scores && !size_is_known_ground(model)) return std::nullopt;
  const ScoreRow row{model.id, table.task, family, table.harness, table.mode, 0, chance, false, "", {}};
  const auto around = intercept(row, traits_of(model, false).specialty);
  const auto discrimination = find_or_spread("discrimination", table.task);
  const double slope = discrimination.value, mean = own.level.value, doubt = own.level.variance;
  Baseline baseline;
  baseline.basis = own.own_scores ? Basis::transferred : Basis::modelled;
  baseline.chance = chance;
  baseline.logit = {around.mean + slope * mean,
                    std::sqrt(around.variance + slope * slope * doubt +
                              discrimination.variance * (mean * mean + doubt) + spread("residual")),
                    score_residual_df};
  baseline.value = logit_to_score(baseline.logit.mean, chance);
  baseline.low = baseline.quantile(0.05);
  baseline.high = baseline.quantile(0.95);
  baseline.sd = (baseline.quantile(0.84) - baseline.quantile(0.16)) / 2;
  const auto* compared = find("table", table.task + "|" + table.harness);
  if (compared == nullptr) compared = find("task", table.task);
  baseline.n = own.own_scores ? own.level.rows : compared->rows;
  baseline.sources = own.own_scores ? own.level.sources : compared->sources;
  std::sort(baseline.sources.begin(), baseline.sources.end());
  if (!baseline.sources.empty()) baseline.source = baseline.sources.front();
  baseline.how = own.own_scores ? "predicted from " + plural(own.level.rows, "other score") + " of the model"
                                : "predicted from its size, age, developer and kind; " +
                                      plural(compared->rows, "score") + " of other models on the benchmark";
  return baseline;
}

}  // namespace advisor
