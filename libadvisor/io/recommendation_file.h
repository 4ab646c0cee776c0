// Recommendations on disk: what `advisor recommend --json` printed, and the folder that --out makes of it.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/recommendation.h"

namespace advisor {

/// Reads what to_json() wrote, recipes included; "-" is standard input. Throws not_found, io_error, parse_error.
Recommendation load_recommendation(const std::filesystem::path& path);

/// File name -> text: recommendation.json, recommendation.md, and for each option what can be executed
/// (option-1.recipe.yaml, option-1.launch.sh).
std::map<std::string, std::string> recommendation_files(const Recommendation& recommendation,
                                                        const std::string& markdown);

}  // namespace advisor
