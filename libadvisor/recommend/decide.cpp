#include "recommend/decide.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

#include "recommend/cell_judge.h"

namespace advisor {

namespace {

int changes(Action action) { return static_cast<int>(action); }

/// A model other than the one in use: turned away as a whole where no treatment could help.
std::optional<ModelFate> turned_away(const Question& q, const CellJudge& judge, const CatalogModel& entry, int model,
                                     const RuleSource* rule) {
  using Why = ModelFate::Why;
  ModelFate fate;
  fate.model = model;
  const auto& standing = q.standing(model);
  fate.score = standing.value;
  const auto why = [&](Why reason) {
    fate.why = reason;
    return fate;
  };
  if (!standing.known) return why(Why::not_scored);
  if (rule != nullptr) {
    fate.rule = rule;
    return why(Why::rule);
  }
  if (!entry.has_size) return why(Why::no_size);
  const auto accuracy = judge.uncompressed(model);
  if (accuracy.missing != Missing::nothing || !accuracy.probability) return std::nullopt;
  fate.probability = *accuracy.probability;
  if (*accuracy.probability < q.profile.confidence) return why(Why::too_weak);
  return std::nullopt;
}

/// `rule` forbids the model whatever the treatment; nullptr: none.
void add_cell(CellJudge& judge, const RuleSource* rule, int model, const Applied& applied, Decision& decision) {
  ++decision.variants_considered;
  auto& cell = decision.cells.emplace_back();
  if (rule == nullptr) {
    judge.judge(applied, cell);
    return;
  }
  cell.model = model, cell.treatment = applied.treatment, cell.action = judge.action_of(applied);
  cell.fate = Fate::forbidden, cell.rule = rule;
}

void add_cells(CellJudge& judge, const CatalogModel& entry, const RuleSource* rule, int model, Decision& decision,
               bool keeping_only = false) {
  for (const auto& applied : entry.applied) {
    if (!judge.is_tried(applied)) continue;
    if (keeping_only && judge.action_of(applied) != Action::keep) continue;
    add_cell(judge, rule, model, applied, decision);
  }
}

/// Treatments that were asked about of models that are not looked at otherwise: turned away as a whole, or not allowed.
/// `others`: models were looked at.
void add_asked(const Toolbox& tools, const Question& q, CellJudge& judge, bool others, Decision& decision) {
  for (const int model : tools.catalog.asked_models()) {
    const bool turned_away = std::any_of(decision.models.begin(), decision.models.end(),
                                         [&](const ModelFate& fate) { return fate.model == model; });
    if (model == q.current || (others && !turned_away)) continue;
    const auto& entry = tools.catalog.models()[static_cast<std::size_t>(model)];
    const auto* rule = judge.enter(model);
    for (const auto& applied : entry.applied) {
      if (!tools.catalog.treatments()[static_cast<std::size_t>(applied.treatment)].asked()) continue;
      add_cell(judge, rule, model, applied, decision);
      auto& cell = decision.cells.back();
      // Nobody can say how good it is: no limit that we assume may let it pass.
      if (cell.fate == Fate::feasible && !q.standing(model).known)
        cell.fate = Fate::undecided, cell.missing = Missing::comparison;
    }
  }
}

/// By model and treatment, both of which are in a fixed order: the last tie-breaker.
using Key = std::array<char, 8>;
Key key_of(const Cell& cell) {
  Key key{};
  auto number = static_cast<std::uint64_t>(cell.model + 1) << 32 | static_cast<std::uint32_t>(cell.treatment);
  for (auto digit = key.rbegin(); digit != key.rend(); ++digit, number >>= 8) *digit = static_cast<char>(number & 0xff);
  return key;
}

void rank(const Question& q, Decision& decision) {
  std::vector<int> feasible;
  for (std::size_t i = 0; i < decision.cells.size(); ++i)
    if (decision.cells[i].fate == Fate::feasible) feasible.push_back(static_cast<int>(i));
  std::vector<Key> keys;
  std::vector<Place> places;
  keys.reserve(feasible.size()), places.reserve(feasible.size());
  for (const int index : feasible) {
    const auto& cell = decision.cells[static_cast<std::size_t>(index)];
    keys.push_back(key_of(cell));
    places.push_back(
        {in_steps(cell.objectives), changes(cell.action), std::string_view(keys.back().data(), keys.back().size())});
  }
  decision.ranked.reserve(feasible.size()), decision.steps.reserve(feasible.size());
  for (const auto index : lexicographic_in_steps(places, q.profile.priority)) {
    decision.ranked.push_back(feasible[index]);
    decision.steps.push_back(places[index].objectives);
  }
  for (const auto index : pareto_front(decision.steps)) decision.front.push_back(decision.ranked[index]);
}

void conclude(const Question& q, Decision& decision) {
  if (!decision.profile_rules.empty()) return;
  rank(q, decision);
  if (!decision.ranked.empty()) {
    decision.outcome = Outcome::recommended;
    decision.verdict = verdict_of(decision.first().action);
  } else {
    const bool undecided = std::any_of(decision.cells.begin(), decision.cells.end(),
                                       [](const Cell& cell) { return cell.fate == Fate::undecided; });
    decision.outcome = undecided ? Outcome::insufficient_evidence : Outcome::infeasible;
  }
}

/// The models that a switch could lead to, those first that most probably lead.
std::vector<int> others_by_standing(const Toolbox& tools, const Question& q) {
  std::vector<int> models;
  if (!q.profile.allow.switch_model || !q.table) return models;
  for (int model = 0; model < static_cast<int>(tools.catalog.models().size()); ++model)
    if (model != q.current && q.standing(model).known) models.push_back(model);
  std::stable_sort(models.begin(), models.end(), [&](int a, int b) {
    const auto &left = q.standing(a), &right = q.standing(b);
    return std::pair(left.predicted, -left.value) < std::pair(right.predicted, -right.value);
  });
  return models;
}

}  // namespace

std::string_view name(Action action) {
  static constexpr std::array<std::string_view, 4> names{"keep", "compress", "switch", "compress_and_switch"};
  return names[static_cast<std::size_t>(action)];
}

std::vector<int> dominating(const Decision& decision) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0, next = 0; i < decision.ranked.size(); ++i) {
    if (next < decision.front.size() && decision.front[next] == decision.ranked[i]) front.push_back(i), ++next;
  }
  std::vector<int> by;
  for (const auto place : dominators(decision.steps, front)) by.push_back(decision.ranked[place]);
  return by;
}

