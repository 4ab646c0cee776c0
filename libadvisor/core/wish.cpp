// A variant in short: "magnitude sparsity=50% engine=sglang".
#include <algorithm>

#include "core/error.h"
#include "core/fields.h"
#include "core/suggest.h"
#include "core/variant.h"

namespace advisor {
namespace {

const Field& row(std::string_view path) {
  const auto rows = wish_fields();
  return *std::find_if(rows.begin(), rows.end(), [&](const Field& field) { return field.path == path; });
}

bool is_word_of(std::string_view path, std::string_view word) {
  const auto& values = row(path).values;
  return std::find(values.begin(), values.end(), word) != values.end();
}

bool is_scheme(const std::string& word) {
  try {
    describe_scheme(word);
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// Which field a word without a name belongs to.
std::string field_of(const std::string& word) {
  if (word == "gptq") return "technique";  // more often than the format of that name
  for (const char* field : {"engine", "format", "pattern"})
    if (is_word_of(field, word)) return field;
  if (is_scheme(word)) return "scheme";
  if (word.find('/') != std::string::npos) return "model";
  // What begins as a scheme does is one with a slip: saying so helps more than a technique of that name.
  const bool number = word.size() > 1 && word[1] >= '0' && word[1] <= '9';
  if (number && (word[0] == 'W' || word[0] == 'Q')) return "scheme";
  return word.back() == '%' ? "sparsity" : "technique";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> split_wish(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> found;
  const std::string_view spaces = " \t\n\r";
  for (std::size_t at = text.find_first_not_of(spaces); at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(spaces, at), text.size());
    const std::string word(text.substr(at, end - at));
    at = std::min(text.find_first_not_of(spaces, end), text.size());
    if (word == "%" && !found.empty() && found.back().first == "sparsity") continue;  // "50 %"
    const std::size_t equals = word.find('=');
    std::string field = equals == std::string::npos ? field_of(word) : word.substr(0, equals);
    std::string value = equals == std::string::npos ? word : word.substr(equals + 1);
    if (field == "sparsity" && text.substr(at).starts_with("%")) value += "%";
    for (const auto& [other, before] : found)
      if (other == field)
        throw Error(ErrorCode::invalid_argument,
                    "\"" + std::string(text) + "\" names two of " + field + ": " + before + " and " + value);
    found.emplace_back(std::move(field), std::move(value));
  }
  if (found.empty())
    throw Error(ErrorCode::invalid_argument, "\"\" names no variant; one reads \"magnitude sparsity=50%\"");
  return found;
}

std::string wish_text(const Wish& wish) {
  std::string text;
  const auto add = [&](const char* field, const std::string& value) {
    if (!value.empty())
      text += (text.empty() ? "" : " ") + (field_of(value) == field ? value : std::string(field) + "=" + value);
  };
  add("model", wish.model), add("technique", wish.technique), add("scheme", wish.scheme);
  std::string sparsity = wish.sparsity;
  std::erase(sparsity, ' ');
  add("sparsity", sparsity), add("pattern", wish.pattern), add("format", wish.format), add("engine", wish.engine);
  add("kv", wish.kv);
  return text;
}

}  // namespace advisor
