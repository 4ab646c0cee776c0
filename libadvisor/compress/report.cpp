// Plan and report as JSON, and what the process knows about its own memory.
#include <algorithm>
#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "compress/job.h"
#include "compress/plan.h"

namespace advisor {
namespace {

using Json = nlohmann::ordered_json;

/// A line "VmHWM:   1234 kB" of a file of /proc, in bytes; 0 where there is no such file.
std::int64_t kilobytes_of(const char* file, const std::string& key) {
  std::ifstream status(file);
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  return 0;
}

Json precision_json(const PrecisionReport& precision) {
  Json rows = Json::array();
  for (const PrecisionReport::Row& row : precision.rows)
    rows.push_back({{"tensors", row.tensors},
                    {"choice", row.choice},
                    {"weights", row.weights},
                    {"bytes", row.bytes},
                    {"error", row.error},
                    {"divergence", row.divergence}});
  return {{"budget", precision.budget},
          {"candidates", precision.candidates},
          {"weights", precision.weights},
          {"bytes", precision.bytes},
          {"divergence", precision.divergence},
          {"divergence_bound", precision.divergence_bound},
          {"groups", rows}};
}

Json plan_json(const CompressPlan& plan) {
  Json outputs = Json::array();
  for (const auto& output : plan.outputs)
    outputs.push_back({{"format", output.format},
                       {"type", output.type},
                       {"folder", output.folder.string()},
                       {"bytes", output.bytes},
                       {"schemes", output.schemes},
                       {"engines", output.engines},
                       {"hardware", output.hardware}});
  Json steps = Json::array();
  for (const auto& step : plan.steps)
    steps.push_back({{"technique", step.technique},
                     {"scheme", step.scheme},
                     {"params", step.params},
                     {"targets", step.targets},
                     {"tensors", step.tensors}});
  return {{"model", plan.model},
          {"architecture", plan.architecture},
          {"source_format", plan.source_format},
          {"technique", plan.technique},
          {"scheme", plan.scheme.empty() ? Json(nullptr) : Json(plan.scheme)},
          {"params", plan.params},
          {"steps", steps},
          {"precision", plan.precision ? precision_json(*plan.precision) : Json(nullptr)},
          {"calibration", plan.calibration.empty() ? Json(nullptr) : Json(plan.calibration)},
          {"outputs", outputs},
          {"source_bytes", plan.source_bytes},
          {"output_bytes", plan.output_bytes},
          {"scratch_bytes", plan.scratch_bytes},
          {"disk_free", plan.disk_free},
          {"peak_memory", plan.peak_memory},
          {"seconds", plan.seconds},
          {"tensors", plan.tensors},
          {"quantized_tensors", plan.quantized_tensors},
          {"notes", plan.notes}};
}

/// Paths may hold bytes that are not UTF-8: replaced, because a report must not fail at the end of a job.
std::string dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::int64_t available_memory() {
  const std::int64_t machine = kilobytes_of("/proc/meminfo", "MemAvailable");
  std::ifstream limit("/sys/fs/cgroup/memory.max"), used("/sys/fs/cgroup/memory.current");
  std::int64_t most = 0, now = 0;
  return limit >> most && used >> now ? std::min(machine, std::max<std::int64_t>(most - now, 0)) : machine;
}
std::int64_t resident_memory() { return kilobytes_of("/proc/self/status", "VmRSS"); }
std::int64_t peak_resident_memory() { return kilobytes_of("/proc/self/status", "VmHWM"); }

std::string to_json(const CompressPlan& plan) {
  Json json{{"schema", "advisor.compression_plan/1"}};
  json.update(plan_json(plan));
  return dump(json);
}

std::string to_json(const CompressReport& report) {
  Json outputs = Json::array();
  for (const auto& output : report.outputs) {
    Json tensors = Json::array();
    for (const TensorReport& tensor : output.tensors)
      tensors.push_back({{"name", tensor.name},
                         {"stored_as", tensor.stored_as},
                         {"bytes", tensor.bytes},
                         {"relative_error", tensor.relative_error},
                         {"budget", tensor.budget}});
    outputs.push_back({{"format", output.format},
                       {"type", output.type},
                       {"folder", output.folder.string()},
                       {"bytes", output.bytes},
                       {"sha256", output.sha256},
                       {"worst_relative_error", output.worst_relative_error},
                       {"tensors", tensors}});
  }
  return dump({{"schema", "advisor.compression/1"},
               {"version", report.version},
               {"plan", plan_json(report.plan)},
               {"outputs", outputs},
               {"seconds", report.seconds},
               {"stages", {{"compress", report.compress_seconds}, {"verify", report.verify_seconds}}},
               {"peak_memory", report.peak_memory},
               {"threads", report.threads}});
}

}  // namespace advisor
