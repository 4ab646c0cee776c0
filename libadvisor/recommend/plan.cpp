#include "recommend/plan.h"

#include <algorithm>
#include <cmath>

#include "core/units.h"
#include "estimate/launch.h"
#include "recommend/accuracy.h"
#include "recommend/backend.h"
#include "recommend/detail.h"
#include "route/variant_graph.h"

namespace advisor {

namespace {

StepKind kind_of(const std::string& kind) {
  if (kind == "prune") return StepKind::prune;
  if (kind == "sparsify") return StepKind::sparsify;
  if (kind == "convert") return StepKind::convert;
  return kind == "quantize_kv" ? StepKind::quantize_kv : StepKind::quantize;
}

/// Share of the quality that a part costs at most (lower end of its 90 % interval).
double loss_of(const Toolbox& tools, const Question& q, const CatalogModel& entry, const PreparedTreatment& part,
               int model) {
  const auto kept = tools.estimator.quality().numbers(entry.quality, part, q.standing(model).task);
  return kept ? std::clamp(1 - kept->distribution.quantile(0.05), 0.0, 1.0) : 1;
}

/// The way to one option as a graph: files without an engine are made step by step, then served.
class Ways {
 public:
  Ways(const Toolbox& tools, const Question& q, const CellJudge& judge, const Cell& cell, const Option& option)
      : tools_(tools),
        q_(q),
        judge_(judge),
        cell_(cell),
        option_(option),
        entry_(q.at(tools, cell.model)),
        treatment_(tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)]),
        applied_(judge.applied(cell)) {}

  /// Best first. Without `published` everything is made here.
  std::vector<PlanRoute> routes(bool published) {
    steps_.clear();
    VariantGraph graph(files_of(*q_.model));
    const int whole = add_switch(graph);
    int files = -1;
    if (treatment_.choice.origin != Origin::found) files = add_making(graph, whole);
    if (published && applied_.published != nullptr) files = add_published(graph, whole);
    if (files < 0) return {};
    add_serving(graph, files);
    RouteLimits limits;
    if (q_.profile.budget.hours_to_compress) limits.hours = *q_.profile.budget.hours_to_compress;
    auto found = graph.routes(graph.vertex(option_.variant), limits);
    if (found.empty()) found = graph.routes(graph.vertex(option_.variant));
    std::vector<PlanRoute> routes;
    for (const auto& route : found) routes.push_back(words(route));
    return routes;
  }

 private:
  Variant files_of(const Model& model) const {
    Variant variant;
    variant.model = model.id;
    const auto native = native_of(model);
    variant.scheme = native == Native::fp8 ? "W8A8-fp8" : native == Native::mxfp4 ? "W4A16-mxfp4" : "W16A16";
    return variant;
  }

  void add(VariantGraph& graph, StepKind kind, int from, int to, const StepCost& cost, PlanStep step) {
    if (from == to) return;
    step.kind = name(kind);
    graph.step({kind, from, to, cost, step.text});
    steps_.push_back(std::move(step));
  }

  int add_switch(VariantGraph& graph) {
    if (cell_.model == q_.current) return 0;
    const int whole = graph.vertex(files_of(*entry_.model));
    add(graph, StepKind::switch_model, 0, whole, {}, {"", "switch to " + entry_.model->id, "", {}, {}, {}});
    return whole;
  }

  /// The variant after the first `done` steps of making it, without engine and cache.
  Variant intermediate(std::size_t done) const {
    const auto& choice = treatment_.choice;
    Variant variant = done + 1 < making_steps() ? choice.parts[done] : option_.variant;
    variant.model = entry_.model->id;
    variant.engine.clear();
    variant.kv = "fp16";
    return variant;
  }
  std::size_t making_steps() const { return treatment_.choice.steps.size() - (treatment_.choice.quantized_kv ? 1 : 0); }

  int add_making(VariantGraph& graph, int from) {
    for (std::size_t i = 0; i < making_steps(); ++i) {
      const auto& making = treatment_.choice.steps[i];
      const int to = graph.vertex(intermediate(i));
      StepCost cost;
      PlanStep step;
      cost_of_making(i, making, cost, step);
      step.text = text_of_making(making, graph.variant(to));
      add(graph, kind_of(making.kind), from, to, cost, std::move(step));
      from = to;
    }
    return from;
  }

