#include "recommend/pooled_quality.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/units.h"

namespace advisor {

namespace {

/// Within five points of guessing a ratio is noise (as in estimate/quality_case.cpp).
constexpr double above_guessing = 0.05;

/// Of the score above chance; nullopt for rows that cannot be compared.
std::optional<double> recovery_of(const QualityMeasurement& row, const std::map<std::string, double>& chances) {
  if (!row.suspect.empty() || !row.higher_is_better || !(row.baseline > 0)) return std::nullopt;
  if (row.metric_kind != "proportion" && row.metric_kind != "similarity") return std::nullopt;
  const auto found = chances.find(row.task);
  const double chance = found == chances.end() ? 0 : found->second;
  if (row.baseline - chance < above_guessing) return std::nullopt;
  return (row.value - chance) / (row.baseline - chance);
}

/// All rows of one model count as one study: their tests differ, the model and the way it was treated do not.
struct Studies {
  std::map<std::string, std::vector<double>> by_model;
  std::set<std::string> sources;
  std::int64_t rows = 0;
  void add(const std::string& model, double recovery, const std::string& source) {
    by_model[model].push_back(recovery);
    sources.insert(source);
    ++rows;
  }
};

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

/// What another study would find: t with n - 1 degrees of freedom around their mean, sd · √(1 + 1/n) wide (Higgins,
/// Thompson and Spiegelhalter, J. R. Statist. Soc. A 172, 2009, section 4.1). A gain is noise: the mean is at most 1.
std::optional<Retention> one_more(const Studies& studies, const std::string& what) {
  std::vector<double> means;
  for (const auto& [model, some] : studies.by_model) {
    auto sorted = some;
    std::sort(sorted.begin(), sorted.end());
    means.push_back(mean_of(sorted));
  }
  if (means.size() < 2) return std::nullopt;
  const auto n = static_cast<double>(means.size());
  const double mean = mean_of(means);
  double squares = 0;
  for (const double value : means) squares += (value - mean) * (value - mean);
  Retention kept;
  kept.recovery = {std::min(1.0, mean), std::sqrt(squares / (n - 1) * (1 + 1 / n)), n - 1};
  kept.basis = Basis::transferred;
  kept.rows = studies.rows;
  kept.sources.assign(studies.sources.begin(), studies.sources.end());
  kept.how = std::to_string(studies.rows) + " measurements of " + what + " on " + std::to_string(means.size()) +
             " models from " + std::to_string(kept.sources.size()) +
             (kept.sources.size() == 1 ? " source" : " sources");
  return kept;
}

/// The measurements of one model alone: as they scatter from task to task.
std::optional<Retention> of_this_model(const std::vector<double>& some, const std::set<std::string>& sources,
                                       const std::string& what) {
  Studies tasks;
  for (std::size_t i = 0; i < some.size(); ++i) tasks.add(std::to_string(i), some[i], "");
  tasks.sources = sources;
  auto kept = one_more(tasks, what);
  if (kept) {
    kept->basis = Basis::measured;
    kept->how = std::to_string(some.size()) + " measurements of " + what + " of this model";
  }
  return kept;
}

std::string key(double bits, const std::string& of) { return format_number(std::round(bits)) + "|" + of; }

struct Group {
  Studies studies;
  std::string what;
};

bool weights_are_whole(const QualityMeasurement& row) { return row.weight_bits.value_or(16) >= 16; }

}  // namespace

PooledQuality::PooledQuality(const Knowledge& knowledge) {
  std::map<std::string, double> chances;
  for (const auto& task : knowledge.tasks) chances[task.id] = task.chance.value_or(0);
  std::map<std::string, Group> caches, retrained;
  struct Own {
    std::vector<double> recoveries;
    std::set<std::string> sources;
  };
  std::map<std::string, Own> own;
  for (const auto& row : knowledge.quality) {
    const auto recovery = recovery_of(row, chances);
    if (!recovery) continue;
    const auto add = [&](std::map<std::string, Group>& groups, double bits, const std::string& what) {
      for (const auto& of : {std::string(), row.family}) {
        auto& group = groups[key(bits, of)];
        group.what = what + (of.empty() ? "" : ", " + of + " tasks");
        group.studies.add(row.model, *recovery, row.source);
      }
    };
    if (row.kv_bits.value_or(16) < 16 && weights_are_whole(row) && row.sparsity == 0) {
      add(caches, *row.kv_bits, "a KV cache of " + format_number(std::round(*row.kv_bits)) + " bits");
    } else if (row.technique == "qat" && row.weight_bits && row.kv_bits.value_or(16) >= 16) {
      add(retrained, *row.weight_bits, "models retrained for " + format_number(std::round(*row.weight_bits)) + " bits");
      auto& mine = own[key(*row.weight_bits, row.model)];
      mine.recoveries.push_back(*recovery);
      mine.sources.insert(row.source);
    }
  }
  constexpr std::size_t enough = 3;  // below, the studies of all tasks say more than the few of one family
  const auto keep = [&](const std::map<std::string, Group>& groups, Groups& out) {
    for (const auto& [name, group] : groups) {
      if (!name.ends_with('|') && group.studies.by_model.size() < enough) continue;
      if (auto kept = one_more(group.studies, group.what)) out.emplace(name, std::move(*kept));
    }
  };
  keep(caches, caches_);
  keep(retrained, retrained_);
  for (auto& [name, mine] : own) {
    std::sort(mine.recoveries.begin(), mine.recoveries.end());
    if (mine.recoveries.size() < enough) continue;
    if (auto kept = of_this_model(mine.recoveries, mine.sources, "a checkpoint retrained for these bits"))
      retrained_.insert_or_assign(name, std::move(*kept));
  }
}

const Retention* PooledQuality::find(const Groups& groups, double bits, const std::vector<std::string>& of) {
  for (const auto& name : of)
    if (const auto found = groups.find(key(bits, name)); found != groups.end()) return &found->second;
  return nullptr;
}

const Retention* PooledQuality::cache(double bits, const std::string& family) const {
  return find(caches_, bits, {family, ""});
}

const Retention* PooledQuality::retrained(double bits, const std::string& model, const std::string& family) const {
  return find(retrained_, bits, {model, family, ""});
}

}  // namespace advisor
