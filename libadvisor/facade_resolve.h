// What the facade reads from the world before anything is decided: where files are, which hardware and model a name
// means, what day it is. Used by the facade*.cpp files only.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "core/knowledge.h"
#include "core/profile.h"
#include "facade.h"
#include "recommend/toolbox.h"

namespace advisor {

struct Advisor::State {
  std::filesystem::path data_dir, local;
  std::vector<std::filesystem::path> rules;  ///< of the user
  std::once_flag loaded;
  std::atomic<bool> is_loaded = false;
  Knowledge knowledge;
  std::once_flag prepared;
  std::unique_ptr<const Toolbox> tools;  ///< for recommendations; made for the first of them
};

/// Where the knowledge is. Throws not_found naming every place that was tried.
std::filesystem::path find_data(const std::filesystem::path& asked);

/// Where the user's own results are; empty when nowhere.
std::filesystem::path find_local(const std::string& asked);

/// Files and folders of the user's own rules: those asked for, or of $ADVISOR_RULES, separated by ':'.
std::vector<std::filesystem::path> find_rules(std::vector<std::filesystem::path> asked);

/// The rules of files and folders.
std::vector<RuleSource> rules_of(const std::vector<std::filesystem::path>& paths);
/// The shipped ones in data/rules and the user's.
std::vector<RuleSource> rules_in_use(const std::filesystem::path& data, const std::vector<std::filesystem::path>& own);
/// "+rules:<digest>" of what the user's own rules say, wherever and in whatever order they are written; "" without any.
std::string digest_of_rules(const std::vector<std::filesystem::path>& own);

/// The catalog's device for a probed GPU: every word of the driver's name occurs, memory within 10 %, fewest extra
/// words. nullptr: none.
const Device* match_device(const Device& probed, const std::vector<Device>& catalog);

/// What the profile names, its explicit numbers over the catalog's. `probe` for hardware.id "auto". Throws not_found
/// with suggestions.
Hardware find_hardware(const Profile& profile, const Knowledge& knowledge, const Probe* probe);

// The two things that the decision side asks of the compression side. facade_compress.cpp defines them; in a program
// without it facade_light.cpp does, and there they throw NeedsCompressionSide.

/// What the decision needs to know of a checkpoint folder, read from its headers.
Model model_of(const std::string& path);

/// Instruction set of the kernels ("scalar", "avx2", ...). Throws when this machine or build has no such.
void set_kernel_target(const std::string& target);

/// Today in UTC, YYYY-MM-DD.
std::string today();

}  // namespace advisor
