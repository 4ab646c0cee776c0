// The facade over one point: names resolved, defaults filled in and printed, only the needed rows loaded.
#include <algorithm>
#include <iterator>
#include <map>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "estimate/estimator.h"
#include "estimate/kv_cache.h"
#include "facade_resolve.h"
#include "io/database.h"
#include "io/local_database.h"
#include "recommend/consider.h"
#include "recommend/toolbox.h"
#include "rules/facts.h"
#include "rules/rule_set.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

using Defaults = std::map<std::string, std::string>;

void fill_variant(const Profile& profile, Variant& variant, Defaults& defaults) {
  variant.model = profile.model;
  if (profile.engine != "any") variant.engine = profile.engine;
  const Variant asked = variant;
  complete(variant);
  for (const auto& [option, member] : {std::pair{"scheme", &Variant::scheme},
                                       {"technique", &Variant::technique},
                                       {"format", &Variant::format},
                                       {"engine", &Variant::engine},
                                       {"kv", &Variant::kv}})
    if ((asked.*member).empty()) defaults[option] = variant.*member;
  if (const auto known = kv_formats(); std::find(known.begin(), known.end(), variant.kv) == known.end()) {
    throw Error(ErrorCode::invalid_argument, "unknown number format of the KV cache \"" + variant.kv + '"' +
                                                 did_you_mean(variant.kv, known) + "; known: " + join(known));
  }
}

/// A prompt and its answer have to fit the context: it grows unless somebody set it.
void fill_workload(Profile& profile, Defaults& defaults) {
  auto& workload = profile.workload;
  const auto needed = workload.input_tokens + workload.output_tokens;
  const auto given = [&](const char* path) { return profile.given.contains(path); };
  if (needed > workload.context) {
    if (given("workload.context")) {
      throw Error(ErrorCode::invalid_argument,
                  "context " + std::to_string(workload.context) + " holds less than the prompt of " +
                      std::to_string(workload.input_tokens) + " and the answer of " +
                      std::to_string(workload.output_tokens) + " tokens; raise --context or lower --input or --output");
    }
    workload.context = needed;
  }
  for (const auto& [path, option, value] : {std::tuple{"workload.context", "context", workload.context},
                                            {"workload.input_tokens", "input", workload.input_tokens},
                                            {"workload.output_tokens", "output", workload.output_tokens},
                                            {"workload.concurrency", "concurrency", workload.concurrency}})
    if (!given(path)) defaults[option] = std::to_string(value);
}

template <typename Item>
const Item& named(const std::vector<Item>& items, const std::string& id, const std::string& what,
                  const std::string& list) {
  std::vector<std::string> ids;
  for (const Item& item : items) {
    if (item.id == id) return item;
    ids.push_back(item.id);
  }
  throw Error(ErrorCode::not_found, "unknown " + what + " \"" + id + "\"" + did_you_mean(id, ids) +
                                        " ('advisor catalog " + list + "' lists them)");
}

const Device& device_of(const Probe& machine) {
  return (machine.gpus.empty() ? machine.cpu : machine.gpus.front()).device;
}

/// What the matrix of what engines load says about machines of the catalog is for rules; its silence is worth a word.
void check_engine(const Knowledge& knowledge, const Hardware& hardware, PointEstimate& answer) {
  const Variant& variant = answer.request.variant;
  if (hardware.device.generation.empty()) return;
  const std::string what =
      variant.engine + " with " + variant.format + " " + variant.scheme + " on " + hardware.device.generation;
  if (find_support(knowledge, variant, hardware.device.generation) == nullptr && variant.format != "safetensors")
    answer.warnings.push_back("the engine matrix says nothing about " + what);
}

void set_estimates(const std::vector<NamedEstimate>& estimates, const std::string& task, FactSheet& sheet) {
  static const std::map<std::string, const char*> facts{{"memory.weights", "memory.weights"},
                                                        {"memory.kv_cache", "memory.kv_cache"},
                                                        {"memory.overhead", "memory.overhead"},
                                                        {"memory.total", "memory.total"},
                                                        {"memory.available", "memory.available"},
                                                        {"quality.value", "quality.mean"},
                                                        {"quality.retention", "quality.retention"},
                                                        {"decode_tokens_per_second", "speed.decode"},
                                                        {"ttft_seconds", "speed.ttft"},
                                                        {"tpot_seconds", "speed.tpot"}};
  for (const auto& named : estimates) {
    if (!named.estimate || (!named.task.empty() && named.task != task)) continue;
    const auto& value = *named.estimate;
    if (const auto fact = facts.find(named.name); fact != facts.end()) sheet.set(fact->second, Value(value.mean));
    if (named.name == "quality.value") sheet.set("quality.low", Value(value.low));
    if (named.name == "quality.baseline")
      sheet.set("quality.baseline_predicted", Value(value.basis != Basis::measured));
    if (named.name != "quality.retention") continue;
    sheet.set("quality.rows", Value(static_cast<double>(value.n)));
    sheet.set("quality.basis", Value(std::string(name(value.basis))));
  }
  const auto share = [&](const char* fact, const char* part, const char* whole) {
    const auto *top = sheet.find(part), *bottom = sheet.find(whole);
    if (top != nullptr && bottom != nullptr) sheet.set(fact, Value(std::get<double>(*top) / std::get<double>(*bottom)));
  };
  share("memory.share", "memory.total", "memory.available");
  share("memory.kv_share", "memory.kv_cache", "memory.total");
}

