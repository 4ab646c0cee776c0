#include "estimate/quality.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "estimate/evidence_rows.h"
#include "estimate/pooling.h"
#include "estimate/scores.h"

namespace advisor {

namespace {

/// How far a row is from the question. Nearer levels win as soon as they have enough rows.
struct Level {
  const char* what;
  std::size_t needed;  ///< rows, else the next level is tried
  double distance;     ///< sd added, in units of the prior row spread
};
constexpr std::array<Level, 10> levels{{
    {"of this model, technique and task", 1, 0.0},
    {"of this model at the same bits", 2, 0.4},
    {"of models of similar size, same technique and task family", 4, 0.5},
    {"of models of similar size at the same bits, same task family", 4, 0.8},
    {"of models of other sizes, same technique and task family", 4, 0.8},
    {"of models of other sizes at the same bits, same task family", 4, 1.0},
    {"of related task families, same technique", 4, 1.1},
    {"of related task families at the same bits", 4, 1.3},
    {"of other task families, same technique", 4, 1.5},
    {"of other task families at the same bits", 1, 1.8},
}};

/// Families of tasks form a tree (data/families.csv). Language modelling stands apart: perplexity hardly moves where
/// knowledge is lost, so it speaks for itself only.
enum class Kinship { none, distant, related, same };
class FamilyTree {
 public:
  explicit FamilyTree(const Knowledge& knowledge) {
    for (const auto& family : knowledge.families) parents_[family.id] = family.parent;
  }
  Kinship kinship(const std::string& a, const std::string& b) const {
    if (a == b) return Kinship::same;
    if (a == "language_modelling" || b == "language_modelling") return Kinship::none;
    const auto parent_a = parent(a), parent_b = parent(b);
    const bool siblings = parent_a == parent_b && !parent_a.empty() && parent_a != "general";
    return parent_a == b || parent_b == a || siblings ? Kinship::related : Kinship::distant;
  }

 private:
  std::string parent(const std::string& family) const {
    const auto found = parents_.find(family);
    return found == parents_.end() ? "" : found->second;
  }
  std::map<std::string, std::string> parents_;
};

/// Sizes within a factor of three count as similar.
constexpr double similar = 1.0986122886681098;

/// Losses shrink with size about as params^-0.3: medians of W4A16 on knowledge tasks lose 6.4 % under 2 B, 3.4 % to
/// 10 B, 2.5 % to 40 B, 1.4 % above. Far extrapolation is capped, and half of the shift is added to the spread.
constexpr double size_exponent = 0.3, largest_shift = 4;

/// Spread of a row in its source and between sources by bits, so that 90 % intervals of held-out sources cover about
/// 90 % (89.6 % of 3,596 dense rows when this was set; half of W4A16 rows within 2 points, a tenth off by 9).
PoolPrior prior_for(const EvidenceKey& key) {
  if (key.sparsity > 0) return {.within = 0.08, .between = 0.08};
  const int bits = std::min(key.weight, key.activation);
  if (bits >= 8 && key.activation >= 16) return {.within = 0.007, .between = 0.005};
  if (bits >= 8) return {.within = 0.012, .between = 0.008};
  if (bits >= 5) return {.within = 0.009, .between = 0.006};
  if (bits == 4) return {.within = 0.025, .between = 0.015};
  if (bits == 3) return {.within = 0.05, .between = 0.04};
  return {.within = 0.2, .between = 0.2};
}

struct Question {
  const std::string* model;
  double ln_params;
  std::string technique, scheme;
  const Yardstick* yardstick;
  const FamilyTree* families;
  bool weight_only, per_channel;  ///< below 8 bits with 16-bit activations; one scale per output row
};

/// nullopt: the row may not speak for the question at all.
std::optional<std::size_t> level_of(const EvidenceRow& row, const Question& q) {
  // Four bits per channel lose several times as much as four bits in groups: they do not speak for each other.
  if (q.weight_only && row.per_channel != q.per_channel) return std::nullopt;
  const auto kinship = q.families->kinship(row.family, q.yardstick->family);
  if (kinship == Kinship::none) return std::nullopt;
  const bool model = row.model == *q.model;
  const bool technique = row.technique == q.technique;
  const bool family = kinship == Kinship::same;
  const bool task = q.yardstick->task.empty() ? family : row.task == q.yardstick->task;
  const bool size = row.ln_params != 0 && q.ln_params != 0 && std::abs(row.ln_params - q.ln_params) <= similar;
  if (model && technique && task) return 0;
  if (model && ((technique && family) || task)) return 1;
  if (family && size) return technique ? 2 : 3;
  if (family) return technique ? 4 : 5;
  if (kinship == Kinship::related) return technique ? 6 : 7;
  return technique ? 8 : 9;
}

/// Recovery moved to the size asked for, and the uncertainty of moving it.
struct Moved {
  double value, sd;
};
Moved move_size(const EvidenceRow& row, double ln_params) {
  if (row.ln_params == 0 || ln_params == 0) return {row.recovery, 0};
  const double factor =
      std::clamp(std::exp(size_exponent * (row.ln_params - ln_params)), 1 / largest_shift, largest_shift);
  const double moved = row.recovery < 1 ? 1 - (1 - row.recovery) * factor : row.recovery;
  return {std::max(moved, std::min(0.0, row.recovery)), std::abs(moved - row.recovery) / 2};
}

/// Catastrophic rows (a method that broke) would move a mean without saying anything about the next model: values
/// beyond five times the median deviation count as being there.
void winsorize(std::vector<Sample>& samples, double floor) {
  std::vector<double> values;
  for (const auto& s : samples) values.push_back(s.value);
  const auto middle = [](std::vector<double>& v) {
    std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size() / 2), v.end());
    return v[v.size() / 2];
  };
  const double median = middle(values);
  for (auto& v : values) v = std::abs(v - median);
  const double limit = 5 * std::max(middle(values), floor);
  for (auto& s : samples) s.value = std::clamp(s.value, median - limit, median + limit);
}

