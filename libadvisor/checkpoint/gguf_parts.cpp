#include "checkpoint/gguf_parts.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <unordered_set>

#include "core/error.h"

namespace advisor::gguf {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view number_key = "split.no", count_key = "split.count", tensors_key = "split.tensors.count";

std::int64_t integer(const Header& header, std::string_view key, std::int64_t otherwise) {
  const Value* value = header.find(key);
  const auto* number = value != nullptr ? std::get_if<std::int64_t>(&value->data) : nullptr;
  return number != nullptr ? *number : otherwise;
}

/// Five digits at `at`, or -1.
std::int64_t digits(std::string_view text, std::size_t at) {
  std::int64_t value = 0;
  for (std::size_t i = at; i < at + 5; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

[[noreturn]] void bad(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::parse_error, path.string() + ": " + why);
}

Header read_header(const files::InputFile& file) {
  return parse_header([&file](std::int64_t offset, std::span<std::byte> out) { file.read(offset, out); }, file.size(),
                      file.path().string());
}

}  // namespace

fs::path PartName::path_of(std::int64_t part) const {
  char suffix[40];
  std::snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", static_cast<int>(part), static_cast<int>(count));
  return prefix + suffix;
}

std::optional<PartName> part_name(const fs::path& path) {
  constexpr std::string_view form = "-00001-of-00003.gguf";
  const std::string text = path.string();
  if (text.size() < form.size()) return std::nullopt;
  PartName name{text.substr(0, text.size() - form.size())};
  const std::string_view suffix = std::string_view(text).substr(name.prefix.size());
  name.number = digits(suffix, 1);
  name.count = digits(suffix, 10);
  if (name.number < 1 || name.count < name.number || name.path_of(name.number) != path) return std::nullopt;
  return name;
}

std::optional<fs::path> first_part(const std::vector<fs::path>& files) {
  if (files.size() == 1) return files.front();
  std::optional<PartName> common;
  for (const fs::path& file : files) {
    const auto name = part_name(file);
    if (!name || (common && (common->prefix != name->prefix || common->count != name->count))) return std::nullopt;
    common = name;
  }
  if (!common) return std::nullopt;
  return common->path_of(1);
}

Parts::Parts(const fs::path& path) {
  files_.emplace_back(path);
  begins_.push_back(0);
  header_ = read_header(files_.front());
  const std::int64_t count = integer(header_, count_key, 0);
  if (count <= 1) return;
  const auto name = part_name(path);
  const std::int64_t number = integer(header_, number_key, -1);
  if (!name || name->number != number + 1 || name->count != count) {
    bad(path, "says that it is part " + std::to_string(number + 1) + " of " + std::to_string(count) +
                  ", but is not named \"NAME-" + PartName{"", 1, count}.path_of(number + 1).string().substr(1) +
                  "\", so that the others cannot be found; give the parts their names back");
  }
  if (number != 0) {
    throw Error(ErrorCode::invalid_argument, path.string() + " is part " + std::to_string(number + 1) + " of " +
                                                 std::to_string(count) + "; open the first, " +
                                                 name->path_of(1).string());
  }
  for (std::int64_t part = 2; part <= count; ++part) add(name->path_of(part), part, count);
  const auto found = static_cast<std::int64_t>(header_.tensors.size());
  if (const std::int64_t all = integer(header_, tensors_key, found); all != found) {
    bad(path, "announces " + std::to_string(all) + " tensors, but its " + std::to_string(count) + " parts hold " +
                  std::to_string(found));
  }
  std::unordered_set<std::string_view> names;
  for (const TensorEntry& tensor : header_.tensors) {
    if (!names.insert(tensor.name).second) bad(path, "tensor '" + tensor.name + "' is in more than one part");
  }
}

void Parts::add(const fs::path& path, std::int64_t number, std::int64_t count) {
  if (!fs::exists(path)) {
    throw Error(ErrorCode::not_found, "part " + std::to_string(number) + " of " + std::to_string(count) +
                                          " is missing: there is no " + path.string());
  }
  begins_.push_back(begins_.back() + files_.back().size());
  files_.emplace_back(path);
  Header header = read_header(files_.back());
  if (integer(header, number_key, -1) != number - 1 || integer(header, count_key, 0) != count) {
    bad(path, "does not say that it is part " + std::to_string(number) + " of " + std::to_string(count));
  }
  for (TensorEntry& tensor : header.tensors) {
    tensor.offset += begins_.back();
    header_.tensors.push_back(std::move(tensor));
  }
}

void Parts::read(std::int64_t offset, std::span<std::byte> out) const {
  const auto next = std::upper_bound(begins_.begin(), begins_.end(), offset);
  const auto part = static_cast<std::size_t>(next - begins_.begin()) - 1;
  files_[part].read(offset - begins_[part], out);
}

}  // namespace advisor::gguf
