#include "io/recommendation_file.h"

#include <fstream>
#include <iostream>
#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "io/yaml.h"

namespace advisor {

namespace fs = std::filesystem;

Recommendation load_recommendation(const fs::path& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
  } else {
    std::error_code ec;
    if (!fs::exists(path, ec)) throw Error(ErrorCode::not_found, path.string() + ": no such file");
    if (fs::is_directory(path, ec)) return load_recommendation(path / "recommendation.json");
    std::ifstream file(path, std::ios::binary);
    text << file.rdbuf();
    if (!file) throw Error(ErrorCode::io_error, path.string() + ": cannot be read");
  }
  return recommendation_from_json(
      text.str(), [](std::string_view recipe, const std::string& where) { return parse_recipe(recipe, where); },
      path == "-" ? "standard input" : path.string());
}

std::map<std::string, std::string> recommendation_files(const Recommendation& recommendation,
                                                        const std::string& markdown) {
  std::map<std::string, std::string> files{{"recommendation.json", to_json(recommendation) + "\n"},
                                           {"recommendation.md", markdown + "\n"}};
  for (const auto& option : recommendation.options) {
    const auto name = "option-" + std::to_string(option.rank);
    if (option.recipe) files[name + ".recipe.yaml"] = recipe_to_yaml(*option.recipe);
    if (!option.launch_command.empty()) files[name + ".launch.sh"] = "#!/bin/sh\n" + option.launch_command + "\n";
  }
  return files;
}

}  // namespace advisor
