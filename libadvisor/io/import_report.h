// What `advisor record` did, as JSON: schema "advisor.record/1".
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/import_match.h"

namespace advisor {

/// `action`: "recorded", "would record" (a dry run), "undone" or "listed".
std::string to_json(const std::string& action, const std::vector<Recording>& recordings,
                    const std::filesystem::path& database);

}  // namespace advisor
