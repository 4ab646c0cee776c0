#include "io/import.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "io/import_formats.h"

namespace advisor {
namespace imports {

const Document* find(const Document& map, std::string_view key) {
  if (map.kind != Document::Kind::map) return nullptr;
  for (const Document::Member& member : map.members) {
    if (member.key == key) return member.value.kind == Document::Kind::null ? nullptr : &member.value;
  }
  return nullptr;
}

const Document* find_path(const Document& map, std::string_view path) {
  const Document* at = &map;
  while (at != nullptr && !path.empty()) {
    const std::size_t dot = path.find('.');
    at = find(*at, path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  return at;
}

std::string text_of(const Document& map, std::string_view key) {
  const Document* value = find(map, key);
  return value != nullptr && value->kind == Document::Kind::scalar ? value->text : "";
}

std::optional<double> number_in(std::string_view text, const std::string& where) {
  text = trim(text);
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error != std::errc{} || !std::isfinite(number)) {
    refuse(where, "\"" + std::string(text) + "\" is no measurement; run it again, or take it out of the file");
  }
  return number;
}

std::optional<double> number_of(const Document& map, std::string_view key, const std::string& where) {
  const Document* value = find(map, key);
  if (value == nullptr || value->kind != Document::Kind::scalar) return std::nullopt;
  return number_in(value->text, where + ": " + std::string(key));
}

double required_number(const Document& map, std::string_view key, const std::string& where) {
  const auto number = number_of(map, key, where);
  if (!number) refuse(where, "\"" + std::string(key) + "\" is missing or no number");
  return *number;
}

void refuse(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::parse_error, where + ": " + what);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(space);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(trim(text.substr(0, end)));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

}  // namespace imports

namespace {

using imports::Json;
constexpr std::uintmax_t largest_file = std::uintmax_t{256} << 20;
constexpr std::size_t largest_json = std::size_t{16} << 20;  // of core/json.h

constexpr const char* known_kinds =
    "known are: results_*.json of lm-evaluation-harness, llama-bench (-o json, jsonl, csv or md), what "
    "llama-perplexity "
    "prints, the result of `vllm bench serve`, our evaluation and compression reports, and tables in the columns of "
    "data/measurements";

/// JSON has no word for a value that is not finite; Python and C++ write one all the same.
void refuse_non_finite(std::string_view text, const std::string& name) {
  int line = 1;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') ++line;
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == ':' || c == '[' || c == ',')) {
      std::string_view value = imports::trim(text.substr(i + 1, 24));
      if (value.starts_with('-')) value.remove_prefix(1);
      const std::string word = imports::lower(value.substr(0, 3));
      if (word == "nan" || word == "inf") {
        imports::refuse(name + ":" + std::to_string(line),
                        "a value is NaN or infinite, which is no measurement; run that part again, or take it out");
      }
    }
  }
}

Json parse(std::string_view text, const std::string& where) {
  if (text.size() > largest_json) {
    throw Error(ErrorCode::unsupported, where +
                                            ": more than 16 MiB of JSON; save the results without the single "
                                            "requests or samples (vllm bench serve without --save-detailed)");
  }
  try {
    return {parse_json(text, where), where};
  } catch (const Error&) {
    refuse_non_finite(text, where);
    throw;
  }
}

/// One JSON value, or one per line.
std::vector<Json> parse_all(std::string_view text, const std::string& name) {
  const auto lines = imports::lines_of(text);
  const auto whole = [](std::string_view line) { return line.starts_with('{') && line.ends_with('}'); };
  std::vector<std::pair<std::string_view, std::size_t>> objects;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].empty()) objects.emplace_back(lines[i], i + 1);
  }
  std::vector<Json> values;
  if (objects.size() > 1 && std::all_of(objects.begin(), objects.end(), [&](auto& o) { return whole(o.first); })) {
    for (const auto& [line, number] : objects) values.push_back(parse(line, name + ":" + std::to_string(number)));
  } else {
    values.push_back(parse(text, name));
  }
  return values;
}

void read_json(std::string_view text, ImportedFile& file) {
  using Reader = bool (*)(const Json&, ImportedFile&);
  constexpr std::array<Reader, 4> readers{imports::read_own_report, imports::read_lm_eval, imports::read_vllm_bench,
                                          imports::read_llama_bench};
  std::vector<Json> values = parse_all(text, file.name);
  if (values.size() == 1 && values[0].value.kind == Document::Kind::list) {  // llama-bench -o json
    std::vector<Json> items;
    for (Document& item : values[0].value.items) items.push_back({std::move(item), file.name});
    values = std::move(items);
    if (values.empty()) imports::refuse(file.name, "an empty list: the benchmark wrote no result");
  }
  for (const Json& value : values) {
    const bool known = std::any_of(readers.begin(), readers.end(), [&](Reader reader) { return reader(value, file); });
    if (!known) {
      throw Error(ErrorCode::unsupported,
                  value.where + ": JSON, but not the result of a tool that is known here; " + std::string(known_kinds));
    }
  }
}

void read_text(std::string_view text, ImportedFile& file) {
  using Reader = bool (*)(std::string_view, ImportedFile&);
  constexpr std::array<Reader, 4> readers{imports::read_llama_perplexity, imports::read_llama_bench_csv,
                                          imports::read_llama_bench_table, imports::read_measurement_table};
  if (!std::any_of(readers.begin(), readers.end(), [&](Reader reader) { return reader(text, file); })) {
    throw Error(ErrorCode::unsupported,
                file.name + ": not the result of a tool that is known here; " + std::string(known_kinds));
  }
}

}  // namespace

ImportedFile read_results(std::string_view text, const std::string& name) {
  ImportedFile file;
  file.name = name;
  file.digest = content_digest(text);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const std::string_view content = imports::trim(text);
  if (content.empty()) imports::refuse(name, "the file is empty");
  if (content.front() == '{' || content.front() == '[') {
    // llama-perplexity prints "[1]4.3,[2]6.1,..." before its estimate
    const bool chunks = content.front() == '[' && content.size() > 1 && content.find(']') < 8 && content[1] >= '0' &&
                        content[1] <= '9' && content.find("PPL") != std::string_view::npos;
    chunks ? read_text(text, file) : read_json(content, file);
  } else {
    read_text(text, file);
  }
  const bool any = std::any_of(file.runs.begin(), file.runs.end(),
                               [](const ToolRun& run) { return !run.quality.empty() || !run.speed.empty(); });
  if (!any && file.made.empty()) {
    std::string why;
    for (const std::string& note : file.notes) why += "; " + note;
    imports::refuse(name, file.kind + " without a single measurement" + why);
  }
  return file;
}

ImportedFile read_results_file(const std::filesystem::path& path) {
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) throw Error(ErrorCode::not_found, path.string() + ": no such file");
  if (!std::filesystem::is_regular_file(path, ec)) {
    throw Error(ErrorCode::invalid_argument, path.string() + ": not a file; name the result file itself");
  }
  if (std::filesystem::file_size(path, ec) > largest_file) {
    throw Error(ErrorCode::unsupported,
                path.string() + ": larger than 256 MiB; results are small, samples are not read");
  }
  std::ifstream in(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || in.bad()) throw Error(ErrorCode::io_error, path.string() + ": cannot be read");
  return read_results(text, path.string());
}

std::string content_digest(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  char hex[17];
  std::snprintf(hex, sizeof hex, "%016llx", static_cast<unsigned long long>(hash));
  return hex;
}

}  // namespace advisor
