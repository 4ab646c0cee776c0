// The facade over one point: names resolved, defaults filled in and printed, only the needed rows loaded.
#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "core/units.h"
#include "estimate/estimator.h"
#include "estimate/kv_cache.h"
#include "facade_resolve.h"
#include "io/database.h"
#include "io/local_database.h"
#include "recommend/toolbox.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

using Defaults = std::map<std::string, std::string>;

/// The technique that a scheme is made with when nobody says: the simplest that libadvisor or the engine's tools have.
std::string usual_technique(const Variant& variant, const SchemeInfo& scheme) {
  if (scheme.grid == "gguf") {
    if (variant.scheme.starts_with("IQ") || variant.scheme.starts_with("TQ")) return "gguf-i";
    return variant.scheme.find("_K") != std::string::npos ? "gguf-k" : "gguf-legacy";
  }
  if (scheme.weight_bits < 16) {
    const bool own = scheme.grid == "fp8" || scheme.grid == "nvfp4" || scheme.grid == "mxfp4";
    return own ? scheme.grid : "rtn";
  }
  return variant.sparsity > 0 ? "wanda" : "none";
}

void fill_variant(const Profile& profile, Variant& variant, Defaults& defaults) {
  const auto fill = [&](std::string& member, const char* option, const std::string& value) {
    if (!member.empty()) return;
    member = value;
    defaults[option] = value;
  };
  variant.model = profile.model;
  fill(variant.scheme, "scheme", "W16A16");
  const SchemeInfo scheme = describe_scheme(variant.scheme);
  const bool gguf = scheme.grid == "gguf";
  const bool plain = scheme.weight_bits >= 16 && variant.sparsity == 0;
  fill(variant.technique, "technique", usual_technique(variant, scheme));
  fill(variant.format, "format", gguf ? "gguf" : plain ? "safetensors" : "compressed-tensors");
  if (profile.engine != "any") variant.engine = profile.engine;
  fill(variant.engine, "engine", variant.format == "gguf" ? "llama.cpp" : "vllm");
  fill(variant.kv, "kv", "fp16");
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

/// The matrix of what engines load speaks about machines of the catalog; its silence is worth a word too.
void check_engine(const Knowledge& knowledge, const Hardware& hardware, PointEstimate& answer) {
  const Variant& variant = answer.request.variant;
  if (hardware.device.generation.empty()) return;
  const std::string what =
      variant.engine + " with " + variant.format + " " + variant.scheme + " on " + hardware.device.generation;
  const EngineSupport* row = find_support(knowledge, variant, hardware.device.generation);
  if (row == nullptr) {
    if (variant.format != "safetensors") answer.warnings.push_back("the engine matrix says nothing about " + what);
  } else if (row->supported != "yes") {
    answer.warnings.push_back(what + (row->supported == "no" ? " is not supported" : " is emulated") + " (" +
                              row->source + ")");
  }
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
  answer.knowledge_digest = knowledge->digest;
  return answer;
}

}  // namespace advisor
