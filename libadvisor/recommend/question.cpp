#include "recommend/question.h"

#include <algorithm>

#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"
#include "core/units.h"
#include "estimate/cost.h"
#include "recommend/accuracy.h"
#include "recommend/candidates.h"

namespace advisor {

namespace {

/// Applied when the profile sets no accuracy limit: without one every compression would do.
constexpr double default_retain = 0.9;

const Model& resolve_model(const Profile& profile, const Knowledge& knowledge, const Model* checkpoint_model) {
  if (checkpoint_model != nullptr) return *checkpoint_model;
  for (const auto& model : knowledge.models)
    if (model.id == profile.model) return model;
  std::vector<std::string> ids;
  for (const auto& model : knowledge.models) ids.push_back(model.id);
  throw Error(ErrorCode::not_found, "model: \"" + profile.model + "\" is neither a catalog id nor a checkpoint folder" +
                                        did_you_mean(profile.model, ids));
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
  q.model = &resolve_model(profile, tools.knowledge, checkpoint_model);
  q.task = resolve_task(profile, tools);
  q.defaults = applied_defaults(profile);
  const bool benchmark = q.task.kind != "type";
  q.yardstick = {benchmark ? q.task.id : "", q.task.family, q.task.chance.value_or(0)};
  q.table = tools.scores.choose(*q.model, q.task);
  if (q.table) {
    q.baseline = tools.scores.baseline(*q.model, *q.table);
    const bool compares = q.baseline || profile.allow.switch_model;  // else no score is ever looked at
    if (!benchmark && compares) {
      q.defaults["task.benchmark"] = q.table->task + " (for scores; compression by all " + q.task.family + " tasks)";
      if (const auto task = tools.tasks.find(q.table->task); task != tools.tasks.end())
        q.yardstick.chance = task->second->chance.value_or(0);
    }
    if (compares) q.defaults["scores"] = scores_text(q);
    if (profile.allow.switch_model)
      q.defaults["switch.candidates"] = "the best " + format_number(switches_per_size) + " per doubling of size";
  }
  if (!profile.accuracy.min && !profile.accuracy.retain) {
    q.profile.accuracy.retain = default_retain;
    q.default_limit = true;
    q.defaults["accuracy.retain"] = format_number(default_retain);
  }
  if (profile.engine == "any") q.defaults["engine"] = "any: " + join(engines_to_try(profile, hardware.device), " and ");
  q.defaults["cost.utilisation"] = format_number(assumed_utilisation);
  return q;
}

}  // namespace advisor
