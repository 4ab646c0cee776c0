// Profiles, rules and recipes in YAML. Keys are closed: what is not known is an error with file:line:column and a
// suggestion. yaml-cpp stays behind this header; its exceptions are translated.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/document.h"
#include "core/profile.h"
#include "core/recipe.h"
#include "core/rule.h"

namespace advisor {

/// Any YAML text as a Document. Refuses duplicate keys, anchors and aliases, more than one document, and nesting over
/// 32 levels. Throws parse_error with location.
Document parse_yaml(std::string_view text, const std::string& file = "");

/// YAML or JSON (a subset of YAML). Profile::given says which fields were set. Validated.
Profile parse_profile(std::string_view text, const std::string& file = "");
Profile load_profile(const std::filesystem::path& path);  ///< throws not_found, io_error

/// All *.yaml of a folder (sorted by name), or one file.
std::vector<RuleSource> load_rules(const std::filesystem::path& path);
std::vector<RuleSource> parse_rules(std::string_view text, const std::string& file = "");

Recipe parse_recipe(std::string_view text, const std::string& file = "");
Recipe load_recipe(const std::filesystem::path& path);

}  // namespace advisor