  void cost_of_making(std::size_t i, const MakingStep& making, StepCost& cost, PlanStep& step) const {
    const bool convert = making.kind == "convert";
    if (!convert && i < treatment_.parts.size())
      cost.quality_loss = loss_of(tools_, q_, entry_, treatment_.parts[i], cell_.model);
    const auto* work = convert ? nullptr : treatment_.work_of(entry_, i, cell_.by_tool);
    const auto& rates = judge_.job_rates();
    if (!rates || !entry_.work || (!convert && work == nullptr)) return;
    const auto job =
        job_cost(convert ? Job::convert : Job::compress, *entry_.work, work, option_.memory.weights, *rates);
    std::vector<std::string> sources;
    if (work != nullptr && !work->source.empty()) sources.emplace_back(work->source);
    step.hours = to_log_estimate(job.log_hours, Basis::modelled, 0, std::move(sources));
    step.peak_memory = job.peak_memory;
    cost.hours = step.hours->mean, cost.peak_memory = job.peak_memory;
    if (judge_.usd_per_hour()) step.usd = cost.usd = cost.hours * judge_.usd_per_hour()->mean;
  }

  std::string text_of_making(const MakingStep& making, const Variant& to) const {
    const bool own = making.recipe && entry_.backend && !cell_.by_tool;
    const std::string& id = entry_.model->id;
    const std::string with_recipe = " with advisor compress and the recipe";
    const std::string to_what = to.scheme + " (" + to.format + ")";
    if (making.kind == "convert")
      return "convert " + id + " to GGUF " + to.scheme + (own ? with_recipe : " with " + making.tool);
    if (making.kind == "prune" || making.kind == "sparsify")
      return (making.kind == "prune" ? "prune " : "make sparse ") + percent(to.sparsity) + " (" + to.pattern + ") of " +
             id + " with " + making.technique + " in " + making.tool + why_other(making);
    if (!treatment_.choice.upper.empty())
      return "give each layer " + treatment_.choice.variant.scheme + " or " + treatment_.choice.upper + ", " +
             format_number(std::round(cell_.mixed_bits * 1000) / 1000) + " bits per weight on average, by sensitivity" +
             (own ? "," + with_recipe : " with " + making.tool + why_other(making));
    if (!own) return "make " + to_what + " with " + making.technique + " in " + making.tool + why_other(making);
    if (treatment_.choice.recipe() == nullptr)  // a part of it
      return "compress what is left to " + to.scheme + " with advisor compress --technique " +
             making.recipe->steps.front().technique + " --scheme " + making.recipe->steps.front().scheme;
    return "compress " + id + " to " + to_what + with_recipe;
  }
  /// Why not libadvisor.
  std::string why_other(const MakingStep& making) const {
    if (!making.recipe) return "; libadvisor does not execute this technique";
    if (!entry_.backend) return "; libadvisor does not run " + entry_.model->id;
    return ": libadvisor would take longer than the " + format_number(*q_.profile.budget.hours_to_compress) +
           " hours of budget.hours_to_compress";
  }

  int add_published(VariantGraph& graph, int from) {
    const auto& row = *applied_.published;
    Variant made = option_.variant;
    made.engine.clear();
    made.kv = "fp16";
    StepCost cost;
    for (const auto& part : treatment_.parts) cost.quality_loss += loss_of(tools_, q_, entry_, part, cell_.model);
    if (treatment_.choice.origin == Origin::found)
      cost.quality_loss = std::clamp(1 - cell_.recovery.quantile(0.05), 0.0, 1.0);
    const int to = graph.vertex(made);
    add(graph, StepKind::use_published, from, to, cost,
        {"",
         "use the published checkpoint " + row.checkpoint + " (" + row.scheme + ", " + row.format +
             (row.official ? ", official)" : ", by " + row.publisher + ")"),
         "",
         Estimate{0, 0, 0, 0, 0.9, Basis::modelled, 0, {}},
         0.0,
         {}});
    return to;
  }

  void add_serving(VariantGraph& graph, int files) {
    const Variant before = graph.variant(files);
    if (treatment_.choice.quantized_kv) {
      Variant cached = before;
      cached.kv = option_.variant.kv;
      StepCost cost;
      if (const auto* cache = cache_of(tools_, q_, treatment_))
        cost.quality_loss = std::clamp(1 - cache->recovery.quantile(0.05), 0.0, 1.0);
      const int to = graph.vertex(cached);
      add(graph, StepKind::quantize_kv, files, to, cost,
          {"", "keep the KV cache in " + cached.kv + " (a setting of " + option_.variant.engine + ")", "", {}, {}, {}});
      files = to;
    }
    std::string text = "run it with " + option_.variant.engine;
    for (const auto& [key, value] : option_.launch) text += " --" + key + " " + value;
    add(graph, StepKind::serve, files, graph.vertex(option_.variant), {},
        {"", std::move(text), option_.launch_command, {}, {}, {}});
  }

