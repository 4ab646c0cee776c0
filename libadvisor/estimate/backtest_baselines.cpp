#include "estimate/backtest_baselines.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "estimate/weights.h"

namespace advisor {

namespace {

/// llama.cpp and transformers put layers on devices one after the other: one works at a time.
double working_devices(const SpeedCase& question) {
  const auto& engine = question.variant.engine;
  return engine == "llama.cpp" || engine == "transformers" ? 1 : static_cast<double>(question.hardware.count);
}

}  // namespace

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

void GroupedFigures::add(const std::vector<std::string>& keys, double value) {
  for (const auto& key : keys) groups_[key].values.push_back(value);
}

void GroupedFigures::finish() {
  for (auto& [key, group] : groups_) {
    std::sort(group.values.begin(), group.values.end());  // the sum must not depend on the order of rows
    group.mean =
        std::accumulate(group.values.begin(), group.values.end(), 0.0) / static_cast<double>(group.values.size());
    group.median = median_of(group.values);
  }
}

const GroupedFigures::Figures* GroupedFigures::find(const std::vector<std::string>& keys) const {
  for (const auto& key : keys)
    if (const auto found = groups_.find(key); found != groups_.end()) return &found->second;
  return nullptr;
}

std::optional<double> GroupedFigures::mean(const std::vector<std::string>& keys) const {
  const auto* group = find(keys);
  return group ? std::optional(group->mean) : std::nullopt;
}

std::optional<double> GroupedFigures::median(const std::vector<std::string>& keys) const {
  const auto* group = find(keys);
  return group ? std::optional(group->median) : std::nullopt;
}

std::vector<std::string> flat_keys(const QualityCase& question) {
  const std::string outermost = question.measure + (question.pruning ? "|pruned" : "|dense");
  return {outermost + "|format|" + question.format, outermost + "|class|" + question.format_class, outermost};
}

std::vector<std::string> roofline_keys(const SpeedCase& question, const std::string& kind) {
  const std::string engine = kind + "|" + question.variant.engine;
  return {engine + "|" + question.hardware.device.kind, engine, kind};
}

std::optional<double> ideal_speed(const SpeedCase& question) {
  const auto weights = estimate_weights(question.model, question.variant);
  const auto& device = question.hardware.device;
  const bool decoding = question.quantity != "prefill" && question.quantity != "ttft";
  const auto tokens = static_cast<double>(decoding ? question.load.concurrency : question.load.input_tokens);
  if (!weights || !device.bandwidth || weights->read_bytes <= 0 || tokens <= 0) return std::nullopt;
  const auto peak = device.bf16 ? device.bf16 : device.fp16 ? device.fp16 : device.fp32;
  const double moving = weights->read_bytes / *device.bandwidth;
  const double computing = peak ? 2 * weights->active_params * tokens / *peak : 0;
  const double seconds = std::log(std::max(moving, computing) / working_devices(question));
  const bool rate = question.quantity != "ttft" && question.quantity != "tpot";
  return rate ? std::log(tokens) - seconds : seconds;
}

}  // namespace advisor
