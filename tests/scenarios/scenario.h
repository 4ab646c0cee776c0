// What the programs over the scenarios share: the real database and rules, and the files of this folder.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "core/document.h"
#include "core/hardware.h"
#include "core/profile.h"
#include "io/database.h"
#include "io/yaml.h"
#include "recommend/toolbox.h"

namespace advisor::scenario {

inline const std::filesystem::path& folder() {
  static const auto path = std::filesystem::path(ADVISOR_SOURCE_DIR) / "tests/scenarios";
  return path;
}

inline const Knowledge& knowledge() {
  static const Knowledge snapshot = [] {
    auto loaded = load_knowledge(std::filesystem::path(ADVISOR_BINARY_DIR) / "share/advisor/advisor.db");
    loaded.rules = load_rules(std::filesystem::path(ADVISOR_SOURCE_DIR) / "rules");
    return loaded;
  }();
  return snapshot;
}

inline const Toolbox& tools() {
  static const Toolbox all(knowledge());
  return all;
}

inline std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Without folder and ending, sorted.
inline std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder()))
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline Document read(const std::string& name) {
  const auto path = folder() / (name + ".yaml");
  return parse_yaml(contents(path), path.string());
}

inline const Document* find(const Document& map, const std::string& key) {
  for (const auto& member : map.members)
    if (member.key == key) return &member.value;
  return nullptr;
}

/// One value or a list of them.
inline std::vector<std::string> words(const Document* value) {
  std::vector<std::string> result;
  if (value == nullptr) return result;
  if (value->kind == Document::Kind::list)
    for (const auto& item : value->items) result.push_back(item.text);
  else
    result.push_back(value->text);
  return result;
}

inline Profile profile_of(const Document& scenario, const std::string& name) {
  const auto* text = find(scenario, "profile");
  return parse_profile(text == nullptr ? "" : text->text, (folder() / (name + ".yaml")).string());
}

/// As the facade reads it from the catalog and the profile.
inline Hardware hardware_of(const Profile& profile) {
  const auto& wanted = profile.hardware;
  Hardware hardware;
  hardware.count = wanted.count;
  hardware.source = "profile";
  for (const auto& device : knowledge().devices)
    if (!wanted.id.empty() && device.id == wanted.id) hardware.device = device, hardware.source = "catalog";
  if (wanted.memory) hardware.device.memory = *wanted.memory;
  if (wanted.bandwidth) hardware.device.bandwidth = wanted.bandwidth;
  if (wanted.fp16) hardware.device.fp16 = wanted.fp16;
  if (wanted.fp8) hardware.device.fp8 = wanted.fp8;
  if (wanted.int8) hardware.device.int8 = wanted.int8;
  hardware.host_memory = wanted.host_memory, hardware.host_bandwidth = wanted.host_bandwidth;
  if (!wanted.generation.empty()) hardware.device.generation = wanted.generation;
  return hardware;
}

}  // namespace advisor::scenario