  PlanRoute words(const Route& route) const {
    PlanRoute plan;
    double mean = 0, squares = 0;
    std::vector<std::string> sources;
    bool any = false;
    for (const int index : route.steps) {
      const auto& step = steps_[static_cast<std::size_t>(index)];
      plan.steps.push_back(step);
      if (!step.hours) continue;
      any = true;
      mean += step.hours->mean, squares += step.hours->sd * step.hours->sd;
      sources.insert(sources.end(), step.hours->sources.begin(), step.hours->sources.end());
    }
    if (any) {
      plan.hours = mean > 0
                       ? to_log_estimate({std::log(mean), std::sqrt(squares) / mean, 30}, Basis::modelled, 0, sources)
                       : Estimate{0, 0, 0, 0, 0.9, Basis::modelled, 0, {}};
      if (judge_.usd_per_hour()) plan.usd = route.total.usd;
      plan.peak_memory = route.total.peak_memory;
    }
    return plan;
  }

  const Toolbox& tools_;
  const Question& q_;
  const CellJudge& judge_;
  const Cell& cell_;
  const Option& option_;
  const CatalogModel& entry_;
  const CatalogTreatment& treatment_;
  const Applied& applied_;
  std::vector<PlanStep> steps_;  ///< as in the graph
};

std::optional<Recipe> recipe_of(const CatalogModel& model, const CatalogTreatment& treatment, const Cell& cell) {
  const auto* recipe = treatment.choice.recipe();
  if (recipe == nullptr || !model.backend || cell.by_tool) return std::nullopt;
  auto made = *recipe;
  if (made.budget) made.budget->bits_per_weight = std::round(cell.mixed_bits * 1e6) / 1e6;
  return made;
}

}  // namespace

void add_plan(const Toolbox& tools, const Question& q, CellJudge& judge, const Cell& cell, Option& option) {
  const auto& treatment = tools.catalog.treatments()[static_cast<std::size_t>(cell.treatment)];
  const auto& row = judge.applied(cell).published;
  const auto& load = q.profile.workload;
  const auto& model = option.variant.model;
  option.recipe = recipe_of(q.at(tools, cell.model), treatment, cell);
  const bool made =
      row == nullptr && !treatment.choice.steps.empty() && treatment.choice.steps.front().kind != "quantize_kv";
  auto started = launch(option.variant, q.hardware, load.context, load.concurrency,
                        row != nullptr ? row->checkpoint
                        : made         ? "OUT"
                                       : model,
                        option.memory.host ? &*option.memory.host : nullptr);
  option.launch = std::move(started.settings);
  option.launch_command = std::move(started.command);
  if (option.recipe) {
    const std::string folder = q.own && cell.model == q.current ? model : "MODEL";
    option.apply_command = "advisor apply RECOMMENDATION.json --option " + std::to_string(option.rank) + " --model " +
                           folder + " --out OUT" + (needs_calibration(*option.recipe) ? " --calibration TEXT" : "");
    option.verify_command = "advisor evaluate OUT --baseline " + folder + " --suite SUITE";
  }
  Ways ways(tools, q, judge, cell, option);
  auto routes = ways.routes(true);
  // A checkpoint of somebody else costs no work, but not everybody trusts it: the way without it is told as well.
  if (row != nullptr && !row->official && treatment.choice.origin == Origin::made)
    for (auto& other : ways.routes(false)) routes.push_back(std::move(other));
  if (row != nullptr) {
    option.published_checkpoint = row->checkpoint;
    option.evidence.push_back({"published_checkpoint",
                               row->checkpoint,
                               "published by " + row->publisher + "; listed, not tested for existence",
                               {row->url}});
  }
  if (routes.empty()) return;
  option.route = std::move(routes.front());
  option.other_routes.assign(std::make_move_iterator(routes.begin() + 1), std::make_move_iterator(routes.end()));
  for (const auto& step : option.route.steps) option.steps.push_back(step.text);
}

}  // namespace advisor
