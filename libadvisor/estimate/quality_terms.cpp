#include "estimate/quality_terms.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace advisor {

namespace {

/// A term with a single level has no contrast; what is left of it is in the sums.
constexpr double least_variance = 1e-4;

/// Terms whose levels are uncertain against each other; the others are coefficients of numbers.
bool contrasted(const std::string& term) {
  static const std::set<std::string> terms{"family", "lineage",     "model",    "pruning_technique",
                                           "task",   "task_pruned", "technique"};
  return terms.contains(term);
}

bool of_treatment(const std::string& term) {
  static const std::set<std::string> terms{"activation",  "bits",   "group",     "intercept",     "pattern",
                                           "per_channel", "recipe", "technique", "technique_low", "pruning_technique",
                                           "ungrouped"};
  return terms.contains(term);
}

bool of_step(const std::string& term) { return term == "intercept" || term == "bits" || term == "pattern"; }

FittedTerm plain_term(std::string name, std::string level, double value, double sd, std::int64_t rows) {
  return {"quality", std::move(name), std::move(level), value, sd, rows, {}};
}

/// Of the rows behind a level.
struct Backing {
  std::int64_t rows = 0;
  std::set<std::string> sources;
  void add(const QualityCase& c) { ++rows, sources.insert(c.source); }
  std::vector<std::string> sorted_sources() const { return {sources.begin(), sources.end()}; }
};

class Writer {
 public:
  Writer(const QualitySolver& solver, const Knowledge& knowledge) : solver_(solver), knowledge_(knowledge) {
    for (const auto& row : solver.rows())
      if (row.used) rows_.push_back(&row);
  }
  std::vector<FittedTerm> write();

 private:
  using Sum = std::vector<double>;  ///< a weight per coefficient

  Sum zero() const { return Sum(solver_.columns().size()); }
  const std::string& term_of(const QualitySolver::Entry& entry) const { return solver_.columns()[entry.column].term; }
  std::map<std::string, Sum> averages(bool pruned) const;
  void add_levels();
  void add_treatments(bool pruned);
  void add_headrooms();
  void add_noises();
  void add_counts();

