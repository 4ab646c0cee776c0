#include "checkpoint/imatrix.h"

#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_values.h"
#include "core/error.h"

namespace advisor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view sums_suffix = ".in_sum2", counts_suffix = ".counts";

/// Of one tensor of a GGUF model: parts of as many columns each, one below the other. A part without data is empty.
struct Entry {
  std::string tensor;
  std::vector<std::vector<float>> parts;
};

[[noreturn]] void bad(const std::string& where, const std::string& why) {
  throw Error(ErrorCode::parse_error, where + ": " + why);
}

void check(std::span<const float> values, const std::string& tensor, const std::string& where) {
  for (const float value : values)
    if (!std::isfinite(value) || value < 0)
      bad(where, "the importance of '" + tensor + "' holds a number that is negative or not finite");
}

std::vector<float> read_floats(const files::InputFile& file, std::int64_t offset, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  file.read(offset, std::as_writable_bytes(std::span(values)));
  return values;
}

Entry read_entry(const files::InputFile& file, const std::string& tensor, const gguf::TensorEntry& sums,
                 const gguf::TensorEntry& counts) {
  const std::string where = file.path().string();
  const std::int64_t values = element_count(sums.shape), parts = element_count(counts.shape);
  if (sums.type != kernels::BlockType::f32 || counts.type != kernels::BlockType::f32 || parts < 1 || values < parts ||
      values % parts != 0)
    bad(where, "the sums and counts of '" + tensor + "' do not belong together");
  const std::vector<float> count = read_floats(file, counts.offset, parts);
  check(count, tensor, where);
  Entry entry{tensor, {}};
  const std::int64_t columns = values / parts;
  for (std::int64_t p = 0; p < parts; ++p) {
    std::vector<float>& part = entry.parts.emplace_back();
    const float n = count[static_cast<std::size_t>(p)];
    if (n == 0) continue;
    part = read_floats(file, sums.offset + p * columns * static_cast<std::int64_t>(sizeof(float)), columns);
    for (float& value : part) value /= n;
    check(part, tensor, where);
  }
  return entry;
}

std::vector<Entry> read_gguf(const files::InputFile& file) {
  const std::string where = file.path().string();
  const gguf::Header header = gguf::parse_header(
      [&](std::int64_t offset, std::span<std::byte> out) { file.read(offset, out); }, file.size(), where);
  std::map<std::string, std::pair<const gguf::TensorEntry*, const gguf::TensorEntry*>> pairs;
  for (const gguf::TensorEntry& tensor : header.tensors) {
    const std::string_view name = tensor.name;
    if (name.ends_with(sums_suffix))
      pairs[std::string(name.substr(0, name.size() - sums_suffix.size()))].first = &tensor;
    if (name.ends_with(counts_suffix))
      pairs[std::string(name.substr(0, name.size() - counts_suffix.size()))].second = &tensor;
  }
  if (pairs.empty()) bad(where, "is a GGUF file, but no importance matrix: it has no tensor named *.in_sum2");
  std::vector<Entry> entries;
  for (const auto& [tensor, pair] : pairs) {
    if (pair.first == nullptr || pair.second == nullptr) bad(where, "'" + tensor + "' has no sums or no counts");
    entries.push_back(read_entry(file, tensor, *pair.first, *pair.second));
  }
  return entries;
}

/// The form before GGUF: int32 entries; of each int32 length, name, int32 calls, int32 values, float32 values that are
/// sums over calls. What may follow, chunks and the name of the text, is not needed. Experts lie in one entry, whose
/// columns only the model tells.
class Legacy {
 public:
  explicit Legacy(const files::InputFile& file) : file_(file), where_(file.path().string()) {}

  std::vector<Entry> read() {
    std::vector<Entry> entries(size(number(), 1 + 3 * 4));
    for (Entry& entry : entries) {
      entry.tensor.resize(size(number(), 1));
      take(std::as_writable_bytes(std::span(entry.tensor)));
      const std::int32_t calls = number();
      std::vector<float>& values = entry.parts.emplace_back(size(number(), sizeof(float)));
      take(std::as_writable_bytes(std::span(values)));
      if (calls > 0)
        for (float& value : values) value /= static_cast<float>(calls);
      check(values, entry.tensor, where_);
    }
    return entries;
  }

 private:
  std::int32_t number() {
    std::int32_t value = 0;
    take(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void take(std::span<std::byte> out) {
    if (at_ + static_cast<std::int64_t>(out.size()) > file_.size()) fail();
    file_.read(at_, out);
    at_ += static_cast<std::int64_t>(out.size());
  }
  /// A count of things of at least `bytes` each: never more than the file could hold.
  std::size_t size(std::int32_t count, std::int64_t bytes) const {
    if (count < 1 || count > (file_.size() - at_) / bytes) fail();
    return static_cast<std::size_t>(count);
  }
  [[noreturn]] void fail() const {
    bad(where_, "is no importance matrix, neither GGUF nor the binary form before it, or it is cut off");
  }

  const files::InputFile& file_;
  const std::string where_;
  std::int64_t at_ = 0;
};

/// A matrix of the model gets the part of the entry that is its own.
void assign(const Entry& entry, const std::vector<std::string>& names, const Checkpoint& model,
            const std::string& where, std::map<std::string, std::vector<float>>& importance) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const TensorInfo* tensor = model.find(names[i]);
    if (tensor == nullptr || tensor->shape.size() != 2) continue;
    const auto columns = static_cast<std::size_t>(tensor->shape[1]);
    std::vector<float> values;
    bool fits = entry.parts.size() == names.size();
    if (fits) {
      values = entry.parts[i];
      fits = values.empty() || values.size() == columns;
    } else if (entry.parts.size() == 1 && entry.parts[0].size() == columns * names.size()) {  // the binary form
      const auto first = entry.parts[0].begin() + static_cast<std::ptrdiff_t>(i * columns);
      values.assign(first, first + static_cast<std::ptrdiff_t>(columns));
      fits = true;
    }
    if (!fits)
      throw Error(ErrorCode::invalid_argument, where + ": the importance of '" + entry.tensor + "' does not fit " +
                                                   tensor->name + " with " + std::to_string(columns) +
                                                   " inputs; it was taken from another model");
    if (!values.empty()) importance[tensor->name] = std::move(values);
  }
}

