#include "recommend/counterfactual.h"

#include <algorithm>
#include <functional>

#include "core/units.h"

namespace advisor {

namespace {

struct Change {
  std::string field, to;
  std::function<void(Question&)> apply;
};

/// The first change of a sequence of growing ones that helps.
std::optional<Counterfactual> smallest(const Toolbox& tools, const Question& question, const std::string& from,
                                       const std::vector<Change>& changes) {
  for (const auto& change : changes) {
    Question changed = question;
    change.apply(changed);
    const auto decision = decide(tools, changed);
    if (decision.outcome == Outcome::recommended)
      return Counterfactual{change.field, from, change.to, std::string(name(*decision.verdict))};
  }
  return std::nullopt;
}

std::vector<Change> halvings(const std::string& field, std::int64_t value, std::int64_t least,
                             const std::function<std::int64_t&(Question&)>& member) {
  std::vector<Change> changes;
  while (value > least) {
    value = std::max(least, value / 2);
    changes.push_back({field, std::to_string(value), [=](Question& q) { member(q) = value; }});
  }
  return changes;
}

}  // namespace

std::vector<Counterfactual> counterfactuals(const Toolbox& tools, const Question& question) {
  std::vector<Counterfactual> found;
  const auto& workload = question.profile.workload;
  const auto keep = [&](std::optional<Counterfactual> one) {
    if (one) found.push_back(std::move(*one));
  };
  keep(smallest(tools, question, std::to_string(workload.concurrency),
                halvings("workload.concurrency", workload.concurrency, 1,
                         [](Question& q) -> std::int64_t& { return q.profile.workload.concurrency; })));
  const auto least = std::max<std::int64_t>(1, workload.input_tokens + workload.output_tokens);
  keep(smallest(tools, question, std::to_string(workload.context),
                halvings("workload.context", workload.context, least,
                         [](Question& q) -> std::int64_t& { return q.profile.workload.context; })));
  std::vector<Change> devices;
  for (const std::int64_t factor : {2, 4, 8, 16}) {
    const auto count = question.hardware.count * factor;
    devices.push_back({"hardware.count", std::to_string(count), [=](Question& q) { q.hardware.count = count; }});
  }
  keep(smallest(tools, question, std::to_string(question.hardware.count), devices));
  // A machine of explicit numbers has no catalog of neighbours: ask what memory would do.
  if (question.hardware.device.id.empty()) {
    std::vector<Change> sizes;
    for (double memory = question.hardware.device.memory * 1.25; sizes.size() < 16; memory *= 1.25)
      sizes.push_back({"hardware.memory", format_quantity(memory, Dimension::bytes),
                       [=](Question& q) { q.hardware.device.memory = memory; }});
    keep(smallest(tools, question, format_quantity(question.hardware.device.memory, Dimension::bytes), sizes));
  }
  return found;
}

}  // namespace advisor
