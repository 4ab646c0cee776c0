#include "facade_resolve.h"

#include <dlfcn.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/suggest.h"
#include "io/import.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

/// The folder of the shared library or program that holds this code.
fs::path own_folder() {
  Dl_info info{};
  static const int anchor = 0;
  if (dladdr(&anchor, &info) == 0 || info.dli_fname == nullptr) return {};
  std::error_code ec;
  const fs::path name = info.dli_fname;
  // A program started through PATH has no folder in argv[0], which is what the loader goes by.
  const fs::path file = name.has_parent_path() ? fs::canonical(name, ec) : fs::read_symlink("/proc/self/exe", ec);
  return file.parent_path();
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

}  // namespace

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

std::vector<fs::path> find_rules(std::vector<fs::path> asked) {
  const char* environment = std::getenv("ADVISOR_RULES");
  if (!asked.empty() || environment == nullptr) return asked;
  const std::string list = environment;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = std::min(list.find(':', at), list.size());
    if (end > at) asked.emplace_back(list.substr(at, end - at));
    at = end + 1;
  }
  return asked;
}

std::vector<RuleSource> rules_of(const std::vector<fs::path>& paths) {
  std::vector<RuleSource> rules;
  for (const fs::path& path : paths) {
    std::vector<RuleSource> more = load_rules(path);
    std::move(more.begin(), more.end(), std::back_inserter(rules));
  }
  return rules;
}

std::vector<RuleSource> rules_in_use(const fs::path& data, const std::vector<fs::path>& own) {
  std::vector<fs::path> all{data / "rules"};
  all.insert(all.end(), own.begin(), own.end());
  return rules_of(all);
}

std::string digest_of_rules(const std::vector<fs::path>& own) {
  if (own.empty()) return "";
  std::vector<std::string> texts;
  for (const RuleSource& rule : rules_of(own)) {
    const char end = '\0';
    std::string text = rule.id + end + rule.kind + end + rule.applies_to + end + rule.when + end + rule.fact + end +
                       rule.value + end + rule.because + end + rule.code + end;
    for (const std::string& source : rule.sources) text += source + end;
    texts.push_back(std::move(text));
  }
  std::sort(texts.begin(), texts.end());
  return "+rules:" + content_digest(join(texts, "\n"));
}

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
  if (profile.hardware.host_memory) hardware.host_memory = profile.hardware.host_memory;
  if (profile.hardware.host_bandwidth) hardware.host_bandwidth = profile.hardware.host_bandwidth;
  return hardware;
}

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", &parts);
  return text;
}

}  // namespace advisor