std::int64_t padded(std::int64_t size) { return (size + gguf::alignment - 1) / gguf::alignment * gguf::alignment; }

}  // namespace

std::map<std::string, std::vector<float>> read_imatrix(const fs::path& path, const Checkpoint& model) {
  const files::InputFile file(path);
  std::array<char, 4> magic{};
  if (file.size() >= 4) file.read(0, std::as_writable_bytes(std::span(magic)));
  const bool is_gguf = std::string_view(magic.data(), magic.size()) == "GGUF";
  std::map<std::string, std::vector<float>> importance;
  for (const Entry& entry : is_gguf ? read_gguf(file) : Legacy(file).read())
    assign(entry, gguf::hugging_face_names(entry.tensor, model.config()), model, path.string(), importance);
  if (importance.empty())
    throw Error(ErrorCode::invalid_argument, path.string() + ": names no matrix of this model (" +
                                                 model.config().architecture + "); it was taken from another model");
  return importance;
}

std::vector<TensorInfo> imatrix_tensors(const Checkpoint& model) {
  std::vector<TensorInfo> tensors;
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.shape.size() != 2) continue;
    const auto place = gguf::place_of(tensor.name, model.config());
    if (place && place->tensor.starts_with("blk.") && place->tensor.ends_with(".weight")) tensors.push_back(tensor);
  }
  return tensors;
}

ImatrixWriter::Layout ImatrixWriter::lay_out(const Checkpoint& model, const Source& source) {
  struct Stack {
    std::int64_t parts = 0, columns = 0;
    std::vector<std::pair<std::string, std::int64_t>> members;  ///< name and part
  };
  std::map<std::string, Stack> stacks;  // in the order of names, as llama.cpp writes them
  for (const TensorInfo& tensor : imatrix_tensors(model)) {
    const gguf::Place place = *gguf::place_of(tensor.name, model.config());
    Stack& stack = stacks[place.tensor];
    stack.parts = place.parts;
    stack.columns = tensor.shape[1];
    stack.members.emplace_back(tensor.name, place.part);
  }
  constexpr auto width = static_cast<std::int64_t>(sizeof(float));
  Layout layout;
  std::vector<gguf::TensorEntry> entries;
  std::int64_t end = 0;
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t columns) {
    const std::int64_t begin = end, bytes = rows * columns * width;
    entries.push_back({name, {rows, columns}, kernels::BlockType::f32, begin, bytes});
    end += padded(bytes);
    return begin;
  };
  for (const auto& [name, stack] : stacks) {
    const std::int64_t sums = add(name + std::string(sums_suffix), stack.parts, stack.columns);
    const std::int64_t counts = add(name + std::string(counts_suffix), stack.parts, 1);
    for (const auto& [tensor, part] : stack.members)
      layout.slots[tensor] = {sums + part * stack.columns * width, counts + part * width};
  }
  layout.header = gguf::write_header({{"general.type", gguf::text("imatrix")},
                                      {"imatrix.datasets", {gguf::ValueType::string, source.texts}},
                                      {"imatrix.chunk_count", gguf::u32(source.sequences)},
                                      {"imatrix.chunk_size", gguf::u32(source.sequence_length)}},
                                     entries);
  const auto header = static_cast<std::int64_t>(layout.header.size());
  for (auto& [tensor, slot] : layout.slots) slot = {slot.sums + header, slot.count + header};
  layout.size = header + end;
  return layout;
}

std::int64_t ImatrixWriter::bytes(const Checkpoint& model, const Source& source) { return lay_out(model, source).size; }

ImatrixWriter::ImatrixWriter(const Checkpoint& model, const Source& source, const fs::path& folder, bool resume)
    : layout_(lay_out(model, source)), file_(folder / imatrix_file_name, layout_.size, resume) {
  file_.write(0, layout_.header);
}

void ImatrixWriter::write(const std::string& tensor, std::int64_t vectors, std::span<const float> mean_square) const {
  const auto slot = layout_.slots.find(tensor);
  if (slot == layout_.slots.end()) return;
  const auto count = static_cast<float>(vectors);
  std::vector<float> sums(mean_square.begin(), mean_square.end());
  for (float& value : sums) value *= count;
  file_.write(slot->second.sums, std::as_bytes(std::span(sums)));
  file_.write(slot->second.count, std::as_bytes(std::span(&count, 1)));
}

}  // namespace advisor
