#include "facade.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <mutex>
#include <set>
#include <utility>

#include "checkpoint/checkpoint.h"
#include "core/error.h"
#include "core/suggest.h"
#include "estimate/layout.h"
#include "io/database.h"
#include "io/local_database.h"
#include "io/measurement_file.h"
#include "io/probe.h"
#include "recommend/recommend.h"
#include "tensor/kernels/kernels.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

/// The folder of the shared library or program that holds this code.
fs::path own_folder() {
  Dl_info info{};
  static const int anchor = 0;
  if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ec;
  fs::path file = fs::canonical(info.dli_fname, ec);
  if (ec) file = fs::read_symlink("/proc/self/exe", ec);  // a program started through PATH has no folder in argv[0]
  return file.parent_path();
}

/// Where the knowledge is. Throws not_found naming every place that was tried.
fs::path find_data(const fs::path& asked) {
  std::vector<fs::path> places;
  if (!asked.empty()) {
    places.push_back(asked);
  } else if (const char* environment = std::getenv("ADVISOR_DATA"); environment != nullptr && *environment != '\0') {
    places.emplace_back(environment);
  } else {
    const fs::path own = own_folder();
    places = {own / "../share/advisor", own / "../../share/advisor", own / "data"};
  }
  std::string tried;
  for (const fs::path& place : places) {
    std::error_code ec;
    if (fs::exists(place / "advisor.db", ec)) return place.lexically_normal();
    tried += (tried.empty() ? "" : ", ") + place.lexically_normal().string();
  }
  throw Error(ErrorCode::not_found, "no advisor.db in " + tried + "; build it with ./dev build, or set ADVISOR_DATA");
}

/// Name without vendor and punctuation, for matching what a driver says with the catalog.
std::set<std::string> words_of(const std::string& name) {
  std::set<std::string> words;
  std::string word;
  for (const char c : name + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      words.insert(std::exchange(word, {}));
    }
  }
  return words;
}

/// The catalog's device for a probed GPU: every word of the driver's name occurs, memory within 10 %, fewest extra
/// words.
const Device* match_device(const Device& probed, const std::vector<Device>& catalog) {
  const auto wanted = words_of(probed.name);
  const Device* best = nullptr;
  std::size_t best_extra = 0;
  for (const Device& device : catalog) {
    const auto have = words_of(device.name + " " + device.id);
    const bool names = std::includes(have.begin(), have.end(), wanted.begin(), wanted.end());
    const bool memory = device.memory > 0.9 * probed.memory && device.memory < 1.1 * probed.memory;
    if (names && memory && (best == nullptr || have.size() < best_extra)) {
      best = &device;
      best_extra = have.size();
    }
  }
  return best;
}

/// Explicit numbers of the profile win over the catalog's.
void override_with(Device& device, const Profile& profile) {
  const auto& h = profile.hardware;
  if (h.memory) device.memory = *h.memory;
  if (h.bandwidth) device.bandwidth = h.bandwidth;
  for (auto [mine, theirs] : {std::pair{&device.fp32, &h.fp32},
                              {&device.fp16, &h.fp16},
                              {&device.bf16, &h.bf16},
                              {&device.fp8, &h.fp8},
                              {&device.int8, &h.int8},
                              {&device.fp4, &h.fp4},
                              {&device.int4, &h.int4}}) {
    if (*theirs) *mine = *theirs;
  }
  if (!h.generation.empty()) device.generation = h.generation;
}

Hardware find_hardware(const Profile& profile, const Knowledge& knowledge, const Probe* probe) {
  Hardware hardware;
  hardware.count = profile.hardware.count;
  const std::string& id = profile.hardware.id;
  if (probe != nullptr) {
    hardware = probe->gpus.empty() ? probe->cpu : probe->gpus.front();
  } else if (id.empty()) {
    hardware.device.name = "the given hardware";
    hardware.device.kind = "explicit";
    hardware.source = "profile";
  } else {
    const auto found = std::find_if(knowledge.devices.begin(), knowledge.devices.end(),
                                    [&](const Device& device) { return device.id == id; });
    if (found == knowledge.devices.end()) {
      std::vector<std::string> ids{"auto"};
      for (const Device& device : knowledge.devices) ids.push_back(device.id);
      throw Error(ErrorCode::not_found, "unknown hardware \"" + id + "\"" + did_you_mean(id, ids) +
                                            " ('advisor catalog hardware' lists them; or give memory and bandwidth)");
    }
    hardware.device = *found;
    hardware.source = "catalog";
  }
  override_with(hardware.device, profile);
  return hardware;
}