void set_plan(const Knowledge& knowledge, const Variant& variant, FactSheet& sheet) {
  const bool whole = variant.technique == "none" && variant.sparsity == 0 && kv_bits(variant.kv) >= 16;
  TreatmentChoice choice;
  choice.variant = variant;
  choice.parts = {variant};
  const PublishedCheckpoint* published = nullptr;
  for (const auto& row : knowledge.published)
    if (row.model == variant.model && holds(row, choice)) published = &row;
  sheet.set("plan.action", whole ? "keep" : "compress");
  sheet.set("plan.current_model", Value(true));
  sheet.set("plan.retrained", Value(is_retrained(variant.technique)));
  sheet.set("plan.is_qat", Value(variant.technique == "qat"));
  sheet.set("plan.uses_published", Value(published != nullptr));
}

/// What forbids the point or warns of it. A rule that fires for every task alike is said once.
std::vector<PointRule> rules_that_fire(const RuleSet& rules, const Knowledge& knowledge, const Point& point,
                                const PointEstimate& answer) {
  const auto technique = std::find_if(knowledge.techniques.begin(), knowledge.techniques.end(),
                                      [&](const Technique& one) { return one.id == point.variant.technique; });
  const auto tasks = point.tasks.empty() ? std::vector<Task>(1) : point.tasks;
  std::map<std::tuple<bool, std::string, std::string>, std::vector<PointRule>> found;  // forbids first, then by id
  for (const auto& task : tasks) {
    Profile profile = answer.request.profile;
    (task.kind == "type" ? profile.task.type : profile.task.benchmark) = task.id;
    const auto& device = point.hardware.device;
    auto sheet = collect(profile, point.hardware, point.model, point.variant, task,
                         technique == knowledge.techniques.end() ? nullptr : &*technique,
                         find_support(knowledge, point.variant, device.generation));
    set_plan(knowledge, point.variant, sheet);
    set_estimates(answer.estimates, task.id, sheet);
    const auto findings = rules.apply(sheet, "variant");
    for (const auto* list : {&findings.forbids, &findings.warns})
      for (const auto& one : *list)
        found[{one.kind != "forbid", one.rule, one.reason}].push_back(
            {one.rule, one.kind, one.code, task.id, one.reason, one.sources});
  }
  std::vector<PointRule> all;
  for (auto& [key, same] : found) {
    if (same.size() == tasks.size()) same.resize(1), same.front().task.clear();
    std::move(same.begin(), same.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace

/// The rows of one model and one machine are all that a point needs and load in a tenth of the time. Everything when an
/// id is not in the catalog, so that the error can name the nearest, or when it is loaded anyway. A checkpoint folder
/// has no rows of its own but those recorded under its name.
std::shared_ptr<const Knowledge> Advisor::knowledge_of(const Variant& variant, const std::string& hardware,
                                                       const std::vector<std::string>& tasks, bool folder) const {
  if (!state_->is_loaded) {
    Selection only{variant.model, hardware.empty() ? "none" : hardware, tasks,
                   variant.engine};  // explicit numbers have no rows
    const bool local = !state_->local.empty() && fs::exists(state_->local);
    if (local) only.tasks.reset();  // the user's rows may be of any task
    Knowledge some = load_knowledge(find_data(state_->data_dir) / "advisor.db", only);
    if (local) append_local(some, state_->local, variant.model);
    if ((folder || !some.models.empty()) && (hardware.empty() || !some.devices.empty()))
      return std::make_shared<const Knowledge>(std::move(some));
  }
  return {state_, &knowledge()};
}

PointEstimate Advisor::estimate(const PointRequest& request) const {
  PointEstimate answer;
  answer.request = request;
  Profile& profile = answer.request.profile;
  if (profile.model.empty()) {
    throw Error(ErrorCode::invalid_argument, "model: a catalog id ('advisor catalog models') or a checkpoint folder");
  }
  fill_variant(profile, answer.request.variant, answer.defaults);
  fill_workload(profile, answer.defaults);
  std::error_code ec;
  const bool folder = fs::exists(profile.model, ec);
  std::optional<Probe> machine;
  if (profile.hardware.id == "auto") machine = probe();
  const auto knowledge = knowledge_of(answer.request.variant, machine ? device_of(*machine).id : profile.hardware.id,
                                      request.tasks, folder);
  Point point;
  point.model = folder ? model_of(profile.model) : named(knowledge->models, profile.model, "model", "models");
  point.variant = answer.request.variant;
  named(knowledge->techniques, point.variant.technique, "technique", "techniques");
  if (!profile.hardware.id.empty() || profile.hardware.memory || profile.hardware.bandwidth)
    answer.hardware = find_hardware(profile, *knowledge, machine ? &*machine : nullptr);
  point.hardware = answer.hardware;
  for (const std::string& id : request.tasks) point.tasks.push_back(named(knowledge->tasks, id, "task", "tasks"));
  const auto& workload = profile.workload;
  point.context = workload.context;
  point.load.input_tokens = workload.input_tokens;
  point.load.output_tokens = workload.output_tokens;
  point.load.concurrency = workload.concurrency;
  point.usd_per_hour = request.usd_per_hour;
  if (!request.utilisation) answer.defaults["utilisation"] = format_number(assumed_utilisation);
  point.utilisation = answer.request.utilisation.emplace(request.utilisation.value_or(assumed_utilisation));
  point.level = request.level;
  answer.estimates = Estimator(*knowledge).at(point);
  check_engine(*knowledge, answer.hardware, answer);
  const auto rules =
      RuleSet::compile(state_->is_loaded ? knowledge->rules : rules_in_use(find_data(state_->data_dir), state_->rules));
  answer.rules = rules_that_fire(rules, *knowledge, point, answer);
  answer.knowledge_digest = knowledge->digest + (state_->is_loaded ? "" : digest_of_rules(state_->rules));
  return answer;
}

}  // namespace advisor
