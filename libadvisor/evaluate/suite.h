// What a model is measured with: texts for perplexity, jsonl files for multiple choice. Reads and checks them before
// any weight is touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace advisor {

/// One line of a choice file: {"id", "context", "options", "answer", "family"}.
struct ChoiceItem {
  std::string id, context, family;
  std::vector<std::string> options;
  std::int64_t answer = 0;
  std::int64_t line = 0;
};

struct ChoiceSet {
  std::string name;    ///< file name without extension
  std::string source;  ///< for messages
  std::vector<ChoiceItem> items;
};

struct TextSet {
  std::string name;
  std::string source;
  std::string text;
};

struct Suite {
  std::vector<TextSet> texts;
  std::vector<ChoiceSet> choices;
};

/// Parses the lines of a choice file. Throws parse_error with `source`:line for what is missing or makes no sense.
std::vector<ChoiceItem> parse_choices(std::string_view text, const std::string& source);

ChoiceSet read_choices(const std::filesystem::path& file);
TextSet read_text(const std::filesystem::path& file);
/// All *.txt and *.jsonl of a folder, by name. Throws not_found when there are none.
Suite read_suite(const std::filesystem::path& folder);

}  // namespace advisor
