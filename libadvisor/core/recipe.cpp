#include "core/recipe.h"

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "core/units.h"

namespace advisor {
namespace {

/// A YAML scalar: plain where that is safe, double-quoted with escapes elsewhere.
std::string scalar(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '/';
  };
  const bool starts_well = !text.empty() && text.front() != '-' && text.front() != '.';
  const bool word = text != "null" && text != "Null" && text != "NULL";
  if (starts_well && word && std::all_of(text.begin(), text.end(), plain)) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

std::string flow_list(const std::vector<std::string>& items) {
  std::string text = "[";
  for (const std::string& item : items) text += (text.size() > 1 ? ", " : "") + scalar(item);
  return text + "]";
}

std::string budget_text(const RecipeBudget& budget) {
  std::string text = "budget:\n";
  if (budget.bits_per_weight != 0) text += "  bits_per_weight: " + format_number(budget.bits_per_weight) + "\n";
  if (budget.size != 0) text += "  size: " + std::to_string(budget.size) + "\n";
  if (!budget.candidates.empty()) text += "  candidates: " + flow_list(budget.candidates) + "\n";
  return text;
}

}  // namespace

const SourceLocation& RecipePlaces::of(const std::string& key) const {
  const auto found = values.find(key);
  return found == values.end() ? where : found->second;
}

std::string recipe_to_yaml(const Recipe& recipe) {
  std::string text = "schema: advisor.recipe/1\n";
  text += recipe.steps.empty() ? "steps: []\n" : "steps:\n";
  for (const RecipeStep& step : recipe.steps) {
    text += "  - technique: " + scalar(step.technique) + "\n";
    if (!step.scheme.empty()) text += "    scheme: " + scalar(step.scheme) + "\n";
    text += "    targets: " + flow_list(step.targets) + "\n";
    text += "    ignore: " + flow_list(step.ignore) + "\n";
    if (step.params.empty()) continue;
    text += "    params:\n";
    for (const auto& [key, value] : step.params) text += "      " + scalar(key) + ": " + scalar(value) + "\n";
  }
  text += recipe.formats.empty() ? "formats: []\n" : "formats:\n";
  for (const RecipeFormat& format : recipe.formats) {
    text += "  - id: " + scalar(format.id) + "\n";
    if (!format.type.empty()) text += "    type: " + scalar(format.type) + "\n";
    if (format.split_max_size != 0) text += "    split_max_size: " + std::to_string(format.split_max_size) + "\n";
    if (format.tensor_types.empty()) continue;
    text += "    tensor_types:\n";
    for (const RecipeTensorType& entry : format.tensor_types)
      text += "      - targets: " + flow_list(entry.targets) + "\n        type: " + scalar(entry.type) + "\n";
  }
  if (recipe.budget) text += budget_text(*recipe.budget);
  if (!recipe.kv_cache.empty()) text += "kv_cache: " + scalar(recipe.kv_cache) + "\n";
  return text;
}

RecipeFormat parse_recipe_format(std::string_view text) {
  const std::size_t colon = text.find(':');
  RecipeFormat format{std::string(text.substr(0, colon)), ""};
  if (colon != std::string_view::npos) format.type = text.substr(colon + 1);
  const bool malformed =
      colon != std::string_view::npos && (format.type.empty() || format.type.find(':') != std::string::npos);
  if (format.id.empty() || malformed) {
    throw Error(ErrorCode::invalid_argument, "\"" + std::string(text) +
                                                 "\" is not an output format; write one as \"compressed-tensors\" or "
                                                 "\"gguf:Q8_0\"");
  }
  return format;
}

std::string format_id(const RecipeFormat& format) {
  return format.type.empty() ? format.id : format.id + ":" + format.type;
}

}  // namespace advisor
