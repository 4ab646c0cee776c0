#include "recommend/question.h"

#include <algorithm>

#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"
#include "core/units.h"
#include "estimate/cost.h"
#include "estimate/offload.h"
#include "recommend/accuracy.h"
#include "recommend/treatments.h"

namespace advisor {

namespace {

void resolve_model(const Toolbox& tools, const Model* checkpoint_model, Question& q) {
  if (checkpoint_model != nullptr) {
    q.model = checkpoint_model;
    q.own = std::make_shared<const CatalogModel>(tools.catalog.prepare(*checkpoint_model));
    return;
  }
  q.current = tools.catalog.find(q.profile.model);
  if (q.current >= 0) {
    q.model = tools.catalog.models()[static_cast<std::size_t>(q.current)].model;
    return;
  }
  std::vector<std::string> ids;
  for (const auto& entry : tools.catalog.models()) ids.push_back(entry.model->id);
  throw Error(ErrorCode::not_found, "model: \"" + q.profile.model +
                                        "\" is neither a catalog id nor a checkpoint folder" +
                                        did_you_mean(q.profile.model, ids));
}

const Task& resolve_task(const Profile& profile, const Toolbox& tools) {
  const bool benchmark = !profile.task.benchmark.empty();
  const auto& id = benchmark ? profile.task.benchmark : profile.task.type;
  const auto found = tools.tasks.find(id);
  if (found != tools.tasks.end() && (found->second->kind == "type") == !benchmark) return *found->second;
  std::vector<std::string> ids;
  for (const auto& [name, task] : tools.tasks)
    if ((task->kind == "type") == !benchmark) ids.push_back(name);
  throw Error(ErrorCode::not_found, std::string(benchmark ? "task.benchmark" : "task.type") + ": \"" + id +
                                        "\" is not a known " + (benchmark ? "benchmark" : "task type") +
                                        did_you_mean(id, ids));
}

/// Where scores of uncompressed models are from.
std::string scores_text(const Question& q) {
  const auto& [task, harness, mode] = *q.table;
  std::string text = task + (harness.empty() ? ", in no published table" : " as reported by " + harness);
  if (!mode.empty()) text += " (" + mode + ")";
  if (q.baseline && q.baseline->predicted()) text += "; that of " + q.model->id + " is " + describe(*q.baseline);
  return text;
}

/// Nobody asks for more context than the model in use can read by leaving the context out: the default then is what it
/// can, shared by prompt and answer as the defaults share theirs.
void fit_default_context(Question& q) {
  auto& workload = q.profile.workload;
  const auto longest = q.model->max_context.value_or(0);
  const auto given = [&](const char* field) { return q.profile.given.contains(field); };
  if (longest <= 0 || longest >= workload.context || given("workload.context")) return;
  if (workload.input_tokens + workload.output_tokens > longest) {
    if (given("workload.input_tokens") || given("workload.output_tokens")) return;  // they need the longer context
    workload.output_tokens = std::max<std::int64_t>(1, longest / 5);
    workload.input_tokens = std::max<std::int64_t>(1, longest - workload.output_tokens);
  }
  workload.context = longest;
}

/// Without a limit every compression would do.
void add_default_limit(Question& q) {
  if (q.profile.accuracy.min || q.profile.accuracy.retain) return;
  q.default_limit = true;
  (q.profile.task.critical ? q.profile.accuracy.min : q.profile.accuracy.retain) =
      q.profile.task.critical ? default_critical_min : default_retain;
}

/// Else no score is ever looked at.
bool compares(const Question& q) { return q.baseline || q.profile.allow.switch_model; }

void check_hardware(const Hardware& hardware) {
  if (!(hardware.device.memory > 0))
    throw Error(ErrorCode::invalid_argument,
                "hardware.memory: the memory of a device must be positive; give hardware.id or hardware.memory");
  if (hardware.count < 1)
    throw Error(ErrorCode::invalid_argument,
                "hardware.count: " + std::to_string(hardware.count) + " devices; 1 is the least");
}

}  // namespace

Question ask(const Toolbox& tools, const Profile& profile, const Hardware& hardware, const Model* checkpoint_model) {
  check_hardware(hardware);
  Question q;
  q.profile = profile;
  q.hardware = hardware;
  resolve_model(tools, checkpoint_model, q);
  fit_default_context(q);
  q.task = resolve_task(profile, tools);
  const bool benchmark = q.task.kind != "type";
  // Facts that stand in the prompt are read, not remembered: what compression leaves is that of reading tasks.
  const bool reads = !benchmark && profile.task.in_context && q.task.knowledge_intensive;
  q.yardstick = {benchmark ? q.task.id : "", reads ? "reading" : q.task.family, q.task.chance.value_or(0)};
  q.table = tools.estimator.scores().choose(*q.model, q.task);
  if (q.table) {
    q.baseline = tools.estimator.scores().baseline(*q.model, *q.table);
    if (!benchmark && compares(q))
      if (const auto task = tools.tasks.find(q.table->task); task != tools.tasks.end())
        q.yardstick.chance = task->second->chance.value_or(0);
  }
  const auto* table = q.table ? &*q.table : nullptr;
  const auto only = profile.allow.switch_model ? std::nullopt : std::optional(q.current);
  q.standings = tools.standings(table, q.yardstick, only);
  q.own_standing = q.current == own_model ? tools.standing(*q.model, table, q.yardstick)
                                          : q.standings->models[static_cast<std::size_t>(q.current)];
  add_default_limit(q);
  return q;
}

std::map<std::string, std::string> defaults_of(const Question& q) {
  auto profile = q.profile;
  if (q.default_limit) profile.accuracy = {};
  auto defaults = applied_defaults(profile);
  if (q.table && compares(q)) {
    if (q.task.kind == "type")
      defaults["task.benchmark"] = q.table->task + " (for scores; compression by all " + q.yardstick.family + " tasks)";
    defaults["scores"] = scores_text(q);
  }
  const bool critical = profile.task.critical;
  if (q.default_limit)
    defaults[critical ? "accuracy.min" : "accuracy.retain"] =
        format_number(critical ? default_critical_min : default_retain);
  if (profile.engine == "any") defaults["engine"] = "any: " + join(engines_to_try(profile, q.hardware.device), " and ");
  if (usable_host_memory(q.hardware) > 0 && !q.hardware.host_bandwidth)
    defaults["hardware.host_bandwidth"] =
        format_quantity(assumed_host_bandwidth, Dimension::bytes_per_second) + " (two channels of DDR4-3200; assumed)";
  if (!profile.given.contains("cost.utilisation"))
    defaults["cost.utilisation"] = format_number(profile.cost.utilisation);
  return defaults;
}

}  // namespace advisor