/// What the decision needs to know of a checkpoint folder, read from its headers.
Model model_of(const std::string& path) {
  const auto checkpoint = open_checkpoint(path);
  const ModelConfig& config = checkpoint->config();
  Model model;
  model.id = path;
  model.family = model.architecture = config.architecture;
  double parameters = 0;
  std::vector<NamedShape> shapes;
  for (const TensorInfo& tensor : checkpoint->tensors()) {
    parameters += static_cast<double>(element_count(tensor.shape));
    shapes.push_back({tensor.name, tensor.shape});
  }
  model.tensors = group_tensors(shapes);
  model.params = parameters;
  model.layers = config.layers;
  model.hidden = config.hidden;
  model.intermediate = config.intermediate;
  model.heads = config.heads;
  model.kv_heads = config.kv_heads;
  model.head_dim = config.head_dim;
  model.vocab = config.vocab;
  model.max_context = config.max_context;
  model.tie_embeddings = config.tie_embeddings;
  model.native_dtype = config.torch_dtype;
  model.modalities_in = model.modalities_out = {"text"};
  model.qat = "no";
  model.url = path;
  model.locator = "config.json and tensor headers";
  return model;
}

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

/// Where the user's own results are; empty when nowhere.
fs::path find_local(const std::string& asked) {
  const auto environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  const std::string wanted = asked.empty() ? environment("ADVISOR_LOCAL") : asked;
  if (wanted == "none") return {};
  if (!wanted.empty()) return wanted;
  if (const std::string data = environment("XDG_DATA_HOME"); !data.empty()) return fs::path(data) / "advisor/local.db";
  const std::string home = environment("HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".local/share/advisor/local.db";
}

/// Today in UTC, YYYY-MM-DD.
std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

}  // namespace

struct Advisor::State {
  fs::path data_dir, local;
  std::once_flag loaded;
  Knowledge knowledge;
};

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

BacktestReport Advisor::backtest(const std::vector<fs::path>& files, LeftOut left_out, int threads,
                                 const BacktestProgress& progress) const {
  BacktestRequest request;
  request.left_out = left_out;
  request.threads = threads;
  const auto is_shipped = [](const auto& row) { return row.recorded.empty(); };
  if (files.empty()) {
    std::copy_if(knowledge().quality.begin(), knowledge().quality.end(), std::back_inserter(request.quality),
                 is_shipped);
    std::copy_if(knowledge().speed.begin(), knowledge().speed.end(), std::back_inserter(request.speed), is_shipped);
    return advisor::backtest(knowledge(), request, progress);
  }
  const NameTables names = load_names(find_data(state_->data_dir) / "advisor.db");
  std::map<std::string, std::int64_t> unmapped;
  for (const fs::path& file : files) {
    MeasurementFile read = read_measurements(file, names, knowledge());
    std::move(read.quality.begin(), read.quality.end(), std::back_inserter(request.quality));
    std::move(read.speed.begin(), read.speed.end(), std::back_inserter(request.speed));
    for (const auto& [why, rows] : read.unmapped) unmapped[why] += rows;
  }
  BacktestReport report = advisor::backtest(knowledge(), request, progress);
  for (const auto& [why, rows] : unmapped) {
    report.rows += rows;
    report.unscored[why] += rows;
  }
  return report;
}

fs::path Advisor::local_database() const { return state_->local; }

namespace {

LocalDatabase open_local(const fs::path& path) {
  if (path.empty()) {
    throw Error(ErrorCode::invalid_argument,
                "there is no place for recorded results: name one with --local FILE, or set ADVISOR_LOCAL or HOME");
  }
  return LocalDatabase(path);
}

std::vector<ImportedFile> read_all(const std::vector<fs::path>& paths) {
  std::vector<ImportedFile> files;
  for (const fs::path& path : paths) files.push_back(read_results_file(path));
  return files;
}

}  // namespace

Recording Advisor::record(const RecordRequest& request) const {
  LocalDatabase local = open_local(state_->local);
  const std::vector<ImportedFile> files = read_all(request.files), baselines = read_all(request.baselines);
  const NameTables names = load_names(find_data(state_->data_dir) / "advisor.db");
  Recording recording = match_results(files, baselines, request.options, names, local.scores());
  recording.date = today();
  return request.dry_run ? local.check(std::move(recording)) : local.store(std::move(recording));
}

std::vector<Recording> Advisor::recordings() const { return open_local(state_->local).recordings(); }

Recording Advisor::undo_recording(std::int64_t id) const { return open_local(state_->local).undo(id); }

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
