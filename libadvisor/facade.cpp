#include "facade.h"

#include <cstdlib>
#include <utility>

#include "core/error.h"
#include "facade_resolve.h"
#include "io/database.h"
#include "io/local_database.h"
#include "io/probe.h"
#include "recommend/recommend.h"

namespace advisor {

namespace fs = std::filesystem;

Advisor::Advisor(fs::path data_dir, std::string local, std::vector<fs::path> rules)
    : state_(std::make_shared<State>()) {
  state_->data_dir = std::move(data_dir);
  state_->local = find_local(local);
  state_->rules = find_rules(std::move(rules));
  static std::once_flag target_once;
  std::call_once(target_once, [] {
    const char* target = std::getenv("ADVISOR_KERNEL_TARGET");
    if (target != nullptr && *target != '\0') set_kernel_target(target);
  });
}

const Knowledge& Advisor::knowledge() const {
  std::call_once(state_->loaded, [state = state_.get()] {
    const fs::path folder = find_data(state->data_dir);
    Knowledge knowledge = load_knowledge(folder / "advisor.db");
    if (!state->local.empty()) append_local(knowledge, state->local);
    knowledge.rules = rules_in_use(folder, state->rules);
    knowledge.digest += digest_of_rules(state->rules);
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
  std::error_code ec;
  std::optional<Model> folder;  // first of all: a program that cannot open it need not load anything
  if (fs::exists(profile.model, ec)) folder = model_of(profile.model);
  std::optional<Probe> machine;
  if (profile.hardware.id == "auto") machine = probe();
  const Hardware hardware = find_hardware(profile, knowledge(), machine ? &*machine : nullptr);
  std::call_once(state_->prepared, [&] { state_->tools = std::make_unique<const Toolbox>(knowledge()); });
  return advisor::recommend(profile, hardware, *state_->tools, folder ? &*folder : nullptr);
}

}  // namespace advisor
