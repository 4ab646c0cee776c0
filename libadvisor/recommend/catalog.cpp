#include "recommend/catalog.h"

#include <algorithm>
#include <string_view>
#include <tuple>

#include "estimate/layout.h"
#include "estimate/memory.h"
#include "estimate/weights.h"
#include "recommend/backend.h"

namespace advisor {

namespace {

/// "W4A16" in the matrix covers "W4A16-g128", "W8A8" covers "W8A8-int8" but not "W8A8-fp8".
bool covers(std::string_view row, const std::string& scheme) {
  if (row == scheme) return true;
  if (row.empty() || !std::string_view(scheme).starts_with(std::string(row) + "-")) return false;
  const auto grid = describe_scheme(scheme).grid;
  return grid.empty() || grid == "int8" || grid == "int4" || row.find(grid) != std::string_view::npos;
}

int permissiveness(const EngineSupport& row) {
  return row.supported == "yes" ? 2 : row.supported == "emulated" ? 1 : 0;
}

bool is_mixture(const Model& model) {
  return model.active_params && model.params && *model.active_params < 0.9 * *model.params;
}

/// Official ones first, then by name.
bool better(const PublishedCheckpoint& a, const PublishedCheckpoint* b) {
  return b == nullptr || std::tuple(!a.official, a.checkpoint) < std::tuple(!b->official, b->checkpoint);
}

/// All that the bytes of weights depend on, beside the model.
using Storage = std::tuple<std::string, std::string, double, std::string, std::string>;
Storage storage_of(const TreatmentChoice& choice) {
  const auto& variant = choice.variant;
  return {variant.scheme, variant.format, variant.sparsity, variant.pattern, choice.upper};
}

/// All that the quality of the weights depends on, beside the model.
std::string quality_of_weights(const TreatmentChoice& choice) {
  std::string key = choice.origin == Origin::found ? "found" : "made";
  for (const auto& part : choice.parts)
    key += '|' + part.technique + '|' + part.scheme + '|' + std::to_string(part.sparsity) + '|' + part.pattern;
  return key + (choice.upper.empty() ? "" : "|mixed");
}
std::string quality_of(const TreatmentChoice& choice) {
  return quality_of_weights(choice) + (choice.quantized_kv ? "|kv-" + choice.variant.kv : "");
}

/// Weights of so few bits, activations and cache aside: what "the same compression" means.
bool same_family(const CatalogTreatment& a, const CatalogTreatment& b) {
  return a.scheme.weight_bits == b.scheme.weight_bits && a.scheme.activation_bits == b.scheme.activation_bits &&
         a.choice.variant.format == b.choice.variant.format && a.choice.variant.sparsity == b.choice.variant.sparsity;
}

}  // namespace

namespace {

/// Several lines may speak (kernels, versions): one that runs it is enough; then by source, so no order matters.
const EngineSupport* best_of(const SupportRows& rows, const Variant& variant) {
  const EngineSupport* best = nullptr;
  for (const auto* row : rows) {
    if (row->engine != variant.engine || !speaks_for(*row, variant.format, variant.scheme)) continue;
    if (best == nullptr || permissiveness(*row) > permissiveness(*best) ||
        (permissiveness(*row) == permissiveness(*best) && row->source < best->source))
      best = row;
  }
  return best;
}

SupportRows rows_of(const Knowledge& knowledge, const std::string& generation) {
  SupportRows rows;
  for (const auto& row : knowledge.engine_support)
    if (row.generation == generation) rows.push_back(&row);
  return rows;
}

}  // namespace

bool speaks_for(const EngineSupport& row, const std::string& format, const std::string& scheme) {
  const auto colon = row.format.find(':');
  if (std::string_view(row.format).substr(0, colon) != format) return false;
  return colon == std::string::npos || covers(std::string_view(row.format).substr(colon + 1), scheme);
}

const EngineSupport* find_support(const Knowledge& knowledge, const Variant& variant, const std::string& generation) {
  return best_of(rows_of(knowledge, generation), variant);
}

Catalog::Catalog(const Knowledge& knowledge, const Estimator& estimator)
    : knowledge_(knowledge), estimator_(estimator), evidence_(std::make_shared<const EvidenceCounts>(knowledge)) {
  add_treatments();
  std::vector<const Model*> sorted;
  for (const auto& model : knowledge.models) sorted.push_back(&model);
  std::sort(sorted.begin(), sorted.end(), [](const Model* a, const Model* b) { return a->id < b->id; });
  models_.reserve(sorted.size());
  for (const auto* model : sorted) models_.push_back(prepare(*model));
  for (const auto& entry : models_) most_cells_ += entry.applied.size();
}

struct Catalog::Alike {
  std::map<std::string, const Technique*> techniques;
  std::map<std::tuple<std::string, std::string, std::string>, int> run;  // by engine, format and scheme
  std::map<Storage, int> stored;
  std::map<std::string, int> kept, weights_kept;
};

void Catalog::add_treatments() {
  Alike alike;
  for (const auto& technique : knowledge_.techniques) alike.techniques[technique.id] = &technique;
  for (auto& choice : all_treatments(knowledge_)) add_treatment(std::move(choice), alike);
  general_ = treatments_.size();
}

void Catalog::add_treatment(TreatmentChoice choice, Alike& alike) {
  CatalogTreatment entry;
  const auto& variant = choice.variant;
  entry.scheme = describe_scheme(variant.scheme);
  entry.id_tail = variant.id();  // of no model
  for (const auto& part : choice.parts) entry.parts.push_back(estimator_.quality().prepare(part));
  entry.evidence = evidence_->of(choice.parts);
  if (const auto found = alike.techniques.find(variant.technique); found != alike.techniques.end())
    entry.technique = found->second;
  entry.facts = treatment_facts(variant, entry.technique, nullptr);
  entry.of_candidates.set("plan.retrained", Value(choice.origin == Origin::found));
  entry.of_candidates.set("plan.is_qat", Value(choice.origin == Origin::found && variant.technique == "qat"));
  if (entry.evidence) {
    entry.of_estimates.set("quality.knowledge_rows", Value(static_cast<double>(entry.evidence->knowledge)));
    entry.of_estimates.set("quality.perplexity_only", Value(entry.evidence->perplexity_only()));
  }
  entry.of_candidates.leave_open(), entry.of_estimates.leave_open();
  // Mixed precision is one job, two factors of quality.
  if (choice.origin == Origin::made)
    for (const auto& step : choice.steps)
      if (step.kind != "quantize_kv")
        entry.work.push_back({step.recipe ? &own_work(*step.recipe) : nullptr, technique_work(step.technique)});
  if (const auto* recipe = choice.recipe(); recipe != nullptr && needs_calibration(*recipe))
    entry.facts.set("technique.needs_calibration", Value(true));
  entry.kv_value_bytes = kv_value_bytes(variant.kv);
  entry.kv_bits = choice.quantized_kv ? kv_bits(variant.kv) : 16;
  if (!choice.upper.empty()) entry.upper_bits = bits_per_weight(choice.upper);
  const auto engine = std::find(engines_.begin(), engines_.end(), variant.engine);
  entry.engine = static_cast<int>(engine - engines_.begin());
  if (engine == engines_.end()) engines_.push_back(variant.engine);
  const auto number = [](auto& known, const std::string& quality) {
    return known.try_emplace(quality, static_cast<int>(known.size())).first->second;
  };
  entry.weights_kept_as = number(alike.weights_kept, quality_of_weights(choice));
  entry.kept_as = number(alike.kept, quality_of(choice));
  kept_ = static_cast<int>(alike.kept.size()), weights_kept_ = static_cast<int>(alike.weights_kept.size());
  const int index = static_cast<int>(treatments_.size());
  entry.stored_as = alike.stored.try_emplace(storage_of(choice), index).first->second;
  entry.runs_as = alike.run.try_emplace({variant.engine, variant.format, variant.scheme}, index).first->second;
  entry.whole = choice.origin == Origin::as_published && !choice.quantized_kv;
  entry.choice = std::move(choice);
  treatments_.push_back(std::move(entry));
}

Catalog::Catalog(const Catalog& general, const std::vector<AskedTreatment>& asked)
    : knowledge_(general.knowledge_),
      estimator_(general.estimator_),
      evidence_(general.evidence_),
      treatments_(general.treatments_),
      engines_(general.engines_),
      models_(general.models_),
      general_(general.general_),
      most_cells_(general.most_cells_ + asked.size()),
      kept_(general.kept_),
      weights_kept_(general.weights_kept_) {
  Alike alike;
  for (const auto& technique : knowledge_.techniques) alike.techniques[technique.id] = &technique;
  for (const auto& known : treatments_) {
    const auto& variant = known.choice.variant;
    alike.run.emplace(std::tuple(variant.engine, variant.format, variant.scheme), known.runs_as);
    alike.stored.emplace(storage_of(known.choice), known.stored_as);
    alike.kept.emplace(quality_of(known.choice), known.kept_as);
    alike.weights_kept.emplace(quality_of_weights(known.choice), known.weights_kept_as);
  }
  for (const auto& one : asked) {
    add_treatment(one.choice, alike);
    treatments_.back().only_for = one.model;
    treatments_.back().same_as = one.same_as;
    const int model = find(one.model);
    if (model < 0) continue;  // a checkpoint at hand, which prepare() describes
    auto& entry = models_[static_cast<std::size_t>(model)];
    const auto layout = layout_of(*entry.model);
    apply(entry, treatments_.size() - 1, layout ? &*layout : nullptr, nullptr);
    add_published(entry, entry.applied.size() - 1);
    asked_models_.push_back(model);
  }
  std::sort(asked_models_.begin(), asked_models_.end());
  asked_models_.erase(std::unique(asked_models_.begin(), asked_models_.end()), asked_models_.end());
}

bool Catalog::has(const CatalogModel& entry, const CatalogTreatment& treatment) const {
  return treatment.asked() ? treatment.only_for == entry.model->id : applies(treatment.choice, entry.native);
}

/// `alike`: another treatment of the model that is stored alike; nullptr: none so far. `layout`: nullptr: unknown.
void Catalog::apply(CatalogModel& entry, std::size_t index, const Layout* layout, const Applied* alike) const {
  Applied applied;
  const auto& treatment = treatments_[index];
  if (alike != nullptr) {
    applied = *alike;
  } else if (layout != nullptr) {
    auto variant = treatment.choice.variant;
    const auto format = weight_format(variant, *entry.model);
    const auto bytes = estimate_weights(*entry.model, *layout, format);
    applied.stored = bytes.bytes, applied.read = bytes.read_bytes;
    if (variant.format == "gguf")
      if (auto layers = layer_bytes(*layout, format))
        applied.layers = std::make_shared<const LayerBytes>(std::move(*layers));
    if (!treatment.asked()) entry.active_params = bytes.active_params;
    if (!treatment.choice.upper.empty()) {
      variant.scheme = treatment.choice.upper;
      const auto upper = estimate_weights(*entry.model, *layout, weight_format(variant, *entry.model));
      applied.upper_stored = upper.bytes, applied.upper_read = upper.read_bytes;
    }
  }
  applied.treatment = static_cast<int>(index);
  entry.applied.push_back(applied);
}

CatalogModel Catalog::prepare(const Model& model) const {
  CatalogModel entry;
  entry.model = &model;
  entry.native = native_of(model);
  entry.mixture = is_mixture(model);
  entry.backend = backend_runs(model);
  entry.kv = kv_layout(model);
  entry.quality = estimator_.quality().prepare(model);
  entry.speeds = estimator_.speed().measured(model.id);
  entry.facts = model_facts(model);
  const auto layout = layout_of(model);
  entry.has_size = layout && entry.kv;
  if (layout) {
    entry.weights_spread = weights_spread(layout->basis);
    entry.work = model_work(model, *layout);
  }
  std::vector<int> made(treatments_.size(), -1);  // many are stored alike
  for (std::size_t i = 0; i < treatments_.size(); ++i) {
    if (!has(entry, treatments_[i])) continue;
    auto& alike = made[static_cast<std::size_t>(treatments_[i].stored_as)];
    if (alike < 0) alike = static_cast<int>(entry.applied.size());
    const auto known = static_cast<std::size_t>(alike);
    const Applied same = known < entry.applied.size() ? entry.applied[known] : Applied{};
    apply(entry, i, layout ? &*layout : nullptr, known < entry.applied.size() ? &same : nullptr);
  }
  add_published(entry, 0);
  return entry;
}

void Catalog::add_published(CatalogModel& entry, std::size_t first) const {
  const auto treatment = [&](const Applied& applied) -> const CatalogTreatment& {
    return treatments_[static_cast<std::size_t>(applied.treatment)];
  };
  for (const auto& row : knowledge_.published) {
    if (row.model != entry.model->id) continue;
    for (std::size_t i = first; i < entry.applied.size(); ++i) {
      auto& applied = entry.applied[i];
      if (holds(row, treatment(applied).choice) && better(row, applied.published)) applied.published = &row;
    }
  }
  // What somebody made is only there when somebody published it.
  std::erase_if(entry.applied, [&](const Applied& applied) {
    const auto& what = treatment(applied);
    return what.choice.origin == Origin::found && !what.asked() && applied.published == nullptr;
  });
  entry.retrained = std::any_of(entry.applied.begin(), entry.applied.end(), [&](const Applied& applied) {
    return treatment(applied).choice.origin == Origin::found;
  });
  for (std::size_t i = std::min(first, entry.applied.size()); i < entry.applied.size(); ++i) {
    auto& applied = entry.applied[i];
    const auto& mine = treatment(applied);
    if (mine.choice.origin == Origin::as_published) continue;
    for (const auto& other : entry.applied) {
      const auto& theirs = treatment(other);
      if (other.published == nullptr || theirs.asked()) continue;  // asking changes nothing of the others
      if (other.published->official && same_family(mine, theirs) && better(*other.published, applied.official))
        applied.official = other.published;
      if (theirs.choice.origin == Origin::found && theirs.scheme.weight_bits <= mine.scheme.weight_bits &&
          mine.engine == theirs.engine && better(*other.published, applied.qat))
        applied.qat = other.published;
    }
  }
}

int Catalog::find(const std::string& model) const {
  const auto place = std::lower_bound(models_.begin(), models_.end(), model,
                                      [](const CatalogModel& a, const std::string& id) { return a.model->id < id; });
  return place != models_.end() && place->model->id == model ? static_cast<int>(place - models_.begin()) : -1;
}

const EngineSupport* Catalog::support(const CatalogTreatment& treatment, const SupportRows& generation) const {
  const auto& choice = treatment.choice;
  const auto* support = best_of(generation, choice.variant);
  if (choice.upper.empty() || support == nullptr) return support;
  // Mixed precision runs where both of its schemes do.
  const auto* upper = best_of(generation, choice.parts.back());
  return upper == nullptr || permissiveness(*upper) < permissiveness(*support) ? upper : support;
}

const std::vector<FactLayer>& Catalog::facts(const std::string& generation) const {
  const std::scoped_lock lock(mutex_);
  auto& known = facts_[generation];
  if (!known) {
    auto layers = std::make_unique<std::vector<FactLayer>>();
    const auto rows = rows_of(knowledge_, generation);
    for (const auto& treatment : treatments_) {
      layers->push_back(treatment.facts);
      add_support(layers->back(), support(treatment, rows));
    }
    known = std::move(layers);
  }
  return *known;
}

}  // namespace advisor
