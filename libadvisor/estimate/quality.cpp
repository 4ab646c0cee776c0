#include "estimate/quality.h"

#include <algorithm>
#include <cmath>

#include "estimate/fits.h"
#include "estimate/quality_case.h"
#include "estimate/quality_fit.h"
#include "estimate/quality_local.h"
#include "estimate/quality_model.h"

namespace advisor {

namespace {

QualityModel fitted(const Knowledge& knowledge) {
  const auto terms = terms_of(knowledge.fits, "quality");
  return QualityModel(terms.empty() ? fit_quality(knowledge) : std::vector<FittedTerm>(terms.begin(), terms.end()));
}

std::string count(std::size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

std::string task_name(const Yardstick& y, bool perplexity) { return (perplexity ? "perplexity of " : "") + y.task; }

}  // namespace

struct QualityEstimator::Index {
  explicit Index(const Knowledge& knowledge);

  QualityModel model;
  std::map<std::string, int> treatments, tasks;  ///< keys of what was measured
  std::map<std::string, LocalQuality> local;     ///< by model

  PreparedModel prepare(const Model& model) const;
  PreparedTreatment prepare(const Treatment& treatment) const;
  PreparedTask prepare(const Yardstick& yardstick, double baseline, bool perplexity) const;
  /// What is nearest to the question among the model's own measurements; nullptr: nothing.
  const LocalEvidence* nearest(const PreparedModel& m, const PreparedTreatment& t, const PreparedTask& y,
                               bool& same_task, bool& same_treatment) const;
  std::optional<QualityNumbers> numbers(const PreparedModel& m, const PreparedTreatment& t, const PreparedTask& y,
                                        bool as_log) const;
  /// The narrowest group of measurements of other models that the fit took the treatment from.
  struct Speaker {
    std::int64_t rows = 0;
    std::vector<std::string> sources;
    std::string what;
  };
  Speaker speaker(const Treatment& treatment) const;
  void explain(const PreparedModel& m, const PreparedTreatment& t, const PreparedTask& y, const Treatment& treatment,
               std::vector<std::string>& sources, std::string& how) const;
};

QualityEstimator::Index::Index(const Knowledge& knowledge) : model(fitted(knowledge)) {
  const QualityCases reader(knowledge);
  std::vector<QualityCase> cases;
  for (const auto& row : knowledge.quality)
    if (auto c = reader.read(row)) cases.push_back(std::move(*c));
  for (const auto& c : cases) {
    treatments.emplace(treatment_key(c.treatment), 0);
    tasks.emplace(task_name(c.yardstick, c.measure == "perplexity"), 0);
  }
  for (auto* keys : {&treatments, &tasks}) {
    int next = 0;
    for (auto& [name, key] : *keys) key = next++;
  }
  // Many rows share a treatment, and a model of one stated size: each is prepared once.
  std::map<std::pair<std::string, double>, PreparedModel> models;
  std::map<Treatment, PreparedTreatment> treated;
  std::map<std::string, std::vector<LocalRow>> rows;
  for (const auto& c : cases) {
    const std::pair sized{c.model.id, c.model.params.value_or(0)};
    const auto m = models.find(sized);
    const auto t = treated.find(c.treatment);
    rows[c.model.id].push_back(
        {m != models.end() ? m->second : models.emplace(sized, model.model(c.model)).first->second,
         t != treated.end() ? t->second : treated.emplace(c.treatment, prepare(c.treatment)).first->second,
         prepare(c.yardstick, c.baseline, c.measure == "perplexity"), c.observed, c.source, c.recorded});
  }
  for (const auto& [id, some] : rows) local.emplace(id, LocalQuality(model, some));
}

PreparedModel QualityEstimator::Index::prepare(const Model& m) const {
  PreparedModel result = model.model(m);
  if (const auto found = local.find(m.id); found != local.end()) result.local = &found->second;
  return result;
}

PreparedTreatment QualityEstimator::Index::prepare(const Treatment& t) const {
  PreparedTreatment result = model.treatment(t);
  if (const auto found = treatments.find(treatment_key(t)); found != treatments.end()) result.key = found->second;
  return result;
}

PreparedTask QualityEstimator::Index::prepare(const Yardstick& y, double baseline, bool perplexity) const {
  PreparedTask result = model.task(y, baseline, perplexity);
  if (const auto found = tasks.find(task_name(y, perplexity)); found != tasks.end()) result.key = found->second;
  return result;
}

const LocalEvidence* QualityEstimator::Index::nearest(const PreparedModel& m, const PreparedTreatment& t,
                                                      const PreparedTask& y, bool& same_task,
                                                      bool& same_treatment) const {
  same_task = same_treatment = false;
  if (!m.local) return nullptr;
  if (const auto* cell = m.local->cell(t.key, y.key)) {
    same_task = same_treatment = true;
    return cell;
  }
  if (const auto* treated = m.local->treated(t.key)) {
    same_treatment = true;
    return treated;
  }
  return m.local->own();
}

std::optional<QualityNumbers> QualityEstimator::Index::numbers(const PreparedModel& m, const PreparedTreatment& t,
                                                               const PreparedTask& y, bool as_log) const {
  if (t.uncompressed) return QualityNumbers{{as_log ? 0.0 : 1.0, 0, 30}, Basis::measured, 0};
  bool same_task = false, same_treatment = false;
  const auto* own = nearest(m, t, y, same_task, same_treatment);
  if (!same_task && !(t.known && y.known)) return std::nullopt;
  TermSum eta = model.log_damage(m, t, y);
  QualityNumbers result;
  result.basis = t.rows > 0 ? Basis::transferred : Basis::modelled;
  result.rows = t.rows > 0 ? t.rows : t.technique_rows > 0 ? t.technique_rows : t.kind_rows;
  std::int64_t sources = t.sources;
  if (own) {
    eta.mean += own->shift;
    if (same_task) {
      eta.variance = own->variance;
      sources = static_cast<std::int64_t>(own->sources.size());
    } else if (same_treatment) {
      eta.variance = own->variance + y.sum[t.pruned].variance + cell_variance;
    } else {
      eta.variance += own->variance - m.sum[t.pruned].variance - t.low * t.low * m.low.variance;
    }
    if (same_treatment) {
      result.basis = same_task ? Basis::measured : Basis::transferred;
      result.rows = own->rows;
    }
  }
  result.distribution = model.outcome(eta, y, sources, as_log);
  return result;
}

void QualityEstimator::Index::explain(const PreparedModel& m, const PreparedTreatment& t, const PreparedTask& y,
                                      const Treatment& treatment, std::vector<std::string>& sources,
                                      std::string& how) const {
  bool same_task = false, same_treatment = false;
  const auto* own = nearest(m, t, y, same_task, same_treatment);
  if (own && same_treatment) {
    sources = own->sources;
    how = count(static_cast<std::size_t>(own->rows), "measurement") + " of this model and technique " +
          (same_task ? "on this task" : "on other tasks") + " from " + count(sources.size(), "source");
  } else {
    const auto spoken = speaker(treatment);
    sources = spoken.sources;
    how = count(static_cast<std::size_t>(spoken.rows), "measurement") + " of " + spoken.what + " from " +
          count(sources.size(), "source") + ", " +
          (m.rows > 0 ? std::to_string(m.rows) + " of this model" : "none of this model");
  }
  if (own && !own->recorded.empty()) {
    how += "; measured here on " + own->recorded;
    sources.insert(sources.end(), own->sources.begin(), own->sources.end());
    std::sort(sources.begin(), sources.end());
    sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  }
}

QualityEstimator::Index::Speaker QualityEstimator::Index::speaker(const Treatment& treatment) const {
  const auto levels = treatment_levels(treatment);
  const auto find = [&](const char* name) -> const FittedTerm* {
    for (auto level = levels.rbegin(); level != levels.rend(); ++level)
      if (level->term == name)
        if (const auto* term = model.find(level->term, level->level)) return term;
    return nullptr;
  };
  const auto answer = [](const FittedTerm& term, std::string what) {
    return Speaker{term.rows, term.sources, std::move(what)};
  };
  if (const auto* same = find("recipe")) return answer(*same, same->level);
  for (const char* technique : {"technique", "pruning_technique"})
    if (const auto* same = find(technique))
      return answer(*same, treatment.technique + (treatment.pruned() ? "" : " at other bits"));
  if (const auto* pattern = find("pattern")) return answer(*pattern, "other techniques with the same pattern");
  if (const auto* bits = find("bits")) return answer(*bits, "other techniques at these bits or fewer");
  const auto* all = find("intercept");
  return all ? answer(*all, "other techniques") : Speaker{};
}

QualityEstimator::QualityEstimator(const Knowledge& knowledge) : index_(new Index(knowledge)) {}
QualityEstimator::~QualityEstimator() = default;

PreparedModel QualityEstimator::prepare(const Model& model) const { return index_->prepare(model); }

PreparedTreatment QualityEstimator::prepare(const Variant& variant) const {
  if (variant.technique == "none" && variant.sparsity == 0) {  // what the publisher ships, whatever its bits
    PreparedTreatment same;
    same.uncompressed = true;
    return same;
  }
  return index_->prepare(treatment_of(variant));
}

PreparedTask QualityEstimator::prepare(const Yardstick& yardstick) const {
  return index_->prepare(yardstick, yardstick.baseline, index_->model.is_perplexity(yardstick));
}

std::optional<QualityNumbers> QualityEstimator::numbers(const PreparedModel& model, const PreparedTreatment& treatment,
                                                        const PreparedTask& task) const {
  return index_->numbers(model, treatment, task, false);
}

std::optional<Retention> QualityEstimator::retention(const Model& model, const Variant& variant,
                                                     const Yardstick& yardstick) const {
  return retention(prepare(model), prepare(variant), prepare(yardstick), variant);
}

std::optional<Retention> QualityEstimator::retention(const PreparedModel& model, const PreparedTreatment& treatment,
                                                     const PreparedTask& task, const Variant& variant) const {
  if (treatment.uncompressed) return Retention{{1, 0, 30}, Basis::measured, 0, {}, "not compressed"};
  const auto answer = numbers(model, treatment, task);
  if (!answer) return std::nullopt;
  Retention result{answer->distribution, answer->basis, answer->rows, {}, ""};
  index_->explain(model, treatment, task, treatment_of(variant), result.sources, result.how);
  return result;
}

std::optional<Prediction> QualityEstimator::predict(const QualityCase& question) const {
  const bool perplexity = question.measure == "perplexity";
  const auto m = index_->prepare(question.model);
  const auto t = index_->prepare(question.treatment);
  const auto y = index_->prepare(question.yardstick, question.baseline, perplexity);
  const auto answer = index_->numbers(m, t, y, perplexity);
  if (!answer) return std::nullopt;
  Prediction result{answer->distribution, answer->basis, answer->rows, {}, ""};
  index_->explain(m, t, y, question.treatment, result.sources, result.how);
  return result;
}

Distribution relative_to_baseline(const Distribution& recovery, double baseline, double chance) {
  if (baseline <= chance) return recovery;
  return recovery.scaled(chance / baseline, (baseline - chance) / baseline);
}

}  // namespace advisor