Retention pool_level(const std::vector<const EvidenceRow*>& rows, std::size_t level, const PoolPrior& prior,
                     const Question& question) {
  std::vector<Sample> samples;
  Retention result;
  double shift = 0;
  for (const auto* row : rows) {
    const auto moved = move_size(*row, question.ln_params);
    // A row with the very same scheme (group size, GGUF type) says twice as much as one at the same nominal bits.
    samples.push_back({moved.value, row->scheme == question.scheme ? 2.0 : 1.0, row->source});
    result.sources.push_back(row->source);
    shift += moved.sd;
  }
  winsorize(samples, prior.within / 2);
  const auto pooled = pool(samples, prior);
  shift /= static_cast<double>(samples.size());
  result.recovery = pooled->prediction.widened(std::hypot(levels[level].distance * prior.within, shift));
  result.basis = level == 0 ? Basis::measured : Basis::transferred;
  result.rows = pooled->rows;
  result.how = std::to_string(pooled->rows) + (pooled->rows == 1 ? " measurement " : " measurements ") +
               levels[level].what + " from " + std::to_string(pooled->sources) +
               (pooled->sources == 1 ? " source" : " sources");
  return result;
}

}  // namespace

struct QualityEstimator::Index {
  std::map<EvidenceKey, std::vector<EvidenceRow>> rows;
  ScoreTables scores;
  FamilyTree families;
  /// The nearest level that has enough rows.
  std::optional<Retention> transfer(const EvidenceKey& key, const Question& question) const;
  std::optional<Retention> retention(const Model& model, const Treatment& treatment, const Yardstick& yardstick) const;
};

QualityEstimator::QualityEstimator(const Knowledge& knowledge)
    : index_(new Index{evidence_rows(knowledge), ScoreTables(knowledge), FamilyTree(knowledge)}) {}
QualityEstimator::~QualityEstimator() = default;

std::optional<Retention> QualityEstimator::Index::transfer(const EvidenceKey& key, const Question& question) const {
  const auto found = rows.find(key);
  if (found == rows.end()) return std::nullopt;
  std::array<std::vector<const EvidenceRow*>, levels.size()> by_level;
  for (const auto& row : found->second)
    if (const auto level = level_of(row, question)) by_level[*level].push_back(&row);
  for (std::size_t i = 0; i < levels.size(); ++i)
    if (by_level[i].size() >= levels[i].needed) return pool_level(by_level[i], i, prior_for(key), question);
  return std::nullopt;
}

std::optional<Retention> QualityEstimator::Index::retention(const Model& model, const Treatment& treatment,
                                                            const Yardstick& yardstick) const {
  auto key = evidence_key(treatment);
  const Question question{&model.id,
                          model.params.value_or(0) > 0 ? std::log(*model.params) : 0,
                          treatment.technique,
                          treatment.scheme,
                          &yardstick,
                          &families,
                          key.activation >= 16 && key.weight < 8,
                          treatment.group == -1};
  auto best = transfer(key, question);
  if ((best && best->basis == Basis::measured) || key.activation < 16 || key.sparsity > 0) return best;
  // More bits keep no less: where 8 or 6 bits are rarely measured on a task, what 5 or 6 keep is a bound.
  const int bits = key.weight;
  for (key.weight = bits - 1; key.weight >= 5; --key.weight) {
    auto fewer = transfer(key, question);
    if (!fewer || (best && fewer->recovery.quantile(0.05) <= best->recovery.quantile(0.05))) continue;
    best = std::move(fewer);
    best->basis = Basis::transferred;
    best->how = "at least what " + std::to_string(key.weight) + " bits keep: " + best->how;
  }
  return best;
}

std::optional<Retention> QualityEstimator::retention(const Model& model, const Variant& variant,
                                                     const Yardstick& yardstick) const {
  if (variant.technique == "none" && variant.sparsity == 0)
    return Retention{{1, 0, 30}, Basis::measured, 0, {}, "not compressed"};
  return index_->retention(model, treatment_of(variant), yardstick);
}

std::optional<Prediction> QualityEstimator::predict(const QualityCase& question) const {
  const auto kept = index_->retention(question.model, question.treatment, question.yardstick);
  if (!kept) return std::nullopt;
  auto distribution = kept->recovery;
  if (question.measure == "perplexity") {  // recovery = baseline / value there
    const double ratio = std::max(distribution.mean, 1e-6);
    distribution = {-std::log(ratio), distribution.sd / ratio, distribution.df};
  }
  return Prediction{distribution, kept->basis, kept->rows, kept->sources, kept->how};
}

std::optional<ScoreTable> QualityEstimator::choose_table(const std::string& model, const Yardstick& yardstick) const {
  return index_->scores.choose(model, yardstick);
}

std::optional<Baseline> QualityEstimator::baseline(const std::string& model, const ScoreTable& table) const {
  return index_->scores.baseline(model, table);
}

std::vector<std::string> QualityEstimator::ranked(const ScoreTable& table) const {
  return index_->scores.ranked(table);
}

Distribution relative_to_baseline(const Distribution& recovery, double baseline, double chance) {
  if (baseline <= chance) return recovery;
  return recovery.scaled(chance / baseline, (baseline - chance) / baseline);
}

}  // namespace advisor