Verdict verdict_of(Action action) {
  static constexpr std::array verdicts{Verdict::keep, Verdict::compress, Verdict::switch_model,
                                       Verdict::compress_and_switch};
  return verdicts[static_cast<std::size_t>(action)];
}

Decision decide_keeping(const Toolbox& tools, const Question& q, const CellJudge* like) {
  Decision decision;
  CellJudge judge(tools, q, like);
  decision.profile_rules = judge.profile_rules();
  const auto* forbidden = judge.enter(q.current);
  add_cells(judge, q.at(tools, q.current), forbidden, q.current, decision, true);
  decision.models_considered = 1;
  conclude(q, decision);
  return decision;
}

std::optional<Leader> find_leader(const Toolbox& tools, const Question& q, const CellJudge* like) {
  const auto is_kept = [](const Decision& decision) {
    return std::any_of(decision.ranked.begin(), decision.ranked.end(), [&](int index) {
      return decision.cells[static_cast<std::size_t>(index)].action == Action::keep;
    });
  };
  if (q.profile.priority.empty() || q.profile.priority.front() != "quality") {
    const auto decision = decide(tools, q);
    if (decision.ranked.empty()) return std::nullopt;
    return Leader{decision.first(), is_kept(decision)};
  }
  Decision some;
  CellJudge judge(tools, q, like);
  if (!judge.profile_rules().empty()) return std::nullopt;
  std::optional<Objectives> best;
  const auto add = [&](const Cell& cell) {
    if (cell.fate != Fate::feasible) return;
    const auto& mine = cell.objectives;
    if (!best || std::pair(mine.predicted, -mine.quality) < std::pair(best->predicted, -best->quality)) best = mine;
    some.cells.push_back(cell);
  };
  if (judge.enter(q.current) == nullptr)
    for (const auto& applied : q.at(tools, q.current).applied)
      if (judge.is_tried(applied)) add(judge.judge(applied));
  const int general = static_cast<int>(tools.catalog.general_treatments());
  Decision asked;
  for (const int model : tools.catalog.asked_models())
    if (!q.standing(model).known) asked.models.push_back({model, ModelFate::Why::not_scored});
  for (const int model : others_by_standing(tools, q)) {
    if (best && judge.is_behind(model, *best)) continue;
    const auto& entry = tools.catalog.models()[static_cast<std::size_t>(model)];
    if (const auto fate = turned_away(q, judge, entry, model, judge.enter(model))) {
      if (entry.applied.back().treatment >= general) asked.models.push_back(*fate);
      continue;
    }
    for (const auto& applied : entry.applied)
      if (judge.is_tried(applied) && !(best && judge.is_behind(applied, *best))) add(judge.judge(applied));
  }
  add_asked(tools, q, judge, q.profile.allow.switch_model && q.table, asked);
  for (const auto& cell : asked.cells) add(cell);
  rank(q, some);
  if (some.ranked.empty()) return std::nullopt;
  return Leader{some.first(), is_kept(some)};
}

Decision decide(const Toolbox& tools, const Question& q) {
  CellJudge judge(tools, q);
  return decide(tools, q, judge);
}

Decision decide(const Toolbox& tools, const Question& q, CellJudge& judge) {
  Decision decision;
  decision.cells.reserve(q.profile.allow.switch_model ? tools.catalog.most_cells() : 256);
  decision.profile_rules = judge.profile_rules();
  const auto* forbidden = judge.enter(q.current);
  add_cells(judge, q.at(tools, q.current), forbidden, q.current, decision);
  ++decision.models_considered;
  if (q.profile.allow.switch_model && q.table) {
    for (std::size_t i = 0; i < tools.catalog.models().size(); ++i) {
      const int model = static_cast<int>(i);
      if (model == q.current) continue;
      const auto& entry = tools.catalog.models()[i];
      ++decision.models_considered;
      const auto* rule = q.standing(model).known ? judge.enter(model) : nullptr;
      if (const auto fate = turned_away(q, judge, entry, model, rule)) {
        decision.models.push_back(*fate);
        continue;
      }
      add_cells(judge, entry, nullptr, model, decision);
    }
  }
  add_asked(tools, q, judge, q.profile.allow.switch_model && q.table, decision);
  conclude(q, decision);
  return decision;
}

}  // namespace advisor
