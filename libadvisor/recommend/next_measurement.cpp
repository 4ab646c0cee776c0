#include "recommend/next_measurement.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "core/suggest.h"
#include "recommend/accuracy.h"
#include "recommend/cell_judge.h"
#include "recommend/detail.h"

namespace advisor {

namespace {

/// Where nothing at all is known of what would be measured, neither result is more likely.
constexpr double either_way = 0.5;
/// Candidates that are judged again without their limit; the likeliest of them.
constexpr std::size_t most_candidates = 200;

struct Candidate {
  Cell cell;               ///< with everything but the accuracy limit judged
  double probability = 0;  ///< that the measurement admits it
  bool uncompressed = false;
  int of = own_model;  ///< the model to measure
};

/// The question without its accuracy limit; a limit of the same kind stays, for the rules that read it.
Question without_limit(const Question& q) {
  Question relaxed = q;
  auto& limit = relaxed.profile.accuracy;
  if (limit.min) limit.min = 0;
  if (limit.retain) limit.retain = 0;
  return relaxed;
}

double chance_of_limit(const Question& q, const Cell& cell) {
  const auto& limit = q.profile.accuracy;
  double chance = 1;
  if (limit.min) chance = cell.has_value ? cell.value.probability_above(*limit.min) : either_way;
  if (limit.retain)
    chance = std::min(chance, cell.has_relative ? cell.relative.probability_above(*limit.retain) : either_way);
  return chance;
}

/// A cell that nobody can decide: what to measure, and the chance that it helps.
std::optional<Candidate> undecided(const Question& q, const CellJudge& judge, const Cell& cell) {
  Candidate one{cell, either_way, true, cell.model};
  switch (cell.missing) {
    case Missing::retention:
      one.uncompressed = false;
      one.probability = std::min(either_way, judge.uncompressed(cell.model).probability.value_or(1));
      return one;
    case Missing::score: return one;
    case Missing::comparison:
      if (!q.own_standing.known) one.of = q.current;
      return one;
    case Missing::in_use:
      one.of = q.current;
      one.probability = chance_of_limit(q, cell);
      return one;
    default: return std::nullopt;
  }
}

std::vector<Candidate> candidates(const Toolbox& tools, const Question& q, const CellJudge& judge,
                                  const Decision& decision) {
  const Question free = without_limit(q);
  CellJudge again(tools, free, &judge);
  const double hopeless = 1 - q.profile.confidence;
  std::vector<Candidate> all;
  std::vector<const Cell*> wide;
  for (const auto& cell : decision.cells) {
    if (cell.fate == Fate::undecided) {
      if (auto one = undecided(q, judge, cell)) all.push_back(std::move(*one));
    } else if (cell.fate == Fate::limit && cell.failed == Limit::accuracy &&
               cell.chances.accuracy.value_or(0) > hopeless) {
      wide.push_back(&cell);
    }
  }
  std::stable_sort(wide.begin(), wide.end(),
                   [](const Cell* a, const Cell* b) { return *a->chances.accuracy > *b->chances.accuracy; });
  if (wide.size() > most_candidates) wide.resize(most_candidates);
  std::stable_sort(wide.begin(), wide.end(), [](const Cell* a, const Cell* b) { return a->model < b->model; });
  const Cell* before = nullptr;
  for (const auto* cell : wide) {
    if (before == nullptr || before->model != cell->model) again.enter(cell->model);
    before = cell;
    const auto judged = again.judge(again.applied(*cell));
    const bool whole = cell->action == Action::keep || cell->action == Action::switch_model;
    if (judged.fate == Fate::feasible) all.push_back({judged, *cell->chances.accuracy, whole, cell->model});
  }
  // Models that were turned away as a whole because their score is only predicted.
  for (const auto& fate : decision.models) {
    if (decision.outcome == Outcome::recommended) break;
    if (fate.why != ModelFate::Why::too_weak || !q.standing(fate.model).predicted || fate.probability <= hopeless)
      continue;
    if (again.enter(fate.model) != nullptr) continue;
    for (const auto& applied : q.at(tools, fate.model).applied) {
      if (!again.is_tried(applied)) continue;
      const auto judged = again.judge(applied);
      if (judged.fate != Fate::feasible) continue;
      all.push_back({judged, fate.probability, true, fate.model});
      break;  // as published comes first: the model itself fits
    }
  }
  std::erase_if(all, [&](const Candidate& one) { return one.probability <= hopeless; });
  return all;
}

/// As if the measurement confirmed what is expected: no width counts against it any more.
Objectives confirmed(const Cell& cell) {
  auto objectives = cell.objectives;
  objectives.quality = cell.has_relative ? cell.relative.mean : cell.has_value ? cell.value.mean : 0;
  return objectives;
}

std::string place_id(const Cell& cell) {
  return std::to_string(cell.model + 1000000) + "|" + std::to_string(cell.treatment + 1000000);
}

/// Of each candidate its place among all; of a recommendation those behind its first option are left out.
std::vector<std::size_t> places(const Question& q, const Decision& decision, const std::vector<Candidate>& all) {
  std::vector<std::string> ids;
  std::vector<Place> places;
  for (const auto& one : all) ids.push_back(place_id(one.cell));
  if (!decision.ranked.empty()) ids.push_back("0");
  for (std::size_t i = 0; i < all.size(); ++i)
    places.push_back({confirmed(all[i].cell), static_cast<int>(all[i].cell.action), ids[i]});
  if (!decision.ranked.empty())
    places.push_back({decision.first().objectives, static_cast<int>(decision.first().action), ids.back()});
  auto order = lexicographic(places, q.profile.priority);
  if (!decision.ranked.empty()) order.erase(std::find(order.begin(), order.end(), all.size()), order.end());
  return order;
}

std::string runner(const std::string& engine, const std::string& checkpoint) {
  if (engine == "vllm" || engine == "sglang") return engine + " --model_args pretrained=" + checkpoint;
  if (engine == "transformers") return "hf --model_args pretrained=" + checkpoint;
  // Any other engine answers as a server that speaks the OpenAI protocol.
  return "local-completions --model_args base_url=http://localhost:8000/v1/completions,model=" + checkpoint;
}

NextMeasurement words(const Toolbox& tools, const Question& q, const Candidate& one, std::size_t others) {
  const auto option = variant_of(tools, q, one.cell);
  const auto& model = *q.at(tools, one.of).model;
  NextMeasurement next;
  next.model = model.id;
  next.technique = one.uncompressed ? "none" : option.technique;
  next.scheme = one.uncompressed ? "" : option.scheme;
  next.task = q.table ? q.table->task : q.task.benchmark.empty() ? q.task.id : q.task.benchmark;
  next.probability = one.probability;
  const auto& limit = q.profile.accuracy;
  const auto wanted = limit.min ? "scores at least " + percent(*limit.min)
                                : "keeps " + percent(*limit.retain) + " of the score of " + q.model->id;
  const std::string cache = option.kv == "fp16" ? "" : " with a " + option.kv + " KV cache";
  next.because = "tells whether " + option.model + (one.cell.action == Action::keep ? "" : " " + option.scheme) +
                 cache + " " + wanted + ": " + percent(one.probability) + " likely";
  const auto* kept = limit.min && one.cell.has_value         ? &one.cell.value
                     : limit.retain && one.cell.has_relative ? &one.cell.relative
                                                             : nullptr;
  if (kept != nullptr)
    next.because += ", " + percent(kept->mean) + " (" + percent(std::max(0.0, kept->quantile(0.05))) + " to " +
                    percent(kept->quantile(0.95)) + ") expected";
  next.because += "; nothing else that is known stands against it";
  if (others > 0) next.because += ", nor against " + std::to_string(others) + " more that hang on the same result";
  const bool compressed = !one.uncompressed;
  next.command = "lm_eval --model " + runner(option.engine, compressed ? "CHECKPOINT" : model.id) + " --tasks " +
                 next.task + " --output_path results && advisor record results/*.json --model " + model.id +
                 " --technique " + next.technique + (compressed ? " --scheme " + next.scheme : "");
  return next;
}

}  // namespace

bool hangs_on_scores(const Toolbox& tools, const Question& q, const CellJudge& judge, const Decision& decision) {
  if (!decision.profile_rules.empty()) return false;
  const auto all = candidates(tools, q, judge, decision);
  return std::any_of(all.begin(), all.end(), [&](const Candidate& one) {
    const auto& standing = q.standing(one.cell.model);
    return !standing.known || standing.predicted;
  });
}

std::vector<NextMeasurement> next_measurements(const Toolbox& tools, const Question& q, const CellJudge& judge,
                                               const Decision& decision) {
  if (!decision.profile_rules.empty()) return {};
  const auto all = candidates(tools, q, judge, decision);
  if (all.empty()) return {};
  // One measurement may decide about many variants: told by the likeliest, of equals by the one that would rank first.
  using Key = std::tuple<int, std::string, std::string, std::string>;
  struct Group {
    const Candidate* best;
    std::size_t place, members = 0;
  };
  std::map<Key, Group> groups;
  const auto order = places(q, decision, all);
  for (std::size_t place = 0; place < order.size(); ++place) {
    const auto& one = all[order[place]];
    const auto& variant = tools.catalog.treatments()[static_cast<std::size_t>(one.cell.treatment)].choice.variant;
    const Key key{one.of, one.uncompressed ? "" : variant.technique, one.uncompressed ? "" : variant.scheme,
                  one.uncompressed ? "" : variant.kv};
    auto& group = groups.try_emplace(key, Group{&one, place}).first->second;
    ++group.members;
    if (one.probability > group.best->probability) group.best = &one, group.place = place;
  }
  std::vector<const Group*> sorted;
  for (const auto& [key, group] : groups) sorted.push_back(&group);
  std::sort(sorted.begin(), sorted.end(), [](const Group* a, const Group* b) {
    return std::tuple(-std::round(100 * a->best->probability), a->place) <
           std::tuple(-std::round(100 * b->best->probability), b->place);
  });
  std::vector<NextMeasurement> result;
  for (std::size_t i = 0; i < std::min(sorted.size(), most_measurements); ++i)
    result.push_back(words(tools, q, *sorted[i]->best, sorted[i]->members - 1));
  return result;
}

}  // namespace advisor
