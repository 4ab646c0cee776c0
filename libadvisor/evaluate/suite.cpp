#include "evaluate/suite.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace advisor {
namespace {

using nlohmann::json;

std::string read_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) {
    throw Error(ErrorCode::not_found, file.string() + ": no such file; check the path");
  }
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in) {
    throw Error(ErrorCode::io_error, file.string() + ": cannot be read; check its permissions");
  }
  return text;
}

[[noreturn]] void refuse(const std::string& source, std::int64_t line, const std::string& what) {
  throw Error(ErrorCode::parse_error, source + ":" + std::to_string(line) + ": " + what);
}

/// One line of a choice file, with its place for messages.
class ItemParser {
 public:
  ItemParser(const std::string& source, std::int64_t line) : source_(source), line_(line) {}

  ChoiceItem parse(std::string_view text) const {
    json object;
    try {
      object = json::parse(text);
    } catch (const json::exception& error) {
      refuse(source_, line_, "not valid JSON: " + std::string(error.what()));
    }
    if (!object.is_object()) {
      refuse(source_, line_, "expected an object with context, options and answer");
    }
    ChoiceItem item;
    item.line = line_;
    item.id = string(object, "id", false);
    item.context = string(object, "context", true);
    item.family = string(object, "family", false);
    item.options = options(object);
    item.answer = answer(object, static_cast<std::int64_t>(item.options.size()));
    return item;
  }

 private:
  std::string string(const json& object, const char* key, bool required) const {
    auto found = object.find(key);
    if (found == object.end()) {
      if (required) {
        refuse(source_, line_, "field \"" + std::string(key) + "\" is missing");
      }
      return {};
    }
    if (!found->is_string()) {
      refuse(source_, line_, "field \"" + std::string(key) + "\" must be a string");
    }
    return found->get<std::string>();
  }

  std::vector<std::string> options(const json& object) const {
    auto found = object.find("options");
    if (found == object.end() || !found->is_array() || found->size() < 2) {
      refuse(source_, line_, "field \"options\" must be a list of at least two strings");
    }
    std::vector<std::string> out;
    for (const json& option : *found) {
      if (!option.is_string() || option.get_ref<const std::string&>().empty()) {
        refuse(source_, line_, "option " + std::to_string(out.size()) + " must be a string that is not empty");
      }
      out.push_back(option.get<std::string>());
    }
    return out;
  }

  std::int64_t answer(const json& object, std::int64_t count) const {
    auto found = object.find("answer");
    bool valid = found != object.end() && found->is_number_integer();
    // An unsigned number beyond 2^63 would come out negative: out of range either way.
    std::int64_t value = valid ? found->get<std::int64_t>() : -1;
    if (value < 0 || value >= count) {
      refuse(source_, line_, "field \"answer\" must be the index of an option, 0 to " + std::to_string(count - 1));
    }
    return value;
  }

  const std::string& source_;
  std::int64_t line_;
};

}  // namespace

std::vector<ChoiceItem> parse_choices(std::string_view text, const std::string& source) {
  std::vector<ChoiceItem> items;
  std::int64_t number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      items.push_back(ItemParser(source, number).parse(line));
    }
  }
  if (items.empty()) {
    refuse(source, 1, "holds no items; one JSON object per line is expected");
  }
  return items;
}

ChoiceSet read_choices(const std::filesystem::path& file) {
  return {file.stem().string(), file.string(), parse_choices(read_file(file), file.string())};
}

TextSet read_text(const std::filesystem::path& file) {
  TextSet set{file.stem().string(), file.string(), read_file(file)};
  if (set.text.empty()) {
    refuse(set.source, 1, "is empty; perplexity needs some text");
  }
  return set;
}

Suite read_suite(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    files.push_back(entry.path());
  }
  if (error) {
    throw Error(ErrorCode::not_found, folder.string() + ": cannot be read as a folder: " + error.message());
  }
  std::sort(files.begin(), files.end());
  Suite suite;
  for (const auto& file : files) {
    if (file.extension() == ".txt") {
      suite.texts.push_back(read_text(file));
    } else if (file.extension() == ".jsonl") {
      suite.choices.push_back(read_choices(file));
    }
  }
  if (suite.texts.empty() && suite.choices.empty()) {
    throw Error(ErrorCode::not_found, folder.string() + ": holds neither *.txt nor *.jsonl; a suite needs one of them");
  }
  return suite;
}

}  // namespace advisor