  const QualitySolver& solver_;
  const Knowledge& knowledge_;
  std::vector<const QualitySolver::Row*> rows_;
  std::map<std::string, Sum> average_[2];
  std::vector<FittedTerm> out_;
};

/// What the average row has of each term that a question may part from: what is uncertain is how far a level lies from
/// the others of its term, not where all of them lie; that is for the rest of the model to say.
std::map<std::string, Writer::Sum> Writer::averages(bool pruned) const {
  std::map<std::string, Sum> sums;
  std::map<std::string, double> counts;
  for (const auto* row : rows_) {
    if (row->what.pruning != pruned || row->perplexity) continue;
    for (const auto& entry : row->damage) {
      const auto& term = term_of(entry);
      if (!contrasted(term)) continue;
      sums.try_emplace(term, zero()).first->second[entry.column] += entry.value;
      counts[term] += 1;
    }
  }
  for (auto& [term, sum] : sums)
    for (double& weight : sum) weight /= counts.at(term);
  return sums;
}

void Writer::add_levels() {
  std::vector<Backing> backing(solver_.columns().size());
  for (const auto* row : rows_)
    for (const auto* entries : {&row->damage, &row->guessed})
      for (const auto& entry : *entries) backing[entry.column].add(row->what);
  for (std::size_t j = 0; j < backing.size(); ++j) {
    const auto& column = solver_.columns()[j];
    const bool of_source = column.term == "source" || column.term == "source_technique";
    if (of_source || backing[j].rows == 0) continue;  // of no use for another source, or left out
    Sum contrast = zero();
    contrast[j] = 1;
    // Levels of both kinds are taken against the kind that has most rows.
    const auto& against =
        average_[column.term == "pruning_technique" || column.term == "task_pruned" || average_[0].empty()];
    if (const auto found = against.find(column.term); found != against.end())
      for (std::size_t i = 0; i < contrast.size(); ++i) contrast[i] -= found->second[i];
    double value = solver_.coefficient(j);
    if (column.term == "bits" || column.term == "sparsity") value = std::max(value, 0.0);  // more is never better
    out_.push_back({"quality", column.term, column.level, value,
                    std::sqrt(std::max(solver_.variance(contrast), least_variance)), backing[j].rows,
                    backing[j].sorted_sources()});
  }
}

/// Sums of coefficients whose errors hang together: all of a treatment for the average model and task.
void Writer::add_treatments(bool pruned) {
  struct Group {
    Sum sum;
    Backing backing;
  };
  std::map<std::string, Group> groups;
  Sum rest = zero(), technique = zero();
  for (const auto& [term, average] : average_[pruned]) {
    Sum& to = term == "technique" || term == "pruning_technique" ? technique : rest;
    for (std::size_t j = 0; j < to.size(); ++j) to[j] += average[j];
  }
  const auto group_of = [&](const std::string& level, const QualityCase& c) -> Sum& {
    auto& group = groups.try_emplace(level, Group{zero(), {}}).first->second;
    group.backing.add(c);
    return group.sum;
  };
  std::set<std::string> steps;
  for (const auto* row : rows_) {
    if (row->what.pruning != pruned) continue;
    const auto& treatment = row->what.treatment;
    Sum& recipe = group_of(recipe_name(treatment), row->what);
    Sum& step = group_of(step_name(treatment), row->what);
    steps.insert(step_name(treatment));
    for (const auto& entry : row->damage) {
      if (of_treatment(term_of(entry))) recipe[entry.column] += entry.value;
      if (of_step(term_of(entry))) step[entry.column] += entry.value;
    }
  }
  for (auto& [level, group] : groups) {
    const bool is_step = steps.contains(level);
    for (std::size_t j = 0; j < rest.size(); ++j)
      group.sum[j] = group.sum[j] / static_cast<double>(group.backing.rows) + rest[j] + (is_step ? technique[j] : 0);
    out_.push_back({"quality", "treatment_at", level, solver_.value(group.sum), std::sqrt(solver_.variance(group.sum)),
                    group.backing.rows, group.backing.sorted_sources()});
  }
}

void Writer::add_headrooms() {
  std::map<std::string, std::vector<double>> values;
  for (const auto* row : rows_) {
    if (row->perplexity) continue;
    const auto& c = row->what;
    const double h = headroom(c.baseline, c.yardstick.chance);
    for (const auto& level : {"task " + c.yardstick.task, "family " + c.yardstick.family, std::string("all")})
      values[level].push_back(h);
  }
  for (const auto& [level, some] : values) {
    const double n = static_cast<double>(some.size());
    double mean = 0, squares = 0;
    for (const double h : some) mean += h / n;
    for (const double h : some) squares += (h - mean) * (h - mean);
    out_.push_back(plain_term("headroom_of", level, mean, std::sqrt(squares / n), static_cast<std::int64_t>(n)));
  }
}

void Writer::add_noises() {
  std::map<std::string, std::int64_t> counts;
  for (const auto* row : rows_)
    if (!row->perplexity)
      ++counts["task " + row->what.yardstick.task], ++counts["family " + row->what.yardstick.family];
  const auto& noise = solver_.noise();
  std::map<std::string, FittedTerm> terms;
  const auto add = [&](const std::string& level, double value) {
    const auto rows = counts.find(level);
    terms.try_emplace(level, plain_term("noise", level, value, 0, rows != counts.end() ? rows->second : 0));
  };
  for (std::size_t i = 0; i < noise.size(); ++i)
    if (counts.contains("task " + noise.test(i).task)) add("task " + noise.test(i).task, noise.at_full_damage(i));
  for (const auto& task : knowledge_.tasks)  // never compressed, but of known length
    if (task.questions) add("task " + task.id, noise.expected(task.family, static_cast<double>(*task.questions)));
  for (const auto& family : noise.families())
    if (counts.contains("family " + family)) add("family " + family, noise.expected(family, {}));
  add("all", noise.expected("", {}));
  for (auto& [level, term] : terms) out_.push_back(std::move(term));
}

void Writer::add_counts() {
  const auto all = static_cast<std::int64_t>(rows_.size());
  const std::int64_t perplexities =
      std::count_if(rows_.begin(), rows_.end(), [](const auto* row) { return row->perplexity; });
  out_.push_back(plain_term("measured", "accuracy", static_cast<double>(all - perplexities), 0, all - perplexities));
  out_.push_back(plain_term("measured", "perplexity", static_cast<double>(perplexities), 0, perplexities));
}

std::vector<FittedTerm> Writer::write() {
  if (rows_.empty()) return {};
  for (const bool pruned : {false, true}) average_[pruned] = averages(pruned);
  add_levels();
  for (const bool pruned : {false, true}) add_treatments(pruned);
  for (const auto& term : level_terms()) {
    const auto prior = level_prior(term);
    out_.push_back(plain_term("prior", term, prior.mean, prior.sd, 0));
  }
  add_headrooms();
  add_noises();
  add_counts();
  return std::move(out_);
}

}  // namespace

std::vector<FittedTerm> quality_terms(const QualitySolver& solver, const Knowledge& knowledge) {
  return Writer(solver, knowledge).write();
}

}  // namespace advisor
