#include "facade.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "core/error.h"
#include "facade_resolve.h"
#include "io/database.h"
#include "io/local_database.h"
#include "io/probe.h"
#include "recommend/recommend.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

/// Engines with a row that says they read this output on some hardware. The matrix spells GGUF types whole and other
/// schemes without group: "gguf:Q4_0", "compressed-tensors:W4A16".
std::vector<std::string> engines_that_read(const CompressPlan::Output& output, const std::string& scheme,
                                           const std::vector<EngineSupport>& matrix) {
  const std::string stored = output.format == "gguf" ? output.type : scheme.substr(0, scheme.find('-'));
  std::set<std::string> engines;
  for (const EngineSupport& row : matrix) {
    const bool same = row.format == output.format || row.format == output.format + ":" + stored;
    if (same && row.supported == "yes") engines.insert(row.engine);
  }
  return {engines.begin(), engines.end()};
}

}  // namespace

Advisor::Advisor(fs::path data_dir, std::string local) : state_(std::make_shared<State>()) {
  state_->data_dir = std::move(data_dir);
  state_->local = find_local(local);
  static std::once_flag target_once;
  std::call_once(target_once, [] {
    const char* target = std::getenv("ADVISOR_KERNEL_TARGET");
    if (target != nullptr && *target != '\0') kernels::set_target(target);
  });
}

const Knowledge& Advisor::knowledge() const {
  std::call_once(state_->loaded, [state = state_.get()] {
    const fs::path folder = find_data(state->data_dir);
    Knowledge knowledge = load_knowledge(folder / "advisor.db");
    if (!state->local.empty()) append_local(knowledge, state->local);
    knowledge.rules = load_rules(folder / "rules");
    state->knowledge = std::move(knowledge);
    state->is_loaded = true;
  });
  return state_->knowledge;
}

Probe Advisor::probe() const {
  Probe probe = probe_machine();
  for (Hardware& gpu : probe.gpus) {
    if (const Device* known = match_device(gpu.device, knowledge().devices)) {
      const double memory = gpu.device.memory;  // what the driver reports is what can be used
      gpu.device = *known;
      gpu.device.memory = memory;
    } else {
      probe.notes.push_back("the catalog has no \"" + gpu.device.name + "\"; its bandwidth and rates are unknown");
    }
  }
  return probe;
}

Recommendation Advisor::recommend(const Profile& profile) const {
  std::optional<Probe> machine;
  if (profile.hardware.id == "auto") machine = probe();
  const Hardware hardware = find_hardware(profile, knowledge(), machine ? &*machine : nullptr);
  std::error_code ec;
  if (fs::exists(profile.model, ec)) {
    const Model model = model_of(profile.model);
    return advisor::recommend(profile, hardware, knowledge(), &model);
  }
  return advisor::recommend(profile, hardware, knowledge());
}

CompressPlan Advisor::plan(const CompressRequest& request) const {
  CompressPlan plan = plan_compression(request);
  for (CompressPlan::Output& output : plan.outputs) {
    output.engines = engines_that_read(output, plan.scheme, knowledge().engine_support);
  }
  return plan;
}

CompressReport Advisor::compress(const CompressRequest& request, const ProgressFn& progress) const {
  return run_compression(request, progress);
}

EvaluationReport Advisor::evaluate(const EvaluateRequest& request, const EvaluateProgressFn& progress) const {
  return advisor::evaluate(request, progress);
}

EvaluateRequest evaluation_of(const fs::path& model, const fs::path& suite, int threads, std::int64_t limit) {
  EvaluateRequest request;
  request.model = model;
  request.threads = threads;
  request.limit = limit;
  std::error_code ec;
  if (fs::is_directory(suite, ec)) {
    request.suite = suite;
  } else if (!fs::exists(suite, ec)) {
    throw Error(ErrorCode::not_found, suite.string() + ": no such suite folder or file");
  } else if (suite.extension() == ".jsonl") {
    request.choices.push_back(suite);
  } else {
    request.text = suite;
  }
  return request;
}

}  // namespace advisor
