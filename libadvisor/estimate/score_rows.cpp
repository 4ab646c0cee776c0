#include "estimate/score_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace advisor {

namespace {

bool share_of_one(const std::string& metric_kind, double value) {
  return (metric_kind == "proportion" || metric_kind == "similarity") && value >= 0 && value <= 1;
}

using Cell = std::tuple<std::string, std::string, std::string, std::string>;  // model, task, harness, mode

struct Values {
  std::string family;
  bool closed = false;
  std::string recorded;
  std::set<double> values;  ///< different ones: a table of compressed models repeats its baseline on every line
  std::set<std::string> sources;
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// Years since the start of 2024 of "YYYY-MM", at the middle of the month.
std::optional<double> year_of(const std::string& released) {
  const auto digits = [&](std::size_t at, std::size_t n) {
    int number = 0;
    for (std::size_t i = at; i < at + n; ++i) {
      if (i >= released.size() || released[i] < '0' || released[i] > '9') return -1;
      number = 10 * number + (released[i] - '0');
    }
    return number;
  };
  const int year = digits(0, 4), month = digits(5, 2);
  if (year < 0 || month < 1 || month > 12) return std::nullopt;
  return year - 2024 + (month - 0.5) / 12;
}

/// What the publisher trained it for, as far as the name tells.
std::string kind_of(const Model& model) {
  const std::string id = lower(model.id);
  const auto says = [&](std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char* word) { return id.find(word) != std::string::npos; });
  };
  if (model.specialty == "reasoning" || says({"think", "reason", "-r1", "qwq", "magistral"})) return "reasoning";
  if (says({"instruct", "chat", "-it", "vicuna", "-dpo", "-sft", "-rlhf", "hermes", "zephyr"})) return "instruction";
  if (says({"base", "-pt"})) return "base";
  return "unsaid";
}

}  // namespace

std::vector<ScoreRow> score_rows(const Knowledge& knowledge, ScoreRows which) {
  std::map<Cell, Values> cells;
  const auto add = [&](Cell cell, const auto& row, double value, bool closed, const std::string& source) {
    auto& values = cells[std::move(cell)];
    values.family = row.family;
    values.closed = closed;
    values.recorded = row.recorded;
    values.values.insert(value);
    values.sources.insert(source);
  };
  const auto wanted = [&](const auto& row) {
    return row.suspect.empty() && row.recorded.empty() == (which == ScoreRows::shipped);
  };
  std::set<std::tuple<std::string, std::string, double>> recorded;
  for (const auto& score : knowledge.scores) {
    if (!wanted(score) || !share_of_one(score.metric_kind, score.value)) continue;
    add(Cell{score.model, score.task, score.harness, score.mode}, score, score.value, score.closed, score.url);
    if (which == ScoreRows::recorded) recorded.emplace(score.model, score.task, score.value);
  }
  // The baseline of a recorded compressed run is a score that was recorded before it: one observation, not two.
  for (const auto& row : knowledge.quality)
    if (wanted(row) && share_of_one(row.metric_kind, row.baseline) &&
        !recorded.contains({row.model, row.task, row.baseline}))
      add(Cell{row.model, row.task, row.source, ""}, row, row.baseline, false, row.source);

  std::map<std::string, double> chances;
  for (const auto& task : knowledge.tasks) chances[task.id] = task.chance.value_or(0);
  std::vector<ScoreRow> rows;
  for (auto& [cell, values] : cells) {
    const auto& [model, task, harness, mode] = cell;
    const auto chance = chances.find(task);
    rows.push_back({model,
                    task,
                    values.family,
                    harness,
                    mode,
                    *std::next(values.values.begin(), static_cast<std::ptrdiff_t>(values.values.size() / 2)),
                    chance == chances.end() ? 0 : chance->second,
                    values.closed,
                    values.recorded,
                    {values.sources.begin(), values.sources.end()}});
  }
  return rows;
}

bool comparable(const Score& score) {
  return !score.closed && score.suspect.empty() && share_of_one(score.metric_kind, score.value);
}

double score_to_logit(double value, double chance) {
  const double share = std::clamp((value - chance) / (1 - chance), chance > 0 ? 0.02 : 0.005, 0.995);
  return std::log(share / (1 - share));
}

double logit_to_score(double logit, double chance) { return chance + (1 - chance) / (1 + std::exp(-logit)); }

const std::array<const char*, Traits::count> Traits::names{"one",          "ln_params",     "ln_active_share",
                                                           "years",        "years_squared", "size_unknown",
                                                           "date_unknown", "closed",        "ln_params_by_years"};

Traits traits_of(const Model& model, bool closed) {
  Traits traits;
  // Centred on 8e9 parameters and the start of 2024, amid the models that are scored.
  const double size = model.params ? std::log(*model.params / 8e9) : 0;
  const double active = model.params && model.active_params ? std::log(*model.active_params / *model.params) : 0;
  const auto year = year_of(model.released);
  const double years = year.value_or(0);
  traits.x = {1,
              size,
              active,
              years,
              years * years,
              !model.params && !closed ? 1.0 : 0.0,
              year ? 0.0 : 1.0,
              closed ? 1.0 : 0.0,
              size * years};
  const auto or_unknown = [](const std::string& text) { return text.empty() ? std::string("unknown") : text; };
  traits.params = model.params;
  traits.developer = or_unknown(model.developer);
  traits.lineage = or_unknown(model.family);
  traits.kind = kind_of(model);
  traits.specialty = model.specialty.empty() ? "general" : model.specialty;
  return traits;
}

}  // namespace advisor
