// What a profile must have as a whole.
#include <cmath>

#include "core/error.h"
#include "core/fields.h"

namespace advisor {
namespace {

[[noreturn]] void refuse_profile(const std::string& why) { throw Error(ErrorCode::invalid_argument, why); }

void check_accuracy(const auto& accuracy, const std::string& prefix) {
  if (accuracy.min && accuracy.retain) {
    refuse_profile(prefix + "accuracy: give either accuracy.min (absolute) or accuracy.retain (relative), not both");
  }
}

void check_tasks(const Profile& profile) {
  if (profile.tasks.empty()) {
    if (!profile.task.type.empty() || !profile.task.benchmark.empty()) return;
    refuse_profile("task: missing; give task.type (chat, closed_book_qa, ...) or task.benchmark (mmlu, ...)");
  }
  if (!profile.task.type.empty() || !profile.task.benchmark.empty()) {
    refuse_profile("tasks: give either one `task` or several `tasks`, not both");
  }
  if (profile.tasks.size() < 2) {
    refuse_profile("tasks: a portfolio has at least two tasks; give a single one as `task`, beside `accuracy`");
  }
  if (profile.tasks.size() > max_tasks) {
    refuse_profile("tasks: " + std::to_string(profile.tasks.size()) + " tasks; " + std::to_string(max_tasks) +
                   " are the most");
  }
  for (std::size_t i = 0; i < profile.tasks.size(); ++i) {
    const auto& goal = profile.tasks[i];
    const std::string prefix = "tasks." + std::to_string(i) + ".";
    if (goal.task.type.empty() && goal.task.benchmark.empty()) {
      refuse_profile(prefix + "task: missing; give its type (chat, closed_book_qa, ...) or benchmark (mmlu, ...)");
    }
    if (!(goal.share > 0) || !std::isfinite(goal.share)) {
      refuse_profile(prefix + "share: \"" + format_number(goal.share) + "\" is not positive");
    }
    check_accuracy(goal.accuracy, prefix);
  }
}

}  // namespace

void validate(const Profile& profile) {
  if (profile.model.empty()) refuse_profile("model: missing; name a catalog id or a checkpoint folder");
  if (profile.hardware.id.empty() && !profile.hardware.memory) {
    refuse_profile("hardware: missing; give a catalog id, `auto`, or at least {memory: 24 GiB, bandwidth: 936 GB/s}");
  }
  check_tasks(profile);
  check_accuracy(profile.accuracy, "");
  const std::int64_t tokens = profile.workload.input_tokens + profile.workload.output_tokens;
  if (tokens > profile.workload.context) {
    refuse_profile("workload.context: " + std::to_string(profile.workload.context) +
                   " is less than workload.input_tokens + workload.output_tokens = " + std::to_string(tokens));
  }
}

}  // namespace advisor
